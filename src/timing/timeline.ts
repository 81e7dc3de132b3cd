/**
 * Timeline: what one request did, from its first byte in to its last byte out.
 *
 * For hooks, in three lines:
 *
 *   const scope = timing.scope()                     // where the user calls; keep it with the work
 *   const span = scope?.open('query', 'SELECT users')   // knows its enclosing span by itself
 *   storage.run(scope, callback)                     // bind(scope, …): spans of one's own stay parents
 *
 * `timing.current()` gives the `Timeline` itself, for what is about the request (`deep`, `route`).
 *
 * What lies in the one AsyncLocalStorage is a **scope**: nearly always the timeline itself, or, inside
 * of `timing.span`, a light object with the timeline and the enclosing span. Both open spans the same
 * way. The common request thus pays for one object and one `storage.run`; only spans of one's own pay
 * for a second. Parents are right under `Promise.all`, since each branch has its own async context:
 *
 *   storage ─▶ Timeline ◀─┬─ SpanScope(within: A) ◀─ storage inside of span A
 *                         └─ SpanScope(within: B) ◀─ storage inside of span B
 *
 * A request may end before its work does. After `finish`:
 *   - a span that was open and ends now is added to the totals of its route (`late`), and stays
 *     without duration in the facts of the request;
 *   - work that begins now belongs to no request any more and is counted as background: a timer
 *     started by the first request would else be charged to its route for ever. Only where the client
 *     went away the handler is still at work for it, and for a minute its work counts as late.
 *
 * At most `maxSpans` spans are kept; the rest are counted (`droppedSpans`) and added to all totals.
 */
import type { AsyncLocalStorage } from 'node:async_hooks'
import type { RequestFacts, SpanFacts, SpanKind } from '../core/facts.ts'
import { foldPath } from '../core/fold-path.ts'
import type { RouteTotals } from './route-totals.ts'
import { Span, type SpanOwner } from './span.ts'
import { Totals } from './totals.ts'
import { parseTraceparent, type TraceContext } from './traceparent.ts'

/** What the storage holds. */
export interface Scope {
  readonly timeline: Timeline
  /** The span of one's own that encloses what happens now. */
  readonly within: Span | undefined
  /**
   * Opens a span inside of `within`. `startMs`, where it began before, is of `performance.now()`.
   * Always returns one; callers may still write `?.`.
   */
  open(kind: SpanKind, name: string, startMs?: number): Span
}

/** What a timeline needs of the one who keeps it. */
export interface TimelineHost {
  readonly storage: AsyncLocalStorage<Scope>
  readonly maxSpans: number
  /** Owner and counter of spans that belong to no request. */
  readonly backgroundSpans: SpanOwner
  /** Epoch milliseconds at which the clock stood at 0. */
  readonly epochMs: number
  now(): number
}

const NO_SPANS: Span[] = []
const MAX_NAME = 200
/** Longer than any that is valid in this version; room for a later one. */
const MAX_TRACEPARENT = 256
const ABORTED_WORK_MS = 60_000

export class Timeline implements Scope, SpanOwner {
  readonly id: number
  readonly method: string
  /** As it came, with its query string. Emptied when the request has finished: it holds users' values. */
  path: string
  /** Pattern as the framework knows it. Whoever knows sets it before `finish`; else it is the folded path. */
  route: string | undefined
  status = 0
  aborted = false
  readonly startMs: number
  /** NaN until it has finished. */
  endMs: number = NaN
  /** Requests in flight when it came, itself included. */
  readonly concurrency: number
  /** Hooks hash values for this one. */
  deep = false
  inputs: readonly number[] | undefined
  responseBytes: number | undefined
  loopActiveMs: number | undefined
  /** In order of opening. Do not push: `open` does. */
  spans: Span[] = NO_SPANS
  droppedSpans = 0
  ended = false
  readonly within: undefined

  /** Set by `finish`. @internal */
  totals: RouteTotals | undefined
  /** Lists of the store that hold this request, and its share of the store's bytes. @internal */
  keepers = 0
  /** @internal */
  keptBytes = 0
  /** Event loop's active time at the start, -1 where it was not asked for. @internal */
  loopStartMs = -1
  /** Whether a span of one's own was opened, so that a parent has to be looked for. @internal */
  isScoped = false
  /** Ended spans that are not kept, until the route is known. @internal */
  overflow: Totals | undefined
  /** What goes out in `traceparent`; made when first asked for. @internal */
  outgoing: TraceContext | undefined

  readonly #host: TimelineHost
  /** As it came, until somebody asks for it. */
  #traceparent: string | TraceContext | undefined

