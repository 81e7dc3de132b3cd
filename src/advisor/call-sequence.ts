/**
 * Call sequence: calls of one request that ran one after another although each could have been sent
 * when the first one was.
 *
 *   known when `a` is sent ─┬─▶ a ──▶ outputs of a
 *                           ├─▶ b     sends nothing but what was known: could run beside a
 *                           └─▶ c     sends a value that a brought: must wait
 *
 * Known are the values that came with the request, those sent by calls that began no later, and those
 * brought by calls that had ended before. A call whose values are not all known is free only if
 *   - no call of the sequence brought them, and they are of the code, not of the data: literal segments
 *     of its URL, or what stands at the same place in every sampled request although these differ; or
 *   - all that the sequence brought is known in full and the value is not among it. It may still have
 *     been computed from something: `isExplained` is false then, and nobody is accused.
 * Where the results of a call are not known (the body of an outbound call, more rows than are hashed),
 * only the first way is open.
 *
 * A sequence ends at whatever is no free read: a write, a transaction, a failure, a call beside
 * another, a call that had been asked for before the last one ended (it waited for a connection: that
 * is `Promise.all` over a small pool), two statements on one client, computing in between.
 */
import type { RequestView, Situation, SpanView } from './situation.ts'
import { coveredBetween } from './measure.ts'

export interface CallSequence {
  readonly calls: readonly SpanView[]
  /** Every value sent is accounted for. */
  readonly isExplained: boolean
  /** One that others follow brought no row, so that nothing could show what they take from it. */
  readonly hasEmpty: boolean
}

/** What holds for all sampled requests of a route. */
export interface Constants {
  has(call: SpanView, ordinal: number, place: number, value: number): boolean
}

/** Between two calls the application may do so much: in the order of a turn of the loop and a parse. */
const GAP_MS = 5
/** Of the calls around it. */
const GAP_SHARE = 0.2
const EPSILON_MS = 0.1
/** Bounds of `outputs`, see facts.ts. */
const HASHED_ROWS = 64
const HASHED_VALUES = 512

export function callName(call: SpanView): string {
  return call.kind === 'query' ? `query:${call.statement ?? call.name}` : `http:${call.name}`
}

/** Calls by the order of their kind of call within the request: the second `GET rates/:id`. */
export function ordinals(request: RequestView): Map<SpanView, number> {
  const seen = new Map<string, number>()
  const result = new Map<SpanView, number>()
  for (const span of request.spans) {
    if (span.kind !== 'query' && span.kind !== 'http') continue
    const name = callName(span)
    const ordinal = seen.get(name) ?? 0
    seen.set(name, ordinal + 1)
    result.set(span, ordinal)
  }
  return result
}

/** Values that stand at the same place in all requests, where the requests themselves differ. */
export function constantsOf(requests: readonly RequestView[]): Constants {
  const kinds = new Set(requests.map(({ facts }) => (facts.inputs ?? []).join(' ')))
  const values = new Map<string, Set<number>>()
  if (kinds.size > 1) {
    for (const request of requests) {
      for (const [call, ordinal] of ordinals(request)) {
        for (const [place, value] of (call.inputs ?? []).entries()) {
          const key = `${callName(call)} ${ordinal} ${place}`
          const known = values.get(key)
          if (known === undefined) values.set(key, new Set([value]))
          else known.add(value)
        }
      }
    }
  }
  return {
    has: (call, ordinal, place) => {
      if (isLiteralSegment(call, place)) return true
      return values.get(`${callName(call)} ${ordinal} ${place}`)?.size === 1
    },
  }
}

