/**
 * Shares: what a request's time went into, each moment counted once.
 *
 * Spans overlap (calls side by side, a checkout around its statements). A sweep over their ends
 * gives each moment to the innermost thing that was waited for, by this order:
 *
 *   db > connect > http > cache > serialise > cpu > poolWait > the rest
 *
 * A statement that runs explains a moment better than another one that waits for its connection.
 * What no span covers is the application computing, or waiting for its turn on the event loop: where
 * the loop's own time is known, that much of the rest is `cpu`, and only what is left is `other`.
 */
import type { RequestFacts, SpanKind } from './facts.ts'

export interface TimeShares {
  readonly db: number
  readonly poolWait: number
  readonly connect: number
  readonly cache: number
  readonly http: number
  readonly cpu: number
  readonly serialise: number
  readonly other: number
}

const order = ['db', 'connect', 'http', 'cache', 'serialise', 'cpu', 'poolWait'] as const
type Named = (typeof order)[number]

const nameOf: Partial<Record<SpanKind, Named>> = {
  query: 'db',
  connect: 'connect',
  http: 'http',
  cache: 'cache',
  serialise: 'serialise',
  cpu: 'cpu',
  'pool-wait': 'poolWait',
}

/** Each 0 to 1, together 1. */
export function shares(request: RequestFacts): TimeShares {
  const total = { db: 0, poolWait: 0, connect: 0, cache: 0, http: 0, cpu: 0, serialise: 0 }
  const whole = request.durationMs
  if (!(whole > 0)) return { ...total, other: 1 }

  const edges: { at: number; name: Named; by: 1 | -1 }[] = []
  for (const { kind, startMs, durationMs } of request.spans) {
    const name = nameOf[kind]
    if (name === undefined) continue
    const from = clamp(startMs, whole)
    const to = durationMs < 0 ? whole : clamp(startMs + durationMs, whole)
    if (to > from) edges.push({ at: from, name, by: 1 }, { at: to, name, by: -1 })
  }
  edges.sort((a, b) => a.at - b.at)

  const open = { db: 0, poolWait: 0, connect: 0, cache: 0, http: 0, cpu: 0, serialise: 0 }
  let last = 0
  for (const { at, name, by } of edges) {
    const running = order.find((each) => open[each] > 0)
    if (running !== undefined) total[running] += at - last
    open[name] += by
    last = at
  }

  const covered = order.reduce((sum, name) => sum + total[name], 0)
  const rest = Math.max(0, whole - covered)
  total.cpu += Math.min(rest, Math.max(0, request.loopActiveMs ?? 0))
  for (const name of order) total[name] /= whole
  const known = order.reduce((sum, name) => sum + total[name], 0)
  return { ...total, other: Math.max(0, 1 - known) }
}

function clamp(value: number, max: number): number {
  return Number.isFinite(value) ? Math.min(max, Math.max(0, value)) : 0
}
