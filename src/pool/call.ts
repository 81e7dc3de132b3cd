/**
 * Call: one statement of one caller, from `pool.query` to its rows.
 *
 * To `pg.Client` it is a query object (a submittable), so the protocol stays the client's. It differs
 * from `pg.Query` in what it need not do: its parameters were serialised when it was asked, so that a
 * value that cannot be is the caller's error and never reaches the connection; its messages leave
 * with those of other calls in one write; the columns of a prepared statement are described once.
 *
 * A call settles once. After that it may still be under way on the server (a deadline passed): then
 * it keeps its place on the connection until its answer has come, and nobody hears of it.
 */
import pg from 'pg'
import { lostError } from './lost-call.ts'
import type { PgError } from './pg.ts'
import type { PoolMessage } from './pool-message.ts'
import type { PooledConnection, Prepared } from './pooled-connection.ts'
import type { KnownText } from './statement-book.ts'
import type { WaitingLine } from './waiting-line.ts'
import type { PoolWaiter } from './waiting-lines.ts'

export interface CallOwner {
  answered(call: Call): void
  failed(call: Call, error: unknown): void
}

/** The shape of `pg.Result`, as far as it is used here. */
export interface CallResult {
  rowCount: number | null
  readonly rows: unknown[]
  fields: unknown[]
  readonly _types?: TypeParsers
  _parsers?: unknown[]
  /** A row with each column null, which `parseRow` copies. */
  _prebuiltEmptyResultObject?: object | null
  addFields(fields: readonly unknown[]): void
  addCommandComplete(message: unknown): void
  parseRow(values: readonly (string | null)[]): unknown
}

interface TypeParsers {
  getTypeParser(oid: number, format: string): unknown
}

interface Field {
  readonly dataTypeID: number
  readonly format?: string
}

const Result = (pg as unknown as { Result: new (rowMode: unknown, types: unknown) => CallResult })
  .Result

export type Settle = (error: unknown, result?: CallResult) => void

function ignore(): void {}

export class Call implements PoolWaiter {
  /** Seen by `hasten/observe`, which hears of calls on the pool's own channel. */
  readonly isPoolCall = true
  /** There is one, so that `Client.query` adds none. */
  callback: () => void = ignore
  readonly owner: CallOwner
  readonly known: KnownText
  readonly values: readonly unknown[] | undefined
  readonly rowMode: unknown
  readonly types: unknown
  binary: unknown
  readonly #settle: Settle
  priority = 1
  caller = 0
  order = 0
  isSettled = false
  askedMs = 0
  sentMs = 0
  /** Of what the server did with it, once answered. */
  serviceMs = 0
  attempts = 0
  /** Which flush of the connection took it to the socket. */
  flush = 0
  /** The how-manieth run of its prepared statement on this connection; 0: unnamed. */
  use = 0
  cancelRequests = 0
  /** CommandComplete has come, ReadyForQuery not yet. */
  isComplete = false
  /** Went with others on a connection that is shared. */
  isExpress = false
  /** The line in which it waits or last waited. */
  line: WaitingLine<PoolWaiter> | undefined = undefined
  acquireTimer: NodeJS.Timeout | undefined = undefined
  /** Was cancelled because it held others up, and runs again. */
  isPreempted = false
  bytes = 0
  connection: PooledConnection | undefined = undefined
  prepared: Prepared | undefined = undefined
  result: CallResult | undefined = undefined
  #rowError: unknown = undefined
  /** Clears timers and listeners of a deadline. */
  cleanUp: (() => void) | undefined = undefined
  /** For whoever listens to the pool's channels. */
  message: PoolMessage | undefined = undefined

  constructor(
    owner: CallOwner,
    known: KnownText,
    values: readonly unknown[] | undefined,
    rowMode: unknown,
    types: unknown,
    binary: unknown,
    settle: Settle,
  ) {
    this.owner = owner
    this.known = known
    this.values = values
    this.rowMode = rowMode
    this.types = types
    this.binary = binary
    this.#settle = settle
  }

  /** Told to the caller, once. */
  settle(error: unknown, result?: CallResult): void {
    if (this.isSettled) return
    this.isSettled = true
    clearTimeout(this.acquireTimer)
    this.cleanUp?.()
    this.message?.done(error)
    this.#settle(error, result)
  }

  /** No connection could be had. One that comes again has not run before. */
  fail(error: unknown): void {
    this.settle(this.attempts > 0 ? lostError(true, error) : error)
  }

  /** To be sent again. */
  reset(): void {
    this.connection = undefined
    this.prepared = undefined
    this.result = undefined
  }

  /** Called by the client when it is the call's turn. */
  submit(): null {
    const connection = this.connection as PooledConnection
    this.result = new Result(this.rowMode, this.types ?? connection.types)
    this.#rowError = undefined
    this.isComplete = false
    this.bytes = 0
    connection.write(this)
    return null
  }

  handleRowDescription(message: { fields: readonly unknown[] }): void {
    if (this.prepared !== undefined && !this.binary) this.prepared.fields = message.fields
    this.#byItsTypes(() => this.result?.addFields([...message.fields]))
    if (this.prepared !== undefined && !this.binary) {
      this.prepared.emptyRow = this.result?._prebuiltEmptyResultObject ?? undefined
    }
  }

  /** As by a description, of a statement that was described before. */
  expect(fields: readonly unknown[], emptyRow: object | undefined): void {
    this.#byItsTypes(() => this.#expect(fields, emptyRow))
  }

  /** Types of the caller's own may throw: his error, when the answer has come, and nobody else's. */
  #byItsTypes(describe: () => void): void {
    try {
      describe()
    } catch (error) {
      this.#rowError ??= error ?? new Error('the types of the statement threw')
    }
  }

  #expect(fields: readonly unknown[], emptyRow: object | undefined): void {
    const { result } = this
    const types = result?._types
    if (result === undefined) return
    if (types === undefined || emptyRow === undefined) {
      result.addFields([...fields])
      return
    }
    // What `addFields` does, but for the empty row. Parsers are looked up each time: they may be replaced.
    const parsers: unknown[] = []
    for (const { dataTypeID, format } of fields as readonly Field[]) {
      parsers.push(types.getTypeParser(dataTypeID, format || 'text'))
    }
    result.fields = [...fields]
    result._parsers = parsers
    result._prebuiltEmptyResultObject = emptyRow
  }

  handleDataRow(message: { fields: readonly (string | null)[]; length: number }): void {
    this.bytes += message.length
    const { result } = this
    if (result === undefined || this.isSettled || this.#rowError !== undefined) return
    try {
      result.rows.push(result.parseRow(message.fields))
    } catch (error) {
      this.#rowError = error ?? new Error('a type parser threw')
    }
  }

  handleCommandComplete(message: unknown): void {
    this.isComplete = true
    this.result?.addCommandComplete(message)
  }

  handleEmptyQuery(): void {
    this.isComplete = true
  }

  handlePortalSuspended(): void {}

  handleCopyInResponse(connection: { sendCopyFail(reason: string): void }): void {
    connection.sendCopyFail('No source stream defined')
  }

  handleCopyData(): void {}

  handleReadyForQuery(): void {
    if (this.#rowError !== undefined) this.owner.failed(this, this.#rowError)
    else this.owner.answered(this)
  }

  handleError(error: PgError): void {
    this.owner.failed(this, error)
  }
}

// `Client.query` lets only its own kind of query into a pipeline.
const { Query } = pg as unknown as { Query: { prototype: object } }
Object.setPrototypeOf(Call.prototype, Query.prototype)
