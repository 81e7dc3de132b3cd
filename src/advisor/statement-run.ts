/**
 * Statement run: all calls of one shape within one request, and whether they are one loop.
 *
 * Failed calls are out: what was tried again is not asked for twice. Left are the calls whose values
 * differ; those that repeat the same values are another matter (`duplicate-query.ts`).
 *
 * A loop whose turns need each other cannot be one statement. It shows in the values: each call sends
 * what the call before it brought (keyset pages, a walk up a tree). And a list that is fetched in
 * chunks is a loop that somebody has combined already.
 */
import type { RequestView, Situation, SpanView } from './situation.ts'
import type { StatementText } from './statement-text.ts'

export interface StatementRun {
  readonly statement: string
  readonly shape: StatementText
  readonly calls: readonly SpanView[]
  /** The calls that sent values of their own; undefined where no values are known. */
  readonly distinct: number | undefined
  /** Place among the inputs of the one value that differs from call to call. */
  readonly varying: number | undefined
  /** All values that differ came with the request itself. */
  readonly isFromRequest: boolean
}

/** Runs of at least `minCalls` reads, by statement. */
export function runsOf(
  request: RequestView,
  situation: Situation,
  minCalls: number,
): StatementRun[] {
  const byStatement = new Map<string, SpanView[]>()
  for (const span of request.queries) {
    if (span.statement === undefined || span.error !== undefined) continue
    const calls = byStatement.get(span.statement)
    if (calls === undefined) byStatement.set(span.statement, [span])
    else calls.push(span)
  }
  return [...byStatement].flatMap(([statement, calls]) => {
    if (calls.length < minCalls) return []
    const shape = situation.statementOf(calls[0] as SpanView)
    if (!canBeCombined(shape)) return []
    const run = runOf(request, statement, shape, calls)
    return run === undefined ? [] : [run]
  })
}

function canBeCombined(shape: StatementText): boolean {
  if (!shape.isRead || shape.isControl || shape.isVolatile || shape.isPage) return false
  return shape.relations.length > 0
}

function runOf(
  request: RequestView,
  statement: string,
  shape: StatementText,
  calls: readonly SpanView[],
): StatementRun | undefined {
  const sent = calls.flatMap(({ inputs }) => (inputs === undefined ? [] : [inputs]))
  if (!request.facts.deep || sent.length < calls.length) {
    // Without values a list cannot be told from a loop beside a list.
    if (shape.hasList) return undefined
    return {
      statement,
      shape,
      calls,
      distinct: undefined,
      varying: undefined,
      isFromRequest: false,
    }
  }
  const distinct = new Set(sent.map((inputs) => inputs.join(' '))).size
  const places = varyingPlaces(sent)
  if (shape.hasList && places.length !== 1) return undefined
  if (isChain(request, calls, places)) return undefined
  const own = new Set(request.facts.inputs)
  return {
    statement,
    shape,
    calls,
    distinct,
    varying: places.length === 1 ? places[0] : undefined,
    isFromRequest:
      places.length > 0 &&
      sent.every((inputs) => places.every((place) => own.has(inputs[place] as number))),
  }
}

/** Places whose value differs from call to call; all of them where the calls differ in length. */
function varyingPlaces(sent: readonly (readonly number[])[]): number[] {
  const first = sent[0] ?? []
  const longest = Math.max(0, ...sent.map(({ length }) => length))
  const places = Array.from({ length: longest }, (_, place) => place)
  if (sent.some(({ length }) => length !== first.length)) return places
  return places.filter((place) => sent.some((inputs) => inputs[place] !== first[place]))
}

/** At least half of the calls send something that only a call before it of the same shape brought. */
function isChain(
  request: RequestView,
  calls: readonly SpanView[],
  places: readonly number[],
): boolean {
  const begin = calls[0]?.startMs ?? 0
  const known = new Set(request.facts.inputs)
  for (const span of request.spans) {
    if (span.endMs > begin) continue
    for (const value of span.outputs ?? []) known.add(value)
    for (const value of span.inputs ?? []) known.add(value)
  }
  const brought = new Set<number>()
  let chained = 0
  for (const call of calls.toSorted((a, b) => a.startMs - b.startMs)) {
    const needs = places.flatMap((place) => call.inputs?.[place] ?? [])
    if (needs.some((value) => brought.has(value) && !known.has(value))) chained += 1
    for (const value of call.outputs ?? []) brought.add(value)
  }
  return chained * 2 >= calls.length - 1
}
