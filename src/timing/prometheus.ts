/**
 * Prometheus text exposition of what was timed, per route, in seconds.
 *
 * Routes are patterns and bounded in number, so labels are as well. Label values escape backslash,
 * quote and line feed, as the format demands.
 *
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/
 */
import type { ProcessFacts } from '../core/facts.ts'
import type { RouteTotals } from './route-totals.ts'

/** Upper bounds in seconds. */
const bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

const counters: readonly [name: string, help: string, value: (totals: RouteTotals) => number][] = [
  ['request_errors_total', 'Responses of 500 and above, and aborted requests', (t) => t.errors],
  ['queries_total', 'Statements run', (t) => t.queries],
  ['connects_total', 'Connections opened to the database', (t) => t.connects],
  ['db_seconds_total', 'Time in which statements ran', (t) => t.dbMs / 1000],
  ['pool_wait_seconds_total', 'Time spent waiting for a connection', (t) => t.poolWaitMs / 1000],
  ['connect_seconds_total', 'Time spent opening connections', (t) => t.connectMs / 1000],
  ['outbound_seconds_total', 'Time of outbound HTTP calls', (t) => t.httpMs / 1000],
  ['response_bytes_total', 'Bytes of responses', (t) => t.responseBytes],
]

export function prometheusText(totals: readonly RouteTotals[], facts: ProcessFacts): string {
  const lines: string[] = []
  const metric = (name: string, type: string, help: string) => {
    lines.push(`# HELP hasten_${name} ${help}`, `# TYPE hasten_${name} ${type}`)
  }

  metric('request_duration_seconds', 'histogram', 'Time from head to end of response')
  for (const each of totals) {
    const labels = labelsOf(each)
    for (const bound of bounds) {
      lines.push(
        `hasten_request_duration_seconds_bucket{${labels},le="${bound}"} ${each.latency.countAtMost(bound * 1000)}`,
      )
    }
    lines.push(
      `hasten_request_duration_seconds_bucket{${labels},le="+Inf"} ${each.latency.count}`,
      `hasten_request_duration_seconds_sum{${labels}} ${each.latency.sum / 1000}`,
      `hasten_request_duration_seconds_count{${labels}} ${each.latency.count}`,
    )
  }
  for (const [name, help, value] of counters) {
    metric(name, 'counter', help)
    for (const each of totals) lines.push(`hasten_${name}{${labelsOf(each)}} ${value(each)}`)
  }

  metric('event_loop_utilisation', 'gauge', 'Share of time in which the event loop was busy')
  lines.push(`hasten_event_loop_utilisation ${facts.loopUtilisation}`)
  metric('event_loop_delay_seconds', 'gauge', 'How late timers come')
  lines.push(
    `hasten_event_loop_delay_seconds{quantile="0.99"} ${facts.loopDelayP99Ms / 1000}`,
    `hasten_event_loop_delay_seconds{quantile="1"} ${facts.loopDelayMaxMs / 1000}`,
  )
  metric('background_queries_total', 'counter', 'Statements that belong to no request')
  lines.push(`hasten_background_queries_total ${facts.background.queries}`)
  return `${lines.join('\n')}\n`
}

function labelsOf({ method, route }: RouteTotals): string {
  return `method="${escaped(method)}",route="${escaped(route)}"`
}

function escaped(value: string): string {
  return value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')
}
