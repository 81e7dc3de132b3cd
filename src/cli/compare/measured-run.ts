/**
 * A measured run as figures. Latency is the caller's; what a request costs inside is the server's
 * own, divided by the requests that the server itself counted, also those nobody waited for.
 */
import type { Measurement, Metric } from '../../compare/index.ts'
import type { Phase } from '../../core/facts.ts'
import type { LoadResult } from '../../load/index.ts'
import type { Seen } from '../target/index.ts'

export function measurementOf(
  load: LoadResult,
  { routes, processes }: Phase,
  seen: Seen,
): Omit<Measurement, 'side' | 'isControl' | 'round' | 'throughput'> {
  const { latency } = load
  const isDatabase = seen.modules.some(({ name }) => name === 'pg' || name === 'postgres')
  const counted = routes.reduce((sum, route) => sum + route.requests, 0)
  const perRequest = (total: number) => (counted > 0 ? total / counted : null)
  const at = (q: number) => (latency.count > 0 ? latency.quantile(q) : null)
  const times: Record<Exclude<Metric, 'throughput'>, number | null> = {
    meanMs: latency.count > 0 ? latency.sum / latency.count : null,
    p50Ms: at(0.5),
    p95Ms: at(0.95),
    p99Ms: at(0.99),
    dbMsPerRequest: isDatabase ? perRequest(routes.reduce((sum, { dbMs }) => sum + dbMs, 0)) : null,
    dbCallsPerRequest: isDatabase
      ? perRequest(routes.reduce((sum, { queries }) => sum + queries, 0))
      : null,
    cpuMsPerRequest: perRequest(processes.reduce((sum, { cpuMs }) => sum + cpuMs, 0)),
    peakMemoryMb:
      processes.length > 0 ? processes.reduce((sum, { maxRssMb }) => sum + maxRssMb, 0) : null,
  }
  return {
    ...times,
    requests: load.requests,
    errors: load.errors,
    statuses: statusesOf(load),
    lateP99Ms: load.behind.lateP99Ms,
  }
}

function statusesOf({ routes }: LoadResult): Measurement['statuses'] {
  return Object.fromEntries(
    routes.map(({ method, route, requests, statuses }) => {
      const answered = Object.values(statuses).reduce((sum, times) => sum + times, 0)
      const none = Math.max(0, requests - answered)
      return [`${method} ${route}`, none > 0 ? { ...statuses, none } : statuses]
    }),
  )
}
