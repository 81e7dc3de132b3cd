/**
 * Span: one stretch of work within a request.
 *
 * Made by `open`, ended once by `end`; between the two the hook that opened it writes what it learns
 * into the fields of its kind. All fields are there from the start, so that V8 knows one shape of it
 * and a write costs a store. Nothing is computed before somebody looks: facts are made from spans by
 * `Timeline.toFacts`.
 */
import type { SpanKind } from '../core/facts.ts'

/** Whoever counts a span once it has ended. A timeline, or the background of the process. */
export interface SpanOwner {
  /** Reads the clock. */
  now(): number
  /** Called once for each span, when it has ended. */
  spanEnded(span: Span): void
}

const MAX_ERROR = 64

export class Span {
  readonly kind: SpanKind
  name: string
  /** Milliseconds of the clock of timing (`performance.now()`). */
  startMs: number
  /** NaN while it is open. */
  endMs: number = NaN
  parent: Span | undefined
  /** Error code (SQLSTATE, `ECONNREFUSED`) or class name. */
  error: string | undefined

  // query
  statement: string | undefined
  rows: number | undefined
  bytes: number | undefined
  connection: number | undefined
  transaction: number | undefined

  // http
  method: string | undefined
  host: string | undefined
  status: number | undefined

  // cache
  hit: boolean | undefined

  // deep requests
  inputs: readonly number[] | undefined
  outputs: readonly number[] | undefined

  /** False where its request had enough of them and only counts it. @internal */
  isKept = true

  readonly #owner: SpanOwner

  constructor(
    owner: SpanOwner,
    kind: SpanKind,
    name: string,
    startMs: number,
    parent: Span | undefined,
  ) {
    this.#owner = owner
    this.kind = kind
    this.name = name
    this.startMs = startMs
    this.parent = parent
  }

  get isOpen(): boolean {
    return Number.isNaN(this.endMs)
  }

  /** Only the first call counts. `error` is what it failed with; anything but `undefined` is a failure. */
  end(error?: unknown): void {
    if (!this.isOpen) return
    if (error !== undefined) this.error = errorNameOf(error)
    const now = this.#owner.now()
    this.endMs = now > this.startMs ? now : this.startMs
    this.#owner.spanEnded(this)
  }
}

function errorNameOf(error: unknown): string {
  try {
    const { code, name } = error as { code?: unknown; name?: unknown }
    for (const text of [code, name]) {
      if (text && typeof text === 'string') return text.slice(0, MAX_ERROR)
    }
  } catch {
    // null, or a getter that throws: whatever it was, it was an error.
  }
  return 'Error'
}
