/**
 * Pooled connection: one `pg.Client`, the calls under way on it, the statements prepared on it.
 *
 *   calls of one turn of the event loop ─▶ │ bytes │ ─▶ one write ─▶ server
 *                                           in order ◀───── answers
 *
 *   free ──▶ shared     express calls, several under way, each with a Sync of its own
 *        ──▶ alone      one call
 *        ──▶ lent       to a borrower ──▶ resetting ──▶ free
 *        ──▶ closing
 *
 * Rules:
 *   1. A statement is prepared by the second call that knows its text. Until the server has said that
 *      it took it, other calls of that text go unnamed: should it fail, each gets its own error.
 *   2. A name is used once and never again. What was thrown away can be mistaken for nothing.
 *   3. The columns of a prepared statement are asked for once. Should they change, the server refuses
 *      to run it (0A000), and it is prepared anew.
 *   4. At most `maxPrepared` statements; the one whose last use is longest ago is closed for the next.
 *      Behind a pooler by transaction nothing is closed (see there why): what comes later goes unnamed.
 */
import pg from 'pg'
import type { Call } from './call.ts'
import type { PgClient } from './pg.ts'
import { Session } from './session.ts'

export interface Prepared {
  readonly name: string
  /** The server has said that it took it. */
  isReady: boolean
  /** Of its result, once described; none where it returns no rows. */
  fields: readonly unknown[] | undefined
  /** `pg`'s template of a row, made of the fields. */
  emptyRow: object | undefined
  uses: number
  lastUse: number
}

export type ConnectionMode = 'free' | 'shared' | 'alone' | 'lent' | 'resetting' | 'closing'

/** What writes messages of the protocol: the methods of `pg.Connection`, which end in `_send`. */
interface Serializer {
  parse(this: Sink, message: { text: string; name: string; types?: readonly number[] }): void
  bind(this: Sink, message: object): void
  describe(this: Sink, message: object): void
  execute(this: Sink, message: object): void
  close(this: Sink, message: object): void
  sync(this: Sink): void
}

interface Sink {
  _send(bytes: Buffer): void
}

const serializer = (pg as unknown as { Connection: { prototype: Serializer } }).Connection.prototype

const { Query } = pg as unknown as {
  Query: new (text: string, values: undefined, callback: unknown) => object
}

const describeExecuteSync = bytesOf((sink) => {
  serializer.describe.call(sink, { type: 'P', name: '' })
  serializer.execute.call(sink, { portal: '', rows: undefined })
  serializer.sync.call(sink)
})
const executeSync = bytesOf((sink) => {
  serializer.execute.call(sink, { portal: '', rows: undefined })
  serializer.sync.call(sink)
})

const NO_FIELDS: readonly unknown[] = []
/** Bytes of one turn after which they are sent at once. */
const WRITE_BYTES = 64 * 1024

let numbers = 0

export class PooledConnection implements Sink {
  readonly number: number = ++numbers
  readonly client: PgClient
  readonly bornMs: number
  readonly session: Session = new Session()
  readonly types: unknown
  mode: ConnectionMode = 'free'
  /** Under way, the oldest first. */
  readonly calls: Call[] = []
  /** Asked by borrowers and calls together. */
  uses = 0
  freeSinceMs = 0
  /** Of the last answer, from which the next one's time on the server counts. */
  answeredMs = 0
  expiresMs: number = Number.POSITIVE_INFINITY
  isLost = false
  /** The server said goodbye (57P01 …) before the connection went. */
  farewell: string | undefined
  farewellCall: Call | undefined
  /** Takes nothing new until what is under way has ended. */
  isDraining = false
  /** Cancel requests under way, and whether one has ever hit here since it was last quiet. */
  cancels = 0
  hasBeenCancelled = false
  canPrepare: boolean = true
  canClose: boolean = true
  /** Statements that borrowers name are there when they are asked again. */
  canName: boolean = true
  isVerified = false
  /** Of the pool's options: a cancel request goes by the same way. */
  stream: unknown = undefined
  flushes = 0
  readonly #prepared = new Map<string, Prepared>()
  readonly #maxPrepared: number
  readonly #query: (call: unknown, values?: unknown, callback?: unknown) => unknown
  #bytes: Buffer[] = []
  #size = 0
  #clock = 0
  readonly #flush = (): void => this.flush()

