/** What `hasten pgbouncer` says: every number with its reason, the pool's options, what to look at. */
import { PROSE_WIDTH, wrapProse } from '../prose.ts'
import { round } from './demand.ts'
import type { PoolReading } from './live.ts'
import type { Plan, Setting } from './plan.ts'

export interface SizingReport {
  readonly source: string
  readonly plan: Plan
  readonly pools: readonly PoolReading[]
  readonly advice: readonly string[]
  /** Where the pool connects to. */
  readonly url: string
  readonly file: string
}

export function renderSizing({ source, plan, pools, advice, url, file }: SizingReport): string {
  return [
    `Sized from ${source}.`,
    '',
    `pgbouncer.ini (${file})`,
    ...told(plan.bouncer, (name, value) => `${name} = ${value}`),
    '',
    'The pool of each process',
    ...told(plan.pool, (name, value) => `${name}: ${value}`),
    '',
    `  import { Pool } from 'hasten/pool'`,
    `  const pool = new Pool({ connectionString: '${url}', ${plan.pool
      .map(({ name, value }) => `${name}: ${value}`)
      .join(', ')} })`,
    ...(pools.length === 0 ? [] : ['', 'PgBouncer at this moment', ...pools.flatMap(poolLine)]),
    ...list('Advice', advice),
    ...list('To know', plan.warnings),
    '',
  ].join('\n')
}

function told(
  settings: readonly Setting[],
  write: (name: string, value: string) => string,
): string[] {
  return settings.flatMap(({ name, value, why }) => [
    `  ${write(name, value)}`,
    ...wrap(why, '      '),
  ])
}

function poolLine(pool: PoolReading): string[] {
  const { clientsActive, clientsWaiting, serversActive, serversIdle, longestWaitMs } = pool
  return [
    `  ${pool.database}/${pool.user} (${pool.mode}): clients ${clientsActive} active, ${clientsWaiting} waiting, the longest ${round(longestWaitMs)} ms; servers ${serversActive} busy, ${serversIdle} idle`,
  ]
}

function list(title: string, sentences: readonly string[]): string[] {
  if (sentences.length === 0) return []
  return ['', title, ...sentences.flatMap((sentence) => wrap(sentence, '    ', '  - '))]
}

/** `first` is as long as `indent`. */
function wrap(text: string, indent: string, first = indent): string[] {
  const lines = wrapProse(text, PROSE_WIDTH - indent.length)
  return lines.map((line, i) => (i === 0 ? first : indent) + line)
}