/** Sequences of at least two calls, in order. `skip` names calls that are somebody else's matter. */
export function sequencesOf(
  request: RequestView,
  situation: Situation,
  constants: Constants,
  skip: ReadonlySet<string>,
): CallSequence[] {
  if (!request.facts.deep) return []
  const calls = request.spans.filter(({ kind }) => kind === 'query' || kind === 'http')
  const order = ordinals(request)
  const found: CallSequence[] = []
  let current: SpanView[] = []
  let isExplained = true
  const finish = () => {
    if (current.length >= 2) {
      const hasEmpty = current.slice(0, -1).some(({ kind, rows }) => kind === 'query' && rows === 0)
      found.push({ calls: current, isExplained, hasEmpty })
    }
    current = []
    isExplained = true
  }
  for (const call of calls) {
    const isFree =
      isCandidate(call, request, situation) &&
      !skip.has(call.statement ?? '') &&
      !calls.some((other) => other !== call && overlaps(other, call))
    if (!isFree) {
      finish()
      continue
    }
    const last = current.at(-1)
    if (last !== undefined) {
      const dependence = follows(request, current, call)
        ? dependenceOf(request, current, call, constants, order.get(call) ?? 0)
        : 'dependent'
      if (dependence === 'dependent') finish()
      else if (dependence === 'unexplained') isExplained = false
    }
    current.push(call)
  }
  finish()
  return found
}

function isCandidate(call: SpanView, request: RequestView, situation: Situation): boolean {
  if (call.error !== undefined || call.inputs === undefined) return false
  if (call.kind === 'http') {
    const isGet = call.method === 'GET' || call.method === 'HEAD'
    return isGet && (call.status ?? 200) < 400 && !isGuard(call.name)
  }
  const shape = situation.statementOf(call)
  if (!shape.isRead || shape.isVolatile || shape.relations.length === 0) return false
  if (call.transaction !== undefined) return false
  return !isFirstLookup(call, request, situation)
}

/** Whoever may not go on is asked first; what follows must wait for the answer, whatever it sends. */
function isGuard(name: string): boolean {
  return /auth|session|token|introspect|verify|login|permission|userinfo|acl\b/i.test(name)
}

const principals =
  /(?:^|_|\.)(?:user|account|session|token|api_?key|credential|member|tenant|permission|role)s?(?:$|_)/i

/**
 * Who asks: the first statement about somebody or something that may act, and at most one row of it.
 * Before it stand single lookups at most (of the host, of settings), as a chain of middleware makes.
 */
function isFirstLookup(call: SpanView, request: RequestView, { statementOf }: Situation): boolean {
  if (!isLookupOfPrincipal(call)) return false
  for (const each of request.queries) {
    if (each === call) return true
    if (each.statement === undefined || statementOf(each).isControl) continue
    if ((each.rows ?? 2) > 1 || isLookupOfPrincipal(each)) return false
  }
  return false

  function isLookupOfPrincipal(each: SpanView): boolean {
    const { relations } = statementOf(each)
    return (each.rows ?? 2) <= 1 && relations.some((relation) => principals.test(relation))
  }
}

function overlaps(a: SpanView, b: SpanView): boolean {
  return a.startMs < b.endMs - EPSILON_MS && b.startMs < a.endMs - EPSILON_MS
}

/** `call` belongs behind the calls before it: same level, no client of its own, nothing in between. */
function follows(request: RequestView, current: readonly SpanView[], call: SpanView): boolean {
  const last = current.at(-1) as SpanView
  if (enclosingOf(request, last) !== enclosingOf(request, call)) return false
  if (sameClient(request, current, call)) return false
  // The same call again with the same values: polling, or a second try.
  if (current.some((each) => callName(each) === callName(call) && sameValues(each, call))) {
    return false
  }
  const gapMs = call.startMs - last.endMs
  const waits = request.spans.filter(({ kind }) => kind === 'pool-wait' || kind === 'connect')
  const isAskedBefore = waits.some(
    (wait) =>
      wait.startMs < last.endMs - EPSILON_MS &&
      wait.endMs >= last.endMs - EPSILON_MS &&
      wait.endMs <= call.startMs + EPSILON_MS,
  )
  if (isAskedBefore) return false
  const helpers = request.spans.filter(({ kind }) => kind !== 'custom' && kind !== 'cpu')
  const computingMs = gapMs - coveredBetween(helpers, last.endMs, call.startMs)
  const aroundMs = last.durationMs + call.durationMs
  return computingMs <= Math.max(GAP_MS, GAP_SHARE * aroundMs)
}

