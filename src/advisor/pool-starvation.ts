/**
 * Pool starvation: requests wait for a connection that somebody else keeps.
 *
 * Judged under load: a route waits at least `minWaitMs` per request on average, and `minWaitShare` of
 * its time, and pools saw at least `minWaiting` wait at one moment. Then the question is who has the
 * connections. By Little's law a route has lent `rate × time held` of them on average; of these
 *
 *   held too long     lent, but no statement runs: an outbound call or computing between `connect` and
 *                     `release`. Accused is each route with `minIdleShare` of all that is lent, where
 *                     at least `minIdleOfHold` of its own holding is idle.
 *   slow statements   nobody holds idly, and one route's statements fill the pool. Accused is that
 *                     route; its slow-query is the cause.
 *   too small         neither, and the rate was the user's: many short statements, more than it can take. Accused is the route
 *                     that lends most.
 *
 * For the last two the pools must be busy: at least `minLent` of all connections are lent on average.
 *
 * A route that merely waits is a victim and is not named.
 *
 * Not accused: a queue that forms while the event loop is busy (utilisation of `maxLoop` and more):
 * connections come back late because nobody takes them, and the finding is only `possible`; a
 * burst at the start (the average is low); waiting for one's turn on one client, in no pool; a request
 * that asks for more at once than the pool has and waits for itself, in rounds.
 *
 * Saving: the time that routes wait, as far as the accused lend the connections: the own wait per
 * request, and per second that of the others besides.
 */
import type { Candidate } from './candidate.ts'
import { type ConnectionUse, connectionUseOf, waitForOthersOf } from './connection-use.ts'
import { amount, figure, per, percent, sum } from './measure.ts'
import { leakThresholdOf, poolRemedy } from './pool-remedy.ts'
import { type PoolSize, poolSizeOf } from './pool-size.ts'
import type { RouteView, Situation } from './situation.ts'

export interface PoolStarvationThresholds {
  /** A few milliseconds of waiting are what a pool is for. */
  readonly minWaitMs: number
  readonly minWaitShare: number
  readonly minWaiting: number
  readonly minIdleShare: number
  /** A transaction has pauses between its statements; a holder mostly pauses. */
  readonly minIdleOfHold: number
  /** With half of the connections free on average it is bursts that wait, not the pool that is small. */
  readonly minLent: number
  readonly maxLoop: number
}

export const poolStarvationThresholds: PoolStarvationThresholds = {
  minWaitMs: 5,
  minWaitShare: 0.1,
  minWaiting: 2,
  minIdleShare: 0.2,
  minIdleOfHold: 0.5,
  minLent: 0.5,
  maxLoop: 0.9,
}

export function poolStarvation(
  situation: Situation,
  thresholds: PoolStarvationThresholds,
): Candidate[] {
  const pools = situation.loadPools.filter(({ max }) => amount(max) > 0)
  const waitingMax = Math.max(0, ...pools.map((pool) => amount(pool.waitingMax)))
  if (waitingMax < thresholds.minWaiting) return []
  const victims = situation.routes.filter((route) => {
    const waitMs = waitForOthersOf(route)
    return waitMs >= thresholds.minWaitMs && waitMs >= route.meanMs * thresholds.minWaitShare
  })
  if (victims.length === 0) return []

  const uses = situation.routes
    .filter(({ load }) => load !== undefined)
    .map(connectionUseOf)
    .filter(({ heldMs, route }) => heldMs > 0 && usesPool(route))
  const lent = sum(uses.map((use) => use.lent))
  if (lent <= 0) return []
  const common: Common = {
    situation,
    victims,
    lent,
    waitingMax,
    max: sum(pools.map((pool) => amount(pool.max))),
    isLoopBusy: situation.loopUtilisation >= thresholds.maxLoop,
  }
  const holders = uses.filter(
    ({ idleLent, heldMs, usedMs }) =>
      idleLent >= lent * thresholds.minIdleShare &&
      heldMs - usedMs >= heldMs * thresholds.minIdleOfHold,
  )
  if (holders.length > 0) return holders.map((use) => heldTooLong(use, common))
  if (lent < common.max * thresholds.minLent) return []
  const [most] = uses.toSorted((a, b) => b.lent - a.lent || (a.route.key < b.route.key ? -1 : 1))
  const finding = most === undefined ? undefined : busy(most, common)
  return finding === undefined ? [] : [finding]
}

/** Of the pools' connections, lent on average. */
const FULL = 0.8

interface Common {
  readonly situation: Situation
  readonly victims: readonly RouteView[]
  readonly lent: number
  readonly waitingMax: number
  readonly max: number
  readonly isLoopBusy: boolean
}

/** With a connection of its own for each request it takes none from a pool. */
function usesPool({ load }: RouteView): boolean {
  return load !== undefined && per(load.connects, load.requests) < 0.5
}

