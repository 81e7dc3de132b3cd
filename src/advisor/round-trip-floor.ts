/**
 * Round-trip floor: how many round trips to the database a request needs at the least.
 *
 * A statement can only be sent when its values are known. Those that came with the request are
 * known from the start; the others appear in an earlier result. The longest chain of such
 * appearances is the depth of the request's dependency graph, and no batching gets below it:
 *
 *   request ──id──▶ users ──────┐
 *      └────id──▶ orders ─id─▶ items ─product─▶ products        depth 3, however many statements
 *
 * A value counts as known at the earliest moment it was seen, so a value that an outbound call
 * brought is known after what that call itself needed. Values are hashes: an accidental equality
 * (a quantity of 7, a product 7) can only raise the floor, never lower it.
 *
 * Not seen: dependence by control flow (`if (user.isActive)`). The floor is what the data allow.
 */
import type { RequestFacts } from '../core/facts.ts'

/** Round trips, 0 where nothing was asked; undefined where the request's values were not hashed. */
export function roundTripFloor(request: RequestFacts): number | undefined {
  if (!request.deep) return undefined
  const knownAt = new Map<number, number>()
  for (const value of request.inputs ?? []) knownAt.set(value, 0)

  let floor = 0
  const calls = request.spans.filter((span) => span.kind === 'query' || span.kind === 'http')
  for (const span of calls.sort((a, b) => a.startMs - b.startMs)) {
    let needs = 0
    for (const value of span.inputs ?? []) needs = Math.max(needs, knownAt.get(value) ?? 0)
    const depth = span.kind === 'query' && !isTransactional(span.name) ? needs + 1 : needs
    for (const value of span.outputs ?? []) {
      if (depth < (knownAt.get(value) ?? Number.POSITIVE_INFINITY)) knownAt.set(value, depth)
    }
    floor = Math.max(floor, depth)
  }
  return floor
}

// They can travel with the statement beside them.
function isTransactional(name: string): boolean {
  return /^(BEGIN|START|COMMIT|END|ROLLBACK|SAVEPOINT|RELEASE|SET)\b/i.test(name)
}
