/** Span: one thing that a request waited for or did. Open until `end` is called, once. */
import type { SpanFacts, SpanKind } from '../core/facts.ts'
import type { Timeline } from './timeline.ts'

export class Span {
  readonly timeline: Timeline
  readonly kind: SpanKind
  name: string
  /** `performance.now()`, like every time of the timeline. */
  startMs: number
  /** NaN while it is open. */
  endMs: number = Number.NaN
  readonly parent: Span | undefined
  /** False where the request had as many spans as are kept: counted, not shown. */
  readonly isKept: boolean
  error: string | undefined = undefined
  statement: string | undefined = undefined
  rows = 0
  bytes = 0
  connection = 0
  transaction = 0
  method: string | undefined = undefined
  host: string | undefined = undefined
  status = 0
  hit: boolean | undefined = undefined
  inputs: number[] | undefined = undefined
  outputs: number[] | undefined = undefined

  constructor(
    timeline: Timeline,
    kind: SpanKind,
    name: string,
    startMs: number,
    parent: Span | undefined,
    isKept: boolean,
  ) {
    this.timeline = timeline
    this.kind = kind
    this.name = name
    this.startMs = startMs
    this.parent = parent
    this.isKept = isKept
  }

  get isOpen(): boolean {
    return Number.isNaN(this.endMs)
  }

  get durationMs(): number {
    return this.endMs - this.startMs
  }

  /** Ends it now, once; later calls do nothing. An error is kept as its code or class name. */
  end(error?: unknown): void {
    if (!this.isOpen) return
    if (error !== undefined && error !== null) this.error = nameOfError(error)
    this.endMs = this.timeline.clock.now()
    this.timeline.spanEnded(this)
  }

  toFacts(originMs: number, indexOf: (span: Span) => number): SpanFacts {
    const { parent, kind } = this
    const isQuery = kind === 'query'
    const parentIndex = parent === undefined ? -1 : indexOf(parent)
    return {
      kind,
      name: this.name,
      startMs: this.startMs - originMs,
      durationMs: this.isOpen ? -1 : this.durationMs,
      ...(parentIndex < 0 ? {} : { parent: parentIndex }),
      ...(this.error === undefined ? {} : { error: this.error }),
      ...(this.statement === undefined ? {} : { statement: this.statement }),
      ...(isQuery ? { rows: this.rows, bytes: this.bytes } : {}),
      ...(this.connection === 0 ? {} : { connection: this.connection }),
      ...(this.transaction === 0 ? {} : { transaction: this.transaction }),
      ...(this.method === undefined ? {} : { method: this.method }),
      ...(this.host === undefined ? {} : { host: this.host }),
      ...(this.status === 0 ? {} : { status: this.status }),
      ...(this.hit === undefined ? {} : { hit: this.hit }),
      ...(this.inputs === undefined ? {} : { inputs: this.inputs }),
      ...(this.outputs === undefined ? {} : { outputs: this.outputs }),
    }
  }
}

/** Never the message: it may hold a value of the user's. */
function nameOfError(error: unknown): string {
  if (typeof error !== 'object' || error === null) return typeof error
  const { code, name } = error as { code?: unknown; name?: unknown }
  const text = typeof code === 'string' && code !== '' ? code : name
  return typeof text === 'string' && text !== '' ? text.slice(0, 40) : 'Error'
}
