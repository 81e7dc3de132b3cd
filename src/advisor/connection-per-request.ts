/**
 * Connection per request: a connection to the database is opened, used once and thrown away.
 *
 * Opening costs a process on the server, authentication and several round trips, often more than the
 * statements that follow. Judged by the exact counts of a route: at least `minPerRequest` connects for
 * each request, over at least `minRequests`.
 *
 * A pool connects too, while it fills. So what all pools together may open (`max`, in each process) is
 * taken off the count first. And where the route was asked alone as well, one request at a time, it
 * must connect there too: a pool would have had its connection idle.
 *
 * The hidden form is a pool created for each request. It looks like a pool, and the number of pools
 * that were ever created grows with the requests; then nothing is taken off.
 *
 * Not accused: pools that fill; pools that close idle connections between rare requests (alone, right
 * after one another, they do not connect); connects that fail and are tried again.
 *
 * Saving: the time that connecting was seen to take. Connects side by side count once.
 */
import type { RouteFacts } from '../core/facts.ts'
import type { Candidate } from './candidate.ts'
import { amount, covered, figure, median, per, percent } from './measure.ts'
import { poolRemedy, poolsInWords } from './pool-remedy.ts'
import { poolSizeOf } from './pool-size.ts'
import type { RouteView, Situation } from './situation.ts'

export interface ConnectionPerRequestThresholds {
  /** Every other request: a pool that has filled is far below. */
  readonly minPerRequest: number
  /** Fewer say nothing about a rule. */
  readonly minRequests: number
}

export const connectionPerRequestThresholds: ConnectionPerRequestThresholds = {
  minPerRequest: 0.5,
  minRequests: 5,
}

export function connectionPerRequest(
  situation: Situation,
  thresholds: ConnectionPerRequestThresholds,
): Candidate[] {
  const { routes } = situation
  const isHidden = hasPoolPerRequest(situation)
  const allowance = isHidden ? 0 : situation.pools.reduce((all, pool) => all + amount(pool.max), 0)
  const loadConnects = routes.reduce((all, route) => all + amount(route.load?.connects), 0)
  const soloConnects = routes.reduce((all, route) => all + amount(route.solo?.connects), 0)

  return routes.flatMap((route) => {
    const underLoad = rate(route.load, loadConnects, allowance)
    const alone = rate(route.solo, soloConnects, 0)
    const facts = route.load ?? route.solo
    if (facts === undefined) return []
    const isSeen = [underLoad, alone].every(
      (each) => each === undefined || each >= thresholds.minPerRequest,
    )
    const requests = amount(route.load?.requests) + amount(route.solo?.requests)
    if (!isSeen || requests < thresholds.minRequests || mostFail(route)) return []
    return [candidateOf(situation, route, facts, isHidden)]
  })
}

/**
 * Connects per request without those that pools may be filling up with; of these the route bears its
 * part. Undefined where the route was not asked in this phase.
 */
function rate(facts: RouteFacts | undefined, all: number, allowance: number): number | undefined {
  if (facts === undefined) return undefined
  const own = amount(facts.connects)
  const filling = all > 0 ? Math.min(allowance, all) * (own / all) : 0
  return per(own - filling, facts.requests)
}

/** Numbers of pools are given in order of creation, in each process. */
function hasPoolPerRequest({ pools, hasLoad, routes }: Situation): boolean {
  const newest = new Map<number, number>()
  for (const { pid, pool } of pools) newest.set(pid, Math.max(amount(pool), newest.get(pid) ?? 0))
  const created = [...newest.values()].reduce((all, each) => all + each, 0)
  const phase = hasLoad ? 'load' : 'solo'
  const connects = routes.reduce((all, route) => all + amount(route[phase]?.connects), 0)
  return created >= 20 && created * 2 >= connects
}

function mostFail({ requests }: RouteView): boolean {
  const connects = requests.flatMap(({ spans }) => spans.filter(({ kind }) => kind === 'connect'))
  const failed = connects.filter(({ error }) => error !== undefined)
  return failed.length > 0 && failed.length * 2 >= connects.length
}

function candidateOf(
  situation: Situation,
  route: RouteView,
  facts: RouteFacts,
  isHidden: boolean,
): Candidate {
  const perRequest = per(facts.connects, facts.requests)
  const totalMs = per(facts.connectMs, facts.requests)
  const seen = route.requests
    .map(({ spans }) => spans.filter(({ kind }) => kind === 'connect'))
    .filter(({ length }) => length > 0)
  const overlap = median(
    seen.map((spans) => {
      const added = spans.reduce((all, { durationMs }) => all + durationMs, 0)
      return added > 0 ? covered(spans) / added : 1
    }),
  )
  const ms = seen.length === 0 ? totalMs : totalMs * Math.min(1, overlap)
  const pool = poolRemedy(situation, {
    size: poolSizeOf(situation),
    comment: 'Once for the process, in a module of its own, never inside a handler.',
  })
  return {
    kind: 'connection-per-request',
    subject: isHidden ? 'pool' : 'client',
    route,
    title: isHidden
      ? 'A pool of connections is created for each request'
      : 'Each request opens a database connection of its own',
    evidence: [
      `${figure(facts.connects)} connections were opened for ${figure(facts.requests)} requests: ${figure(perRequest)} each.`,
      `Connecting takes ${figure(totalMs)} ms per request, ${percent(Math.min(1, totalMs / (per(facts.totalMs, facts.requests) || 1)))} of its time.`,
      ...(isHidden
        ? ['The number of pools created grows with the requests: none of them is used again.']
        : route.solo !== undefined && route.load !== undefined
          ? ['Asked one at a time it connects as well, where a pool would have an idle connection.']
          : []),
    ],
    confidence: 'likely',
    remedy: {
      code: [
        ...pool.lines,
        '',
        '// In the handler: nothing is opened, nothing is closed.',
        ...pool.use,
      ].join('\n'),
      note: [pool.note, ...(isHidden ? [] : [poolsInWords(situation)])].join(' ').trim(),
    },
    claims: [{ resource: 'connect', ms }],
  }
}