  constructor(client: PgClient, nowMs: number, maxPrepared: number) {
    this.client = client
    this.bornMs = nowMs
    this.answeredMs = nowMs
    this.freeSinceMs = nowMs
    this.#maxPrepared = maxPrepared
    this.types = (client as { _types?: unknown })._types
    this.#query = client.query.bind(client)
  }

  /** Puts a call on the wire: now, or when the client's turn for it comes. */
  send(call: Call): void {
    this.calls.push(call)
    this.uses += 1
    call.connection = this
    this.#query(call)
  }

  /** The client's own `query`, past what the pool has put in its place. */
  query(text: unknown, values?: unknown, callback?: unknown): unknown {
    this.flush()
    return this.#query(text, values, callback)
  }

  /** A question of the pool's own: on nobody's timeline. */
  queryUnobserved(text: string, done: (error: unknown, result: unknown) => void): void {
    if (this.client instanceof pg.Client) {
      this.#query(Object.assign(new Query(text, undefined, done), { isPoolCall: true }))
    } else this.#query(text, undefined, done)
  }

  /** Takes an answered call off; false where it was not under way. */
  remove(call: Call): boolean {
    if (this.calls[0] === call) this.calls.shift()
    else {
      const at = this.calls.indexOf(call)
      if (at === -1) return false
      this.calls.splice(at, 1)
    }
    return true
  }

  /** Writes the messages of a call whose turn has come. */
  write(call: Call): void {
    const { text, shape } = call.known
    const { statement, isNew } = this.#statementFor(text, call.known.isRepeated && shape.isPrepared)
    if (statement === undefined || isNew) {
      serializer.parse.call(this, { text, name: statement?.name ?? '' })
    }
    call.prepared = statement
    call.use = statement === undefined ? 0 : ++statement.uses
    serializer.bind.call(this, {
      portal: '',
      statement: statement?.name ?? '',
      values: call.values,
      binary: call.binary,
    })
    const fields = call.binary ? undefined : statement?.fields
    if (fields !== undefined && fields !== NO_FIELDS) call.expect(fields, statement?.emptyRow)
    // Before its last bytes: where those fill the buffer, they are on the wire at once.
    call.flush = this.flushes
    this._send(fields === undefined ? describeExecuteSync : executeSync)
  }

