/**
 * Pool figures as Prometheus text, format 0.0.4 [1], to be put behind those of `hasten/exporters`.
 *
 * Of several pools, each with its name as a label. No text of a statement is in it: it would make a
 * series for each.
 *
 * [1] https://prometheus.io/docs/instrumenting/exposition_formats/
 */
import { prometheusLabel } from '../core/prometheus-label.ts'
import type { PoolStats } from './pool-stats.ts'

interface Measured {
  stats(): PoolStats
}

type Sample = readonly [labels: string, value: number]

const families: readonly (readonly [
  name: string,
  type: 'gauge' | 'counter',
  help: string,
  samples: (stats: PoolStats) => readonly Sample[],
])[] = [
  ['pool_max', 'gauge', 'Most connections.', ({ max }) => [['', max]]],
  [
    'pool_connections',
    'gauge',
    'Connections by what they do.',
    ({ total, idle, shared, lent, connecting }) => [
      ['state="idle"', idle],
      ['state="shared"', shared],
      ['state="lent"', lent],
      ['state="connecting"', connecting],
      ['state="other"', Math.max(0, total - idle - shared - lent - connecting)],
    ],
  ],
  [
    'pool_waiting',
    'gauge',
    'Callers that wait for a connection, by lane.',
    ({ waiting }) => Object.entries(waiting).map(([lane, count]) => [`lane="${lane}"`, count]),
  ],
  [
    'pool_statements_total',
    'counter',
    'Statements sent, by lane.',
    ({ counts }) => [
      ['lane="express"', counts.express],
      ['lane="alone"', counts.alone],
    ],
  ],
  [
    'pool_events_total',
    'counter',
    'Statements repeated, cancelled, taken off a shared connection, out of time, aborted.',
    ({ counts }) => [
      ['event="repeated"', counts.repeated],
      ['event="cancelled"', counts.cancelled],
      ['event="preempted"', counts.preempted],
      ['event="timed_out"', counts.timedOut],
      ['event="aborted"', counts.aborted],
    ],
  ],
]

/** Figures of pools by the names that they shall have, as `{ main: pool }`. */
export function poolPrometheus(pools: Readonly<Record<string, Measured>>): string {
  const all = Object.entries(pools).map(([name, pool]) => ({ name, stats: pool.stats() }))
  const lines: string[] = []
  for (const [name, type, help, samples] of families) {
    lines.push(`# HELP hasten_${name} ${help}`, `# TYPE hasten_${name} ${type}`)
    for (const { name: pool, stats } of all) {
      for (const [labels, value] of samples(stats)) {
        const own = `pool="${prometheusLabel(pool)}"`
        lines.push(`hasten_${name}{${labels === '' ? own : `${own},${labels}`}} ${value}`)
      }
    }
  }
  return `${lines.join('\n')}\n`
}
