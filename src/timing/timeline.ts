/**
 * Timeline: one request, from the moment its head was read until its response was handed over or
 * its client left, with everything that happened inside.
 *
 *   begin ─┬─ pool-wait ─┬─ query ──────┬──────────┬─ finish
 *          │             └ http ────────┴─ custom ─┤        … spans that end later are `late`:
 *          └───────────── concurrency ─────────────┘          counted, shown as unended
 *
 * For hooks: `timing.current()` gives the timeline of the running request, `timing.open(kind, name)`
 * opens a span on it below the user's own `timing.span`, if one runs. The storage holds a `Context`:
 * the timeline itself, or, inside of `timing.span`, a `Scope` that names the enclosing span. Both
 * answer to `.timeline`, so reading it costs one property.
 *
 * Cost decides the form: classes of one shape, no closures, strings and objects of facts only when
 * somebody looks (`toFacts`). Bound: `maxSpans` are kept; those beyond are counted in the totals.
 */
import type { Clock } from '../core/clock.ts'
import type { RequestFacts, SpanKind } from '../core/facts.ts'
import type { RouteTotals } from './route-totals.ts'
import { Span } from './span.ts'

export interface Context {
  readonly timeline: Timeline
  /** Enclosing span of the user's. */
  readonly scope: Span | undefined
}

export class Scope implements Context {
  readonly timeline: Timeline
  readonly scope: Span

  constructor(scope: Span) {
    this.timeline = scope.timeline
    this.scope = scope
  }
}

export class Timeline implements Context {
  readonly timeline: this = this
  readonly scope: undefined = undefined
  readonly id: number
  readonly method: string
  /** As the client sent it, query string included: never leaves the process. */
  readonly path: string
  /** The framework's pattern, once known. */
  route: string | undefined = undefined
  status = 0
  aborted = false
  readonly startMs: number
  endMs: number = Number.NaN
  readonly concurrency: number
  /** Values are to be hashed into `inputs` and `outputs`. */
  readonly deep: boolean
  inputs: number[] | undefined = undefined
  traceId: string | undefined = undefined
  /** Of the caller's span, 16 hex digits. */
  parentSpanId: string | undefined = undefined
  isTraceSampled = false
  responseBytes = 0
  /** Loop's active time at the start, then during the request; NaN where not measured. */
  loopActiveMs: number = Number.NaN
  spans: Span[] = []
  droppedSpans = 0
  ended = false
  readonly clock: Clock
  readonly #maxSpans: number
  #unkept: Span[] | undefined = undefined
  #totals: RouteTotals | undefined = undefined

  constructor(
    id: number,
    method: string,
    path: string,
    startMs: number,
    concurrency: number,
    deep: boolean,
    clock: Clock,
    maxSpans: number,
  ) {
    this.id = id
    this.method = method
    this.path = path
    this.startMs = startMs
    this.concurrency = concurrency
    this.deep = deep
    this.clock = clock
    this.#maxSpans = maxSpans
  }

  /** Epoch milliseconds. */
  get startedAt(): number {
    return performance.timeOrigin + this.startMs
  }

  get durationMs(): number {
    return this.endMs - this.startMs
  }

  /** A new span; the caller ends it. `startMs` where it began before it was known. */
  open(kind: SpanKind, name: string, startMs?: number, parent?: Span): Span {
    const { spans } = this
    const isKept = !this.ended && spans.length < this.#maxSpans
    const span = new Span(this, kind, name, startMs ?? this.clock.now(), parent, isKept)
    if (isKept) spans.push(span)
    else this.droppedSpans += 1
    return span
  }

  /** Called by the span itself. */
  spanEnded(span: Span): void {
    // Before the end of the request `count` will come by; after it, or unkept, nobody else does.
    if (this.#totals !== undefined) this.#totals.addSpan(span)
    else if (!span.isKept) (this.#unkept ??= []).push(span)
  }

  /** Books all spans that have ended to the route's totals; those that end later book themselves. */
  count(totals: RouteTotals): void {
    this.#totals = totals
    for (const span of this.spans) if (!span.isOpen) totals.addSpan(span)
    if (this.#unkept === undefined) return
    for (const span of this.#unkept) totals.addSpan(span)
    this.#unkept = undefined
  }

  toFacts(): RequestFacts {
    const end = this.ended ? this.endMs : this.clock.now()
    const index = new Map(this.spans.map((span, i) => [span, i]))
    const indexOf = (span: Span) => index.get(span) ?? -1
    return {
      id: this.id,
      pid: process.pid,
      method: this.method,
      route: this.route ?? '(unknown)',
      status: this.status,
      aborted: this.aborted,
      startedAt: this.startedAt,
      durationMs: end - this.startMs,
      concurrency: this.concurrency,
      ...(this.traceId === undefined ? {} : { traceId: this.traceId }),
      responseBytes: this.responseBytes,
      ...(Number.isNaN(this.loopActiveMs) ? {} : { loopActiveMs: this.loopActiveMs }),
      deep: this.deep,
      ...(this.deep ? { inputs: this.inputs ?? [] } : {}),
      // What ended after the response is shown as not ended: it is no part of the request's time.
      spans: this.spans.map((span) => {
        const facts = span.toFacts(this.startMs, indexOf)
        return span.endMs > end ? { ...facts, durationMs: -1 } : facts
      }),
      droppedSpans: this.droppedSpans,
    }
  }
}