/** Span of the application's own that encloses a call; a checkout is none. */
function enclosingOf(request: RequestView, call: SpanView): number | undefined {
  let { parent } = call
  for (let up = 0; up < 64 && parent !== undefined; up++) {
    const span = request.facts.spans[parent]
    if (span?.name !== 'pg.checkout') return parent
    parent = span.parent
  }
  return parent
}

/** Both would run on one client, which runs one statement at a time. */
function sameClient(request: RequestView, current: readonly SpanView[], call: SpanView): boolean {
  if (call.kind !== 'query' || call.connection === undefined) return false
  return current.some((other) => {
    if (other.kind !== 'query' || other.connection !== call.connection) return false
    return request.spans.some((span) => {
      if (span.connection !== undefined && span.connection !== call.connection) return false
      // A client lent by a pool for both of them, or one that the request opened for itself.
      if (span.kind === 'connect') return span.endMs <= other.startMs + EPSILON_MS
      const isHeld = span.kind === 'custom' && span.name === 'pg.checkout'
      return (
        isHeld &&
        span.startMs <= other.startMs + EPSILON_MS &&
        span.endMs >= call.endMs - EPSILON_MS
      )
    })
  })
}

function sameValues(a: SpanView, b: SpanView): boolean {
  return a.inputs?.join(' ') === b.inputs?.join(' ')
}

type Dependence = 'free' | 'unexplained' | 'dependent'

function dependenceOf(
  request: RequestView,
  current: readonly SpanView[],
  call: SpanView,
  constants: Constants,
  ordinal: number,
): Dependence {
  const begin = (current[0] as SpanView).startMs
  const known = new Set(request.facts.inputs)
  for (const span of request.spans) {
    if (span.startMs <= begin) for (const value of span.inputs ?? []) known.add(value)
    if (span.endMs <= begin) for (const value of span.outputs ?? []) known.add(value)
  }
  const brought = new Set(current.flatMap(({ outputs }) => outputs ?? []))
  const isBroughtInFull = current.every(isKnownInFull)
  const isAgain = current.some((each) => callName(each) === callName(call))
  let result: Dependence = 'free'
  for (const [place, value] of (call.inputs ?? []).entries()) {
    if (known.has(value)) continue
    if (brought.has(value)) return 'dependent'
    if (isLiteralSegment(call, place)) {
      // `/plans/gold` may be a word of the code's or of an answer's; `/plans` and `/plans/:id` are not.
      if (!isBroughtInFull && isLastOfSeveral(call, place)) result = 'unexplained'
      continue
    }
    // Page 2 after page 1 is a constant as well, and yet nobody knows before whether there is one.
    if (!isAgain && constants.has(call, ordinal, place, value)) continue
    if (!isBroughtInFull || isAgain) return 'dependent'
    result = 'unexplained'
  }
  return result
}

function isKnownInFull({ outputs, rows }: SpanView): boolean {
  return outputs !== undefined && outputs.length < HASHED_VALUES && (rows ?? 0) <= HASHED_ROWS
}

/**
 * Values of an outbound call are the segments of its path, then its query. The call's name has the
 * folded path, so a segment that was not folded is a word of the code's, or an answer's.
 */
function isLiteralSegment(call: SpanView, place: number): boolean {
  const segment = segmentsOf(call)[place]
  return segment !== undefined && !segment.startsWith(':')
}

function isLastOfSeveral(call: SpanView, place: number): boolean {
  return place > 0 && place === segmentsOf(call).length - 1
}

function segmentsOf(call: SpanView): string[] {
  if (call.kind !== 'http') return []
  const path = call.name.split(' ').at(-1) ?? ''
  return path
    .replace(/^\w+:\/\//, '')
    .split('/')
    .filter((each) => each !== '')
    .slice(1)
}
