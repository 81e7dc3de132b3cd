/**
 * Shared client: looks like a `pg.Client`, and has a connection only while it needs one for itself.
 *
 *   query ─▶ one at a time ─▶ a statement alone ─────────────▶ pool.query
 *                          └▶ BEGIN, SET, a cursor … ─▶ lease ─▶ until the transaction is over;
 *                                                               with a session touched, until the end
 *
 * For what sits between an application and its pool and takes a client for each statement: query
 * builders and ORMs. On a pool of connections such a statement has a connection to itself; through
 * this it shares one, as `pool.query` does. A session is right all the same: from the first statement
 * that leaves something in it (SET, LISTEN, a temporary table) to `release` or `end` everything runs
 * on one connection, which is then put back as every borrowed one is. So settings that each client
 * makes for itself cost a connection each: give them to the pool (`options: '-c TimeZone=UTC'`).
 *
 * A connection that is lost within a transaction, or with a session touched, takes its client with it,
 * as it does in `pg`: what comes after must not run outside the transaction that it was meant for.
 *
 * It tells apart what the text tells. A function that changes the session behind its name is not seen.
 */
import { EventEmitter } from 'node:events'
import pg, { type PoolClient } from 'pg'
import { statementOf } from '../core/statement.ts'
import { isFatal } from './lost-call.ts'
import type { Pool } from './pool.ts'

type Callback = (error: Error | null | undefined, result?: unknown) => void
type Ask = (text: unknown, values: unknown, callback?: Callback) => unknown

interface Types {
  getTypeParser(oid: number, format?: string): unknown
  setTypeParser(oid: number, format: unknown, parser?: unknown): void
}

interface Submittable {
  submit(connection: unknown): unknown
  handleError(error: Error, connection?: unknown): void
}

const { TypeOverrides } = pg as unknown as { TypeOverrides: new (types?: unknown) => Types }
/** What a borrower of the lease hears, the shared client's listeners hear too. */
const FORWARDED = ['notice', 'notification'] as const

export class SharedClient extends EventEmitter {
  /** Of `pg.Client`; here it only tells what the server said of itself. */
  readonly connection: EventEmitter = new EventEmitter()
  /** As `pg.Client` names it; ORMs look. */
  _ending = false
  readonly #pool: Pool
  readonly #greet: (() => Promise<ReadonlyMap<string, string>>) | undefined
  readonly #line: (() => void)[] = []
  #types: Types | undefined
  #isRunning = false
  #lease: PoolClient | undefined
  #isSessionTouched = false
  #isReleased = false
  #error: unknown
  /** Lost with a transaction or a session in it. */
  #broken: Error | undefined
  #whenIdle: (() => void) | undefined
  /** Of a submittable: when nothing is under way on the lease any more. */
  #whenQuiet: (() => void) | undefined

  /** @param greet what the server says of itself, for `connect`; none where a pool lends the client */
  constructor(pool: Pool, types: unknown, greet?: () => Promise<ReadonlyMap<string, string>>) {
    super()
    this.#pool = pool
    this.#greet = greet
    if (types != null) this.#types = new TypeOverrides(types)
  }

