/**
 * Duplicate query: one request asks the database the same thing again.
 *
 * Same shape, same values, same answer, within one request, and nothing in between that could have
 * changed the answer. Judged on requests whose values were hashed, in at least `minShare` of them.
 *
 * Not accused:
 *   - a write on one of the relations in between, or one whose relations are unknown, or an outbound
 *     call that is no GET: the second read may be there for what changed;
 *   - a read in a transaction that also writes, repeated outside of it or in another one: check, lock,
 *     check again;
 *   - calls with a failure in between: a retry, often of a whole transaction;
 *   - polling: more than `pollGapMs` of waiting, covered by nothing, between the two;
 *   - answers that differ, and statements that are meant to (sequences, clocks, locks);
 *   - `SELECT 1` and other statements without a relation;
 *   - what n-plus-one already accuses.
 *
 * Saving: what the second and later calls add to the time that the database covers; nothing where
 * they ran beside the first.
 */
import type { Candidate } from './candidate.ts'
import { covered, coveredBetween, figure, median, sum } from './measure.ts'
import { loopStatements } from './n-plus-one.ts'
import type { RequestView, RouteView, Situation, SpanView } from './situation.ts'

export interface DuplicateQueryThresholds {
  /** Of the requests whose values were hashed. */
  readonly minShare: number
  /** Two reads so far apart, with nothing between them, are somebody looking whether it is done. */
  readonly pollGapMs: number
}

export const duplicateQueryThresholds: DuplicateQueryThresholds = { minShare: 0.5, pollGapMs: 50 }

interface Duplicates {
  readonly request: RequestView
  readonly again: readonly SpanView[]
  readonly calls: number
}

export function duplicateQuery(
  situation: Situation,
  thresholds: DuplicateQueryThresholds,
): Candidate[] {
  return situation.routes.flatMap((route) => {
    const requests = route.requests.filter(({ facts }) => facts.deep)
    const byStatement = new Map<string, Duplicates[]>()
    for (const request of requests) {
      for (const [statement, duplicates] of duplicatesOf(request, situation, thresholds)) {
        const list = byStatement.get(statement)
        if (list === undefined) byStatement.set(statement, [duplicates])
        else list.push(duplicates)
      }
    }
    return [...byStatement].flatMap(([statement, seen]) => {
      if (seen.length < thresholds.minShare * requests.length) return []
      return [candidateOf(situation, route, requests.length, statement, seen)]
    })
  })
}

function candidateOf(
  situation: Situation,
  route: RouteView,
  sampled: number,
  statement: string,
  seen: readonly Duplicates[],
): Candidate {
  const shape = situation.statement(statement)
  const again = median(seen.map((each) => each.again.length))
  const table = shape.relations[0] ?? 'a table'
  return {
    kind: 'duplicate-query',
    subject: statement,
    route,
    title: `The same read of ${table} ${again === 1 ? 'twice' : `${figure(again + 1)} times`} in one request`,
    evidence: [
      `${again === 1 ? 'One of the calls repeats' : `${figure(again)} of the calls repeat`} an earlier one with the same values and the same answer, in ${seen.length} of ${sampled} requests whose values were compared: ${shape.text || 'statement of unknown text'}`,
      'Between the calls nothing wrote to what is read.',
      `The repeated calls take ${figure(median(seen.map((each) => sum(each.again.map(({ durationMs }) => durationMs)))))} ms of the database per request.`,
    ],
    confidence: seen.length > 1 ? 'likely' : 'possible',
    remedy: {
      code: [
        `const found = await read${pascal(table)}(…) // once, where the request begins`,
        `await handle(found)                     // hand it on instead of asking again`,
      ].join('\n'),
      note: 'Read it once and pass it on. Where the layers do not know each other, keep the promise on the request (`request.user ??= readUser(id)`), so that whoever comes second awaits the first.',
    },
    claims: [{ resource: `query:${statement}`, ms: median(seen.map(savingOf)) }],
    statements: [statement],
  }
}

function duplicatesOf(
  request: RequestView,
  situation: Situation,
  thresholds: DuplicateQueryThresholds,
): Map<string, Duplicates> {
  const loops = loopStatements(request, situation)
  const groups = new Map<string, SpanView[]>()
  for (const span of request.queries) {
    const { statement, inputs } = span
    if (statement === undefined || inputs === undefined || span.error !== undefined) continue
    const shape = situation.statementOf(span)
    if (loops.has(statement) || !shape.isRead || shape.isVolatile) continue
    if (shape.relations.length === 0) continue
    const key = `${statement} ${inputs.join(' ')}`
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [span])
    else group.push(span)
  }
  const found = new Map<string, Duplicates>()
  for (const calls of groups.values()) {
    const again = calls.filter(
      (call, i) =>
        i > 0 && isRepeated(request, situation, calls[i - 1] as SpanView, call, thresholds),
    )
    if (again.length === 0) continue
    const statement = calls[0]?.statement as string
    const known = found.get(statement)
    found.set(statement, {
      request,
      again: [...(known?.again ?? []), ...again],
      calls: (known?.calls ?? 0) + calls.length,
    })
  }
  return found
}

function isRepeated(
  request: RequestView,
  situation: Situation,
  first: SpanView,
  second: SpanView,
  { pollGapMs }: DuplicateQueryThresholds,
): boolean {
  if (first.rows !== second.rows) return false
  if (first.outputs?.join(' ') !== second.outputs?.join(' ')) return false
  if (first.transaction !== second.transaction || first.connection !== second.connection) {
    if (writesInTransaction(request, situation, first)) return false
    if (writesInTransaction(request, situation, second)) return false
  }
  const gapMs = second.startMs - first.endMs
  const busyMs = coveredBetween(request.spans, first.endMs, second.startMs)
  const loopMs = request.facts.loopActiveMs ?? 0
  if (gapMs - busyMs - loopMs > pollGapMs) return false
  return !request.spans.some((span) => {
    const isBetween = span.startMs < second.startMs && span.endMs > first.startMs
    if (!isBetween || span === first || span === second) return false
    if (span.kind === 'http') return !isSafe(span.method)
    if (span.kind !== 'query') return false
    return span.error !== undefined || mayChange(situation, span, first)
  })
}

function writesInTransaction(request: RequestView, situation: Situation, read: SpanView): boolean {
  if (read.transaction === undefined) return false
  return request.queries.some((span) => {
    if (span.transaction !== read.transaction || span.connection !== read.connection) return false
    const shape = situation.statementOf(span)
    return !shape.isRead && !shape.isControl
  })
}

function mayChange(situation: Situation, span: SpanView, read: SpanView): boolean {
  const shape = situation.statementOf(span)
  if (shape.isRead || shape.isControl) return false
  if (shape.relations.length === 0) return true
  const { relations } = situation.statementOf(read)
  return shape.relations.some((relation) => relations.includes(relation))
}

function savingOf({ request, again }: Duplicates): number {
  const without = request.queries.filter((span) => !again.includes(span))
  return Math.max(0, covered(request.queries) - covered(without))
}

function isSafe(method: string | undefined): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}

function pascal(name: string): string {
  return name.replaceAll(/(?:^|[^\p{L}\p{N}]+)(\p{L})?/gu, (_, letter: string | undefined) =>
    (letter ?? '').toUpperCase(),
  )
}
