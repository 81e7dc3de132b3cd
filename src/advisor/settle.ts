/**
 * Settling: what each candidate of a route saves, when the others are mended as well.
 *
 * Detectors look at the same milliseconds from different sides: a slow statement in a loop is slow, is
 * repeated, and waits in a row. Each is worth mending, and the sum of what they promise would be more
 * than there is. So a route has accounts, one for each resource (`connect`, `query:<statement>` …) with
 * what it takes per request, and one for its mean time; candidates draw on both, the largest first (but
 * whatever is only `possible` last), and get what is left:
 *
 *   mean 100 ms     n-plus-one claims 80 of query:a (90)    → 80
 *                   slow-query claims 60 of query:a         → 10, the rest is counted already
 *
 * Hence the savings of one route's findings never add up to more than its mean time, and whoever is
 * mended first is not credited with what the next would have saved alone. A candidate that lost time
 * that way says so in its evidence. The order is by size, then by id: it does not depend on the order
 * of the facts.
 *
 * What requests of other routes would no longer wait is settled last, against what those routes have
 * left: `others`.
 */
import type { Candidate } from './candidate.ts'
import { findingId } from './finding-id.ts'
import { amount, figure, sum } from './measure.ts'
import { capacityOf, type RouteView } from './situation.ts'

export interface Settled {
  readonly id: string
  readonly candidate: Candidate
  readonly evidence: readonly string[]
  readonly savesMsPerRequest: number
  readonly savesMsPerSecond: number
}

export function settle(candidates: readonly Candidate[], routes: readonly RouteView[]): Settled[] {
  const left = new Map(routes.map((route) => [route, route.meanMs]))
  const settled = [...groupByRoute(candidates)].flatMap(([route, own]) => {
    const [all, rest] = settleRoute(route, own)
    left.set(route, rest)
    return all
  })
  return settled.map((each) => addOthers(each, left))
}

function settleRoute(route: RouteView, candidates: readonly Candidate[]): [Settled[], number] {
  const accounts = new Map<string, number>()
  let rest = route.meanMs
  const ordered = candidates
    .map((candidate) => ({
      candidate,
      id: findingId(candidate.kind, candidate.subject),
      wanted: sum(candidate.claims.map(({ ms }) => amount(ms))),
    }))
    .sort(
      (a, b) =>
        Number(a.candidate.confidence === 'possible') -
          Number(b.candidate.confidence === 'possible') ||
        b.wanted - a.wanted ||
        (a.id < b.id ? -1 : 1),
    )

  const settled = ordered.map(({ candidate, id, wanted }): Settled => {
    const before = rest
    for (const { resource, ms } of candidate.claims) {
      const account = accounts.get(resource) ?? capacityOf(route, resource)
      const granted = Math.max(0, Math.min(amount(ms), account, rest))
      accounts.set(resource, account - granted)
      rest -= granted
    }
    const saved = before - rest
    const isLess = saved < wanted * 0.9
    return {
      id,
      candidate,
      evidence: isLess
        ? [
            ...candidate.evidence,
            `Alone it would save ${figure(Math.min(wanted, route.meanMs))} ms per request; the rest is counted with other findings of the route, or was not there under load.`,
          ]
        : candidate.evidence,
      savesMsPerRequest: saved,
      savesMsPerSecond: saved * route.perSecond,
    }
  })
  return [settled, rest]
}

function addOthers(settled: Settled, left: Map<RouteView, number>): Settled {
  const wanted = amount(settled.candidate.othersMsPerSecond)
  if (wanted === 0) return settled
  const { route } = settled.candidate
  const available = sum([...left].map(([each, ms]) => (each === route ? 0 : ms * each.perSecond)))
  const granted = Math.min(wanted, available)
  // Taken from all of them in proportion to what they have left.
  for (const [each, ms] of left) {
    if (each !== route && available > 0) left.set(each, ms * (1 - granted / available))
  }
  return { ...settled, savesMsPerSecond: settled.savesMsPerSecond + granted }
}

function groupByRoute(candidates: readonly Candidate[]): Map<RouteView, Candidate[]> {
  const groups = new Map<RouteView, Candidate[]>()
  const ordered = candidates.toSorted((a, b) => (a.route.key < b.route.key ? -1 : 1))
  for (const candidate of ordered) {
    const group = groups.get(candidate.route)
    if (group === undefined) groups.set(candidate.route, [candidate])
    else group.push(candidate)
  }
  return groups
}
