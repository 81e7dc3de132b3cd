/**
 * Prometheus: the totals as text, format 0.0.4 [1], in base units (seconds, bytes).
 *
 * One histogram and some counters for each route, gauges for the process. Counters start again at 0
 * when the totals are reset, which Prometheus takes for a restart. The boundaries are round figures;
 * our own buckets are finer, and a boundary stands for the nearest edge of one, at most 0.8 % away.
 *
 * The length is bounded by the number of routes: about 3 kB for each.
 *
 * [1] https://prometheus.io/docs/instrumenting/exposition_formats/
 */
import type { ProcessFacts } from '../core/facts.ts'
import type { EventLoopFacts } from './event-loop.ts'
import type { RouteTotals } from './route-totals.ts'

const BOUNDARIES_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
]

type Type = 'counter' | 'gauge' | 'histogram' | 'summary'

const counters: readonly [name: string, help: string, value: (route: RouteTotals) => number][] = [
  ['hasten_requests_total', 'Requests that have ended.', (route) => route.requests],
  [
    'hasten_request_errors_total',
    'Responses of 500 and above, and aborted ones.',
    (route) => route.errors,
  ],
  ['hasten_response_bytes_total', 'Bytes of responses.', (route) => route.responseBytes],
  ['hasten_queries_total', 'Statements that have run.', (route) => route.spans.queries],
  ['hasten_connects_total', 'Connections opened to the database.', (route) => route.spans.connects],
  ['hasten_query_seconds_total', 'Time of statements.', (route) => route.spans.dbMs / 1000],
  [
    'hasten_pool_wait_seconds_total',
    'Time waiting for a connection.',
    (route) => route.spans.poolWaitMs / 1000,
  ],
  [
    'hasten_connect_seconds_total',
    'Time opening connections.',
    (route) => route.spans.connectMs / 1000,
  ],
  ['hasten_http_seconds_total', 'Time of outbound calls.', (route) => route.spans.httpMs / 1000],
  ['hasten_late_spans_total', 'Operations that ended after the response.', (route) => route.late],
]

export interface Exposition {
  readonly routes: readonly RouteTotals[]
  readonly process: ProcessFacts
  readonly loop: EventLoopFacts
  readonly inFlight: number
}

export function prometheusOf({ routes, process, loop, inFlight }: Exposition): string {
  const lines: string[] = []
  const labels = routes.map(
    ({ method, route }) => `method="${escaped(method)}",route="${escaped(route)}"`,
  )

  for (const [name, help, value] of counters) {
    head(lines, name, 'counter', help)
    for (const [i, route] of routes.entries()) lines.push(`${name}{${labels[i]}} ${value(route)}`)
  }

  const duration = 'hasten_request_duration_seconds'
  head(lines, duration, 'histogram', 'Time from the request to the end of the response.')
  for (const [i, { latency }] of routes.entries()) {
    for (const boundary of BOUNDARIES_SECONDS) {
      const count = latency.countAtMost(boundary * 1000)
      lines.push(`${duration}_bucket{${labels[i]},le="${boundary}"} ${count}`)
    }
    lines.push(`${duration}_bucket{${labels[i]},le="+Inf"} ${latency.count}`)
    lines.push(`${duration}_sum{${labels[i]}} ${latency.sum / 1000}`)
    lines.push(`${duration}_count{${labels[i]}} ${latency.count}`)
  }

  const one = (name: string, type: Type, help: string, value: number): void => {
    head(lines, name, type, help)
    lines.push(`${name} ${value}`)
  }
  one('hasten_requests_in_flight', 'gauge', 'Requests under way.', inFlight)
  one(
    'hasten_background_queries_total',
    'counter',
    'Statements that belong to no request.',
    process.background.queries,
  )
  one(
    'hasten_background_query_seconds_total',
    'counter',
    'Time of statements that belong to no request.',
    process.background.dbMs / 1000,
  )
  one('hasten_cpu_seconds_total', 'counter', 'CPU time of the process.', process.cpuMs / 1000)
  one(
    'hasten_resident_memory_max_bytes',
    'gauge',
    'Most memory that the process has held.',
    process.maxRssMb * 2 ** 20,
  )
  one(
    'hasten_event_loop_utilization',
    'gauge',
    'Share of time in which the event loop was busy.',
    loop.utilisation,
  )
  const delay = 'hasten_event_loop_delay_seconds'
  head(lines, delay, 'gauge', 'How late timers ran.')
  for (const [quantile, ms] of [
    ['0.5', loop.delayP50Ms],
    ['0.99', loop.delayP99Ms],
    ['1', loop.delayMaxMs],
  ]) {
    lines.push(`${delay}{quantile="${quantile}"} ${Number(ms) / 1000}`)
  }
  return `${lines.join('\n')}\n`
}

function head(lines: string[], name: string, type: Type, help: string): void {
  lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`)
}

function escaped(label: string): string {
  return label.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