function heldTooLong(use: ConnectionUse, common: Common): Candidate {
  const { route, heldMs, usedMs, heldForHttpMs, calls, idleLent } = use
  const isForHttp = heldForHttpMs * 2 >= heldMs - usedMs
  const threshold = leakThresholdOf(heldMs)
  const pool = poolRemedy(common.situation, {
    size: poolSizeOf(common.situation),
    comment: 'Once for the process. Single statements share a few of its connections.',
    options: [
      `leakDetectionMs: ${threshold}, // warns of who keeps one for longer, and from where`,
    ],
  })
  const during = isForHttp ? `${calls.slice(0, 2).join(' and ')} runs` : 'no statement runs on it'
  return {
    ...base(use, common, idleLent / common.lent),
    title: `A connection is held while ${isForHttp ? 'an outbound call' : 'something else'} runs, and others wait for it`,
    evidence: [
      `${route.key} keeps a connection for ${figure(heldMs)} ms per request and uses it for ${figure(usedMs)} ms; it is held while ${during}.`,
      `On average ${figure(idleLent)} of the ${figure(common.lent)} connections that are lent out do nothing for it; the pools have ${figure(common.max)}.`,
      ...waiting(common),
    ],
    remedy: {
      code: [
        ...pool.lines,
        '',
        `${(pool.use[0] ?? '').padEnd(56)} // borrowed and returned at once`,
        `${'const answer = await fetch(url)'.padEnd(56)} // no connection is held meanwhile`,
      ].join('\n'),
      note: [
        'Call others before `pool.connect()` or after `client.release()`. Where both belong to one transaction, fetch first, then begin.',
        ...(pool.isOurs
          ? [
              'The pool keeps others from waiting for what is left of it: their single statements share connections, and one is left to them.',
            ]
          : []),
        pool.note,
      ].join(' '),
    },
  }
}

function busy(use: ConnectionUse, common: Common): Candidate | undefined {
  const { route, heldMs } = use
  const share = use.lent / common.lent
  const facts = route.load
  const slowest = (facts?.statements ?? []).toSorted(
    (a, b) => amount(b.totalMs) - amount(a.totalMs) || (a.statement < b.statement ? -1 : 1),
  )[0]
  const isSlow =
    slowest !== undefined && per(slowest.totalMs, amount(slowest.calls)) >= 20 && share >= 0.3
  // Whatever fills first is where a search for the highest rate ends; no fault of the pool's.
  if (!isSlow && common.situation.isRateSearched) return undefined
  const pool = poolRemedy(common.situation, {
    size: atLeast(poolSizeOf(common.situation), common.situation),
    comment: isSlow
      ? 'Once for the process. What takes long has a connection for itself, away from the others.'
      : 'Once for the process. Single statements share a few of its connections.',
  })
  return {
    ...base(use, common, isSlow ? share : 1),
    // A burst queues in any pool; too small is one that is full on average.
    ...(!isSlow && common.lent < common.max * FULL && { confidence: 'possible' as const }),
    title: isSlow
      ? 'Slow statements fill the pool, and others wait for a connection'
      : 'The pool is too small for its traffic',
    evidence: [
      `${route.key} lends ${percent(share)} of all connection time: ${figure(heldMs)} ms per request, at ${figure(route.perSecond)} requests per second.`,
      `On average ${figure(common.lent)} connections are in use; the pools have ${figure(common.max)}.`,
      ...waiting(common),
    ],
    remedy: {
      code: pool.lines.join('\n'),
      note: isSlow
        ? [
            'Mend the statement first: a larger pool only lets more of it run at once. See the slow-query of this route.',
            ...(pool.isOurs
              ? [
                  'Until then the pool keeps short statements from waiting behind it: it leaves one connection to them.',
                ]
              : []),
            pool.note,
          ].join(' ')
        : `${pool.note} Fewer and shorter statements help more. PostgreSQL works best with two to four active connections per core; all processes together must stay below its max_connections.`,
    },
    ...(slowest !== undefined &&
      !common.isLoopBusy && {
        blame: {
          statements: [slowest.statement],
          routes: [route.key],
          kinds: ['slow-query', 'n-plus-one'],
        },
      }),
  }
}

/** Nobody makes a pool smaller because others wait for it. */
function atLeast(size: PoolSize, { pools }: Situation): PoolSize {
  const has = Math.max(0, ...pools.map(({ max }) => amount(max)))
  if (size.max > has) return size
  const why = `The ${figure(has)} connections that it has would be enough for the average: bursts wait, and single statements that share a connection do not.`
  return { ...size, max: has, why }
}

function waiting({ victims, waitingMax, isLoopBusy, situation }: Common): string[] {
  const worst = victims.toSorted(
    (a, b) => waitForOthersOf(b) - waitForOthersOf(a) || (a.key < b.key ? -1 : 1),
  )
  const list = worst
    .slice(0, 3)
    .map(
      (route) =>
        `${route.key} ${figure(waitForOthersOf(route))} ms (${percent(Math.min(1, waitForOthersOf(route) / route.meanMs))})`,
    )
  return [
    `Waiting for a connection, per request: ${list.join(', ')}. At one moment ${figure(waitingMax)} waited.`,
    ...(isLoopBusy
      ? [
          `The event loop was busy ${percent(situation.loopUtilisation)} of the time, so connections may come back late for that reason alone.`,
        ]
      : []),
  ]
}

function base(use: ConnectionUse, common: Common, share: number) {
  const { route } = use
  const others = common.situation.routes.filter((each) => each !== route)
  const part = Math.min(1, share)
  return {
    kind: 'pool-starvation' as const,
    subject: `pool\n${route.key}`,
    route,
    confidence: common.isLoopBusy ? ('possible' as const) : ('likely' as const),
    claims: [{ resource: 'pool-wait', ms: waitForOthersOf(route) * part }],
    othersMsPerSecond: sum(others.map((each) => waitForOthersOf(each) * each.perSecond)) * part,
    // A loop that is busy comes first: it also delays those who give connections back.
    ...(common.isLoopBusy && {
      blame: { statements: [], routes: [], kinds: ['event-loop-blocked' as const] },
    }),
  }
}
