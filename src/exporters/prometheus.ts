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
import { countAtMost, writeHistogram } from '../core/histogram-json.ts'
import { prometheusLabel } from '../core/prometheus-label.ts'
import type { Timing } from '../timing/index.ts'

const BOUNDARIES_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
]

/** Of each route. What is kept in milliseconds is told in seconds. */
const counters = [
  ['requests', 'Requests that have ended.', 'requests'],
  ['request_errors', 'Responses of 500 and above, and aborted ones.', 'errors'],
  ['response_bytes', 'Bytes of responses.', 'responseBytes'],
  ['queries', 'Statements that have run.', 'queries'],
  ['query_seconds', 'Time of statements.', 'dbMs'],
  ['connects', 'Connections opened to the database.', 'connects'],
  ['connect_seconds', 'Time opening connections.', 'connectMs'],
  ['pool_wait_seconds', 'Time waiting for a connection.', 'poolWaitMs'],
  ['http_seconds', 'Time of outbound calls.', 'httpMs'],
  ['late_spans', 'Operations that ended after the response.', 'late'],
] as const

/** Totals in the text format of Prometheus. */
export function prometheus(timing: Timing): string {
  const { background, cpuMs, maxRssMb, loopUtilisation } = timing.process()
  const lines: string[] = []
  const family = (name: string, type: string, help: string): void => {
    lines.push(`# HELP hasten_${name} ${help}`, `# TYPE hasten_${name} ${type}`)
  }
  const sample = (name: string, labels: string, value: number): void => {
    lines.push(`hasten_${name}${labels && `{${labels}}`} ${value}`)
  }
  const labelled = timing.table.used.map((totals) => {
    const { method, route, latency } = totals
    const labels = `method="${prometheusLabel(method)}",route="${prometheusLabel(route)}"`
    return { labels, latency, figures: totals.named() }
  })

  for (const [short, help, figure] of counters) {
    const name = `${short}_total`
    const perUnit = short.endsWith('seconds') ? 1000 : 1
    family(name, 'counter', help)
    for (const { labels, figures } of labelled) sample(name, labels, figures[figure] / perUnit)
  }

  const duration = 'request_duration_seconds'
  family(duration, 'histogram', 'Time from the request to the end of the response.')
  for (const { labels, latency } of labelled) {
    // Its list of buckets is made once, not for each boundary.
    const histogram = writeHistogram(latency)
    for (const le of BOUNDARIES_SECONDS) {
      sample(`${duration}_bucket`, `${labels},le="${le}"`, countAtMost(histogram, le * 1000))
    }
    sample(`${duration}_bucket`, `${labels},le="+Inf"`, latency.count)
    sample(`${duration}_sum`, labels, latency.sum / 1000)
    sample(`${duration}_count`, labels, latency.count)
  }

  const delay = 'event_loop_delay_seconds'
  family(delay, 'gauge', 'How late timers ran.')
  for (const q of [0.5, 0.99, 1]) sample(delay, `quantile="${q}"`, timing.loop.delayMs(q) / 1000)

  const ofProcess: readonly [name: string, help: string, value: number][] = [
    ['requests_in_flight', 'Requests under way.', timing.inFlight],
    ['background_queries_total', 'Statements that belong to no request.', background.queries],
    ['background_query_seconds_total', 'Time of those statements.', background.dbMs / 1000],
    ['cpu_seconds_total', 'CPU time of the process.', cpuMs / 1000],
    ['resident_memory_max_bytes', 'Most memory that it has held.', maxRssMb * 2 ** 20],
    ['event_loop_utilization', 'Share of time in which it was busy.', loopUtilisation],
  ]
  for (const [name, help, value] of ofProcess) {
    family(name, name.endsWith('_total') ? 'counter' : 'gauge', help)
    sample(name, '', value)
  }
  return `${lines.join('\n')}\n`
}