  /** The backend of the lease, if there is one. */
  get processID(): number | null {
    return (this.#lease as { processID?: number } | undefined)?.processID ?? null
  }

  connect(): Promise<this>
  connect(callback: (error?: Error) => void): void
  connect(callback?: (error?: Error) => void): Promise<this> | undefined {
    const connected = this.#connect()
    if (callback === undefined) return connected
    void connected.then(
      () => callback(),
      (error: unknown) => callback(error as Error),
    )
    return undefined
  }

  /** As `pg.Client.query`: text, config or submittable; values; callback. */
  query(text: unknown, values?: unknown, callback?: unknown): unknown {
    if (text == null) throw new TypeError('Client was passed a null or undefined query')
    const listener = [callback, values].find((given) => typeof given === 'function')
    const given = typeof values === 'function' ? undefined : values
    if (isSubmittable(text)) {
      this.#enqueue(() => this.#submit(text, given, listener as Callback | undefined))
      return text
    }
    if (listener === undefined) {
      return new Promise((resolve, reject) => {
        this.#ask(text, given, (error, result) => (error ? reject(error) : resolve(result)))
      })
    }
    this.#ask(text, given, listener as Callback)
    return undefined
  }

  end(): Promise<void>
  end(callback: () => void): void
  end(callback?: () => void): Promise<void> | undefined {
    const ended = new Promise<void>((resolve) => {
      this._ending = true
      this.#finish(() => {
        this.emit('end')
        resolve()
      })
    })
    if (callback === undefined) return ended
    void ended.then(callback)
    return undefined
  }

  /** To the pool that lent it, as a pooled client is. */
  release(error?: unknown): void {
    if (this.#isReleased) {
      throw new Error('Release called on client which has already been released to the pool.')
    }
    this.#isReleased = true
    this.#error = error
    this.#finish(() => {})
  }

  getTransactionStatus(): 'I' | 'T' | 'E' | null {
    return this.#lease === undefined ? 'I' : this.#lease.getTransactionStatus()
  }

  setTypeParser(oid: number, format: unknown, parser?: unknown): void {
    this.#types ??= new TypeOverrides()
    this.#types.setTypeParser(oid, format, parser)
  }

  getTypeParser(oid: number, format?: string): unknown {
    this.#types ??= new TypeOverrides()
    return this.#types.getTypeParser(oid, format)
  }

  escapeIdentifier(text: string): string {
    return pg.escapeIdentifier(text)
  }

  escapeLiteral(text: string): string {
    return pg.escapeLiteral(text)
  }

  ref(): void {}
  unref(): void {}

  // ── one at a time ────────────────────────────────────────────────────────────────────────────

  async #connect(): Promise<this> {
    for (const [parameterName, parameterValue] of (await this.#greet?.()) ?? []) {
      this.connection.emit('parameterStatus', { parameterName, parameterValue })
    }
    this.emit('connect')
    return this
  }

  #enqueue(start: () => void): void {
    this.#line.push(start)
    if (!this.#isRunning) this.#next()
  }

  #next(): void {
    const start = this.#line.shift()
    this.#isRunning = start !== undefined
    if (start !== undefined) start()
    else this.#whenIdle?.()
  }

  #finish(done: () => void): void {
    this.#whenIdle = () => {
      this.#whenIdle = undefined
      this.#giveBack(this.#error)
      done()
    }
    if (!this.#isRunning) this.#whenIdle()
  }

  #isOver(): Error | undefined {
    if (!this._ending && !this.#isReleased) return undefined
    return new Error('Client was closed and is not queryable')
  }

  #isBroken(): Error | undefined {
    if (this.#broken === undefined) return undefined
    const message = 'Client has encountered a connection error and is not queryable'
    return new Error(message, { cause: this.#broken })
  }

  #ask(text: unknown, values: unknown, callback: Callback): void {
    const over = this.#isOver()
    if (over !== undefined) {
      process.nextTick(callback, over)
      return
    }
    this.#enqueue(() => {
      const answered: Callback = (error, result) => {
        // The next one first: a callback that throws must not hold up the line.
        process.nextTick(() => this.#next())
        if (error && isFatal(error)) this.#lost(error)
        callback(error, result)
      }
      const broken = this.#isBroken()
      if (broken !== undefined) {
        answered(broken)
        return
      }
      const sql = typeof text === 'string' ? text : (text as { text?: unknown }).text
      const config = this.#withTypes(text)
      if (this.#lease === undefined && !needsLease(sql)) {
        ;(this.#pool.query as Ask).call(this.#pool, config, values, answered)
        return
      }
      this.#borrow(answered, (lease) => {
        if (typeof sql === 'string' && statementOf(sql).sessionEffects !== 0) {
          this.#isSessionTouched = true
        }
        ;(lease.query as Ask).call(lease, config, values, answered)
      })
    })
  }

  /** Done when its connection is, since it does not tell. */
  #submit(query: Submittable, values: unknown, callback: Callback | undefined): void {
    const fail = (error: Error) => {
      query.handleError(error)
      this.#next()
    }
    const over = this.#isOver() ?? this.#isBroken()
    if (over !== undefined) {
      fail(over)
      return
    }
    this.#borrow(
      (error) => fail(error as Error),
      (lease) => {
        this.#whenQuiet = () => this.#next()
        ;(lease.query as Ask).call(lease, query, values, callback)
      },
    )
  }

  // ── the lease ────────────────────────────────────────────────────────────────────────────────

  #borrow(failed: Callback, use: (lease: PoolClient) => void): void {
    if (this.#lease !== undefined) {
      use(this.#lease)
      return
    }
    this.#pool.connect().then(
      (lease) => {
        this.#lease = lease
        lease.on('drain', this.#look)
        lease.on('error', this.#lost)
        for (const event of FORWARDED) lease.on(event as 'notice', this.#forward[event])
        try {
          use(lease)
        } catch (error) {
          this.#look()
          failed(error as Error)
        }
      },
      (error: unknown) => failed(error as Error),
    )
  }

  readonly #forward = {
    notice: (message: unknown): unknown => this.emit('notice', message),
    notification: (message: unknown): unknown => this.emit('notification', message),
  }

  /** The server is ready: nothing is under way on the lease. */
  readonly #look = (): void => {
    if (!this.#isSessionTouched && this.#lease?.getTransactionStatus() === 'I') {
      this.#giveBack(undefined)
    }
    this.#quiet()
  }

  #quiet(): void {
    const whenQuiet = this.#whenQuiet
    this.#whenQuiet = undefined
    whenQuiet?.()
  }

  readonly #lost = (error: Error): void => {
    if (this.#lease === undefined) return
    if (this.#isSessionTouched || this.#lease.getTransactionStatus() !== 'I') this.#broken = error
    this.#giveBack(error)
    if (this.listenerCount('error') > 0) this.emit('error', error)
    this.#quiet()
  }

  #giveBack(error: unknown): void {
    const lease = this.#lease
    if (lease === undefined) return
    this.#lease = undefined
    this.#isSessionTouched = false
    lease.off('drain', this.#look)
    lease.off('error', this.#lost)
    for (const event of FORWARDED) lease.off(event, this.#forward[event])
    lease.release(error as Error)
  }

  #withTypes(given: unknown): unknown {
    if (this.#types === undefined) return given
    if (typeof given === 'string') return { text: given, types: this.#types }
    const config = given as { types?: unknown }
    return config.types === undefined ? { ...config, types: this.#types } : config
  }
}

function isSubmittable(given: unknown): given is Submittable {
  return typeof (given as { submit?: unknown } | null)?.submit === 'function'
}

/** What must be on one connection with what comes after it. */
function needsLease(sql: unknown): boolean {
  if (typeof sql !== 'string') return true
  const { transaction, isMulti, sessionEffects } = statementOf(sql)
  return transaction !== undefined || isMulti || sessionEffects !== 0
}