  constructor(
    host: TimelineHost,
    id: number,
    method: string,
    path: string,
    startMs: number,
    concurrency: number,
    traceparent: string | undefined,
  ) {
    this.#host = host
    this.id = id
    this.method = method
    this.path = path
    this.startMs = startMs
    this.concurrency = concurrency
    if (traceparent !== undefined && traceparent.length <= MAX_TRACEPARENT) {
      this.#traceparent = traceparent
    }
  }

  get timeline(): Timeline {
    return this
  }

  /** Epoch milliseconds. */
  get startedAt(): number {
    return this.#host.epochMs + this.startMs
  }

  /** Milliseconds; until now where it is still under way. */
  get durationMs(): number {
    return (this.ended ? this.endMs : this.#host.now()) - this.startMs
  }

  /** What the caller sent in `traceparent`, where it is valid. */
  get incoming(): TraceContext | undefined {
    let context = this.#traceparent
    if (typeof context === 'string') this.#traceparent = context = parseTraceparent(context)
    return context
  }

  get traceId(): string | undefined {
    return this.incoming?.traceId
  }

  get parentSpanId(): string | undefined {
    return this.incoming?.spanId
  }

  open(kind: SpanKind, name: string, startMs?: number): Span {
    let parent: Span | undefined
    if (this.isScoped) {
      const scope = this.#host.storage.getStore()
      if (scope?.timeline === this) parent = scope.within
    }
    return this.openWithin(parent, kind, name, startMs)
  }

  /** @internal */
  openWithin(parent: Span | undefined, kind: SpanKind, name: string, startMs?: number): Span {
    const host = this.#host
    const start = startMs ?? host.now()
    if (this.ended) {
      const isLate = this.aborted && start - this.endMs < ABORTED_WORK_MS
      return new Span(isLate ? this : host.backgroundSpans, kind, name, start, undefined)
    }
    const span = new Span(this, kind, name, start, openOf(parent))
    if (this.spans === NO_SPANS) this.spans = [span]
    else if (this.spans.length < host.maxSpans) this.spans.push(span)
    else {
      this.droppedSpans += 1
      span.isKept = false
    }
    return span
  }

  /** @internal */
  now(): number {
    return this.#host.now()
  }

  /** @internal */
  spanEnded(span: Span): void {
    if (this.totals) this.totals.addLate(span)
    // Kept spans are added by `finish`, when the route is known.
    else if (!span.isKept) (this.overflow ??= new Totals()).add(span)
  }

  toFacts(): RequestFacts {
    return {
      pid: process.pid,
      ...(known(this, requestFields) as Omit<RequestFacts, 'pid' | 'route' | 'spans'>),
      route: this.route ?? foldPath(this.path),
      spans: this.#spanFacts(),
    }
  }

  #spanFacts(): SpanFacts[] {
    const { spans, startMs, endMs } = this
    const indexOf = new Map(spans.map((span, index) => [span, index]))
    return spans.map((span) => {
      // A parent that was dropped hands its children to the one that encloses it.
      let { parent } = span
      while (parent && !indexOf.has(parent)) parent = parent.parent
      const isOpen = span.isOpen || span.endMs > endMs
      return {
        ...(known(span, spanFields) as Pick<Span, 'kind'>),
        name: span.name.slice(0, MAX_NAME),
        startMs: span.startMs - startMs,
        durationMs: isOpen ? -1 : span.endMs - span.startMs,
        ...(parent && { parent: indexOf.get(parent) as number }),
      }
    })
  }
}

/** The scope inside of a span of one's own. */
export class SpanScope implements Scope {
  readonly timeline: Timeline
  readonly within: Span

  constructor(timeline: Timeline, within: Span) {
    this.timeline = timeline
    this.within = within
  }

  open(kind: SpanKind, name: string, startMs?: number): Span {
    return this.timeline.openWithin(this.within, kind, name, startMs)
  }
}

/** Work may outlive the span that began it; then it belongs to the next one out that is still open. */
function openOf(span: Span | undefined): Span | undefined {
  while (span && !span.isOpen) span = span.parent
  return span
}

const requestFields = [
  ...(['id', 'method', 'status', 'aborted', 'startedAt', 'durationMs', 'concurrency'] as const),
  ...(['deep', 'droppedSpans', 'traceId', 'responseBytes', 'loopActiveMs', 'inputs'] as const),
] as const
const spanFields = [
  ...(['kind', 'error', 'statement', 'rows', 'bytes', 'connection', 'transaction'] as const),
  ...(['method', 'host', 'status', 'hit', 'inputs', 'outputs'] as const),
]

/** Those of the fields that are set. */
function known<T, Field extends keyof T>(
  source: T,
  fields: readonly Field[],
): { [Each in Field]?: Exclude<T[Each], undefined> } {
  const entries = fields.map((field) => [field, source[field]])
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined)) as never
}
