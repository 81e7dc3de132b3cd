/**
 * Advise: from an observation to findings.
 *
 *   facts ─▶ situation ─┬─▶ detector ─┐
 *                       ├─▶ detector ─┼─▶ candidates ─▶ settle ─▶ cause ─▶ join ─▶ rank ─▶ findings
 *                       └─▶ detector ─┘   one route     what each          one a
 *                                         each          saves              thing
 *
 * Pure: the same observation gives the same findings, in the same order, however its lists were
 * ordered. A detector looks at one route at a time and knows no other detector; what belongs between
 * them (no millisecond is saved twice, one makes the other, the same statement on several routes) is
 * done here and nowhere else.
 *
 * The same thing on several routes is one finding. Its `route` is where it costs most, its evidence
 * and remedy are from there, and `savesMsPerSecond` is the sum. What is only `possible` comes last.
 */
import type { Observation } from '../core/facts.ts'
import type { Confidence, Finding } from '../core/finding.ts'
import { type AdviseOptions, thresholdsOf } from './advise-options.ts'
import { causeOf } from './cause.ts'
import { connectionPerRequest } from './connection-per-request.ts'
import { duplicateQuery } from './duplicate-query.ts'
import { eventLoopBlocked } from './event-loop-blocked.ts'
import { largeResponse } from './large-response.ts'
import { nPlusOne } from './n-plus-one.ts'
import { poolStarvation } from './pool-starvation.ts'
import { sequentialAwaits } from './sequential-awaits.ts'
import { type Settled, settle } from './settle.ts'
import { situationOf } from './situation.ts'
import { slowQuery } from './slow-query.ts'

/** Ordered by milliseconds saved per second. Throws OPTION_INVALID for options that are none. */
export function advise(observation: Observation, options: AdviseOptions = {}): Finding[] {
  const thresholds = thresholdsOf(options)
  const situation = situationOf(observation)
  const candidates = [
    ...connectionPerRequest(situation, thresholds.connectionPerRequest),
    ...nPlusOne(situation, thresholds.nPlusOne),
    ...duplicateQuery(situation, thresholds.duplicateQuery),
    ...sequentialAwaits(situation, thresholds.sequentialAwaits),
    ...slowQuery(situation, thresholds.slowQuery),
    ...poolStarvation(situation, thresholds.poolStarvation),
    ...eventLoopBlocked(situation, thresholds.eventLoopBlocked),
    ...largeResponse(situation, thresholds.largeResponse),
  ]
  const settled = settle(candidates, situation.routes)
  const byId = new Map<string, Settled[]>()
  for (const each of settled) {
    const parts = byId.get(each.id)
    if (parts === undefined) byId.set(each.id, [each])
    else parts.push(each)
  }
  return [...byId.values()]
    .map((parts) => joined(parts, settled))
    .sort(
      (a, b) =>
        Number(a.confidence === 'possible') - Number(b.confidence === 'possible') ||
        b.savesMsPerSecond - a.savesMsPerSecond ||
        (a.id < b.id ? -1 : 1),
    )
}

const order: readonly Confidence[] = ['proved', 'likely', 'possible']

function joined(parts: readonly Settled[], all: readonly Settled[]): Finding {
  const confidence = order.find((each) =>
    parts.some(({ candidate }) => candidate.confidence === each),
  )
  // A route where it is only possible is not accused beside one where it is likely.
  const accused = parts
    .filter(({ candidate }) => candidate.confidence === confidence)
    .sort((a, b) => b.savesMsPerSecond - a.savesMsPerSecond || compareRoutes(a, b))
  const [worst] = accused as [Settled, ...Settled[]]
  const { candidate } = worst
  return {
    id: worst.id,
    kind: candidate.kind,
    route: candidate.route.key,
    routes: accused.map((each) => each.candidate.route.key),
    title: candidate.title,
    cause: causeOf(worst, all),
    evidence: worst.evidence,
    confidence: candidate.confidence,
    savesMsPerRequest: worst.savesMsPerRequest,
    savesMsPerSecond: accused.reduce((sum, each) => sum + each.savesMsPerSecond, 0),
    savesShare: candidate.route.meanMs > 0 ? worst.savesMsPerRequest / candidate.route.meanMs : 0,
    remedy: candidate.remedy,
  }
}

function compareRoutes(a: Settled, b: Settled): number {
  return a.candidate.route.key < b.candidate.route.key ? -1 : 1
}
