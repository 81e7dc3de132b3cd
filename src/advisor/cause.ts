/**
 * Cause: which finding must be mended first, where one makes another.
 *
 *   pool-starvation          ← the slow statement or the loop that fills the pool
 *   pool-starvation          ← what blocks the event loop, where that is busy
 *   event-loop-blocked       ← the large response, where the time goes into writing it as JSON
 *   connection-per-request   ← the loop, where a connection is opened for each of its statements
 *
 * Each arrow goes down in the order of `rank`, so there is no circle.
 */
import type { FindingKind } from '../core/finding.ts'
import { amount, per } from './measure.ts'
import type { Settled } from './settle.ts'

export function causeOf(effect: Settled, all: readonly Settled[]): string | null {
  const causes = all
    .filter((each) => each.id !== effect.id && rank(each) > rank(effect) && makes(each, effect))
    .sort((a, b) => b.savesMsPerSecond - a.savesMsPerSecond || (a.id < b.id ? -1 : 1))
  return causes[0]?.id ?? null
}

function makes(cause: Settled, effect: Settled): boolean {
  if (cause.candidate.confidence === 'possible') return false
  const { candidate } = effect
  if (candidate.kind === 'connection-per-request') return isPerCall(cause, effect)
  const { blame } = candidate
  if (blame === undefined || !blame.kinds.includes(cause.candidate.kind)) return false
  const isRoute = blame.routes.length === 0 || blame.routes.includes(cause.candidate.route.key)
  const statements = cause.candidate.statements ?? []
  const isStatement =
    blame.statements.length === 0 || statements.some((each) => blame.statements.includes(each))
  return isRoute && isStatement
}

/** The loop's statements are most of the statements, and each statement has its connection. */
function isPerCall(cause: Settled, effect: Settled): boolean {
  const { route } = effect.candidate
  if (cause.candidate.kind !== 'n-plus-one' || cause.candidate.route !== route) return false
  const facts = route.load ?? route.solo
  if (facts === undefined) return false
  const connects = per(facts.connects, facts.requests)
  const uses = facts.statements.filter(
    ({ statement }) => cause.candidate.statements?.includes(statement) === true,
  )
  const calls = per(
    uses.reduce((all, use) => all + amount(use.calls), 0),
    facts.requests,
  )
  return calls >= 2 && connects >= calls * 0.8
}

const ranks: Partial<Record<FindingKind, number>> = {
  'pool-starvation': 0,
  'event-loop-blocked': 1,
  'connection-per-request': 1,
}

function rank({ candidate }: Settled): number {
  return ranks[candidate.kind] ?? 2
}
