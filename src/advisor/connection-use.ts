/**
 * Connection use: how long requests of a route keep connections of pools, and for what.
 *
 *   checkout   |────────────────────────────────────────|      held
 *   statements   |──| |───|                     |──|           used
 *   outbound                |────────────────|                 held for that
 *
 * Between `pool.connect()` and `release()` a connection is lent out whether it works or not. A
 * statement by `pool.query` holds its connection for as long as it runs.
 */
import { covered, coveredBetween, per, sum } from './measure.ts'
import type { RequestView, RouteView, SpanView } from './situation.ts'

export interface ConnectionUse {
  readonly route: RouteView
  /** Means per request. */
  readonly heldMs: number
  readonly usedMs: number
  /** Held while an outbound call ran and no statement. */
  readonly heldForHttpMs: number
  /** Names of those calls, longest first. */
  readonly calls: readonly string[]
  /** Connections that are lent out at once on average: held time by rate. */
  readonly lent: number
  readonly idleLent: number
}

export function connectionUseOf(route: RouteView): ConnectionUse {
  const requests = route.loadRequests.length > 0 ? route.loadRequests : route.requests
  const names = new Map<string, number>()
  let held = 0
  let used = 0
  let heldForHttp = 0
  for (const request of requests) {
    const checkouts = request.spans.filter(isCheckout)
    for (const query of request.queries) {
      if (!checkouts.some((checkout) => isWithin(query, checkout))) held += query.durationMs
      used += query.durationMs
    }
    for (const checkout of checkouts) {
      held += checkout.durationMs
      heldForHttp += httpWithin(request, checkout, names)
    }
  }
  const n = Math.max(1, requests.length)
  const heldMs = held / n
  const usedMs = Math.min(heldMs, used / n)
  return {
    route,
    heldMs,
    usedMs,
    heldForHttpMs: heldForHttp / n,
    calls: [...names].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([name]) => name),
    lent: (heldMs / 1000) * route.perSecond,
    idleLent: ((heldMs - usedMs) / 1000) * route.perSecond,
  }
}

/**
 * Milliseconds per request that a route waits for a connection because of others. The total is exact;
 * that waits of one request overlap, and which of them it made itself, is known from the sample: a
 * request that asks for more at once than there are connections queues behind itself, in rounds.
 */
export function waitForOthersOf({ load, loadRequests }: RouteView): number {
  if (load === undefined) return 0
  let all = 0
  let forOthers = 0
  for (const { spans, queries } of loadRequests) {
    const waits = spans.filter(({ kind }) => kind === 'pool-wait')
    all += sum(waits.map(({ durationMs }) => durationMs))
    forOthers += Math.max(0, covered([...waits, ...queries]) - covered(queries))
  }
  return per(load.poolWaitMs, load.requests) * (all > 0 ? Math.min(1, forOthers / all) : 1)
}

export function isCheckout({ kind, name }: SpanView): boolean {
  return kind === 'custom' && name === 'pg.checkout'
}

function isWithin(query: SpanView, checkout: SpanView): boolean {
  const isSame = checkout.connection === undefined || checkout.connection === query.connection
  return isSame && query.startMs >= checkout.startMs - 0.1 && query.startMs <= checkout.endMs
}

function httpWithin(request: RequestView, checkout: SpanView, names: Map<string, number>): number {
  const { startMs, endMs } = checkout
  const calls = request.spans.filter(
    (span) => span.kind === 'http' && span.startMs < endMs && span.endMs > startMs,
  )
  for (const call of calls) {
    const ms = Math.min(call.endMs, endMs) - Math.max(call.startMs, startMs)
    names.set(call.name, (names.get(call.name) ?? 0) + ms)
  }
  const statements = request.queries.filter((query) => isWithin(query, checkout))
  const both = coveredBetween([...calls, ...statements], startMs, endMs)
  return Math.max(0, both - coveredBetween(statements, startMs, endMs))
}