  _send(bytes: Buffer): void {
    if (this.#size === 0) {
      // While the server is busy with earlier ones it loses nothing by waiting for what the other
      // sockets bring in this turn: requests over HTTP would make a write each.
      if (this.calls.length > 1) setImmediate(this.#flush)
      else process.nextTick(this.#flush)
    }
    this.#bytes.push(bytes)
    this.#size += bytes.length
    if (this.#size > WRITE_BYTES) this.flush()
  }

  flush(): void {
    if (this.#size === 0) return
    const bytes = this.#bytes
    const size = this.#size
    this.#bytes = []
    this.#size = 0
    const stream = this.client.connection?.stream
    if (this.isLost || stream?.writable !== true) return
    this.flushes += 1
    stream.write(Buffer.concat(bytes, size))
  }

  /** The server took what a call brought: its statement is known here from now on. */
  keep(call: Call): void {
    const { prepared } = call
    if (prepared === undefined) return
    prepared.isReady = true
    if (prepared.fields === undefined && !call.binary) prepared.fields = NO_FIELDS
  }

  /** Prepares a text ahead of its first call; settles when the server has answered, whatever it said. */
  prepare(text: string): Promise<void> {
    return new Promise((resolve) => {
      const { statement, isNew } = this.#statementFor(text, true)
      if (statement === undefined || !isNew) {
        resolve()
        return
      }
      const preparation = new Preparation(
        () => {
          serializer.parse.call(this, { text, name: statement.name })
          serializer.describe.call(this, { type: 'S', name: statement.name })
          serializer.sync.call(this)
        },
        (fields, error) => {
          if (error === undefined) {
            statement.isReady = true
            statement.fields = fields ?? NO_FIELDS
          } else this.#prepared.delete(text)
          resolve()
        },
      )
      this.#query(preparation)
    })
  }

  /** Nothing but a Sync and its answer: how long the way to the server is, in milliseconds. */
  roundTrip(): Promise<number> {
    return new Promise((resolve, reject) => {
      const startMs = performance.now()
      const question = new Preparation(
        () => serializer.sync.call(this),
        (_fields, error) => {
          if (error === undefined) resolve(performance.now() - startMs)
          else reject(error as Error)
        },
      )
      this.#query(question)
    })
  }

  /** A call failed: was it the one that brought the statement, the statement is not there. */
  forget(call: Call, isStale: boolean): void {
    const { prepared } = call
    if (prepared === undefined || (prepared.isReady && !isStale)) return
    const { text } = call.known
    if (this.#prepared.get(text) !== prepared) return
    this.#prepared.delete(text)
    // The server may have kept it where not Parse failed but what came after.
    if (this.canClose) serializer.close.call(this, { type: 'S', name: prepared.name })
  }

  /** After DEALLOCATE ALL. */
  forgetAll(): void {
    this.#prepared.clear()
    const wire = this.client.connection
    if (wire === undefined) return
    for (const name of Object.keys(wire.parsedStatements)) delete wire.parsedStatements[name]
  }

  /**
   * A borrower names a statement. Where the name is left from another borrower's text, that one goes:
   * `pg` would refuse it for something that somebody else did.
   */
  claimName(name: string, text: unknown): void {
    const wire = this.client.connection
    const known = wire?.parsedStatements[name]
    const isOwn = this.session.names.has(name)
    this.session.names.add(name)
    if (wire === undefined || isOwn || known === undefined || text == null || known === text) return
    delete wire.parsedStatements[name]
    serializer.close.call(this, { type: 'S', name })
    this.flush()
  }

  get preparedCount(): number {
    return this.#prepared.size
  }

  #statementFor(
    text: string,
    isWanted: boolean,
  ): { readonly statement: Prepared | undefined; readonly isNew: boolean } {
    if (!this.canPrepare) return unnamed
    const known = this.#prepared.get(text)
    if (known !== undefined) {
      known.lastUse = ++this.#clock
      return known.isReady ? { statement: known, isNew: false } : unnamed
    }
    if (!isWanted) return unnamed
    if (this.#prepared.size >= this.#maxPrepared) {
      if (!this.canClose) return unnamed
      this.#closeOldest()
    }
    const statement: Prepared = {
      name: `hasten_${this.number}_${++this.#clock}`,
      isReady: false,
      fields: undefined,
      emptyRow: undefined,
      uses: 0,
      lastUse: this.#clock,
    }
    this.#prepared.set(text, statement)
    return { statement, isNew: true }
  }

  #closeOldest(): void {
    let oldest: [string, Prepared] | undefined
    for (const entry of this.#prepared) {
      // One that is under way is not ready: its call would find it gone.
      if (entry[1].isReady && (oldest === undefined || entry[1].lastUse < oldest[1].lastUse)) {
        oldest = entry
      }
    }
    if (oldest === undefined) return
    this.#prepared.delete(oldest[0])
    serializer.close.call(this, { type: 'S', name: oldest[1].name })
  }
}

/** A query object that only prepares, or asks for nothing. */
class Preparation {
  readonly isPoolCall: boolean = true
  callback: () => void = () => {}
  readonly #write: () => void
  readonly #done: (fields: readonly unknown[] | undefined, error?: unknown) => void
  #fields: readonly unknown[] | undefined

  constructor(
    write: () => void,
    done: (fields: readonly unknown[] | undefined, error?: unknown) => void,
  ) {
    this.#write = write
    this.#done = done
  }

  submit(): null {
    this.#write()
    return null
  }

  handleRowDescription(message: { fields: readonly unknown[] }): void {
    this.#fields = message.fields
  }

  handleReadyForQuery(): void {
    this.#done(this.#fields)
  }

  handleError(error: unknown): void {
    this.#done(undefined, error)
  }
}
Object.setPrototypeOf(Preparation.prototype, Query.prototype)

const unnamed = { statement: undefined, isNew: false }

function bytesOf(write: (sink: Sink) => void): Buffer {
  const parts: Buffer[] = []
  write({ _send: (bytes) => parts.push(bytes) })
  return Buffer.concat(parts)
}
