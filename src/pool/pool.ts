/**
 * Pool: a drop-in for `pg.Pool` on which callers share connections.
 *
 *   pool.query(text, values)   one statement  ─▶ Call ─▶ dispatcher ─▶ shared or alone
 *                              anything else  ─▶ a connection for as long as it takes, `pg`'s own Query
 *   pool.connect()             ─▶ a lease on a client, put back as it was when released
 *
 * The face is `pg.Pool`'s: methods, properties, options, events, callbacks and promises. What that one
 * gets wrong is mended (docs/pool.md lists it), with an option where an application could rely on it.
 * The protocol is `pg.Client`'s.
 *
 * Where a client cannot share (`pg-native`, a `Client` of the user's own that is none of this `pg`),
 * or somebody listens to `acquire` or `release` and so may do something to each connection that is
 * used, each statement has a connection for itself: right, and no faster than `pg.Pool`.
 */
import { AsyncResource } from 'node:async_hooks'
import type { EventEmitter } from 'node:events'
import pg, {
  type PoolClient,
  type QueryArrayConfig,
  type QueryArrayResult,
  type QueryConfig,
  type QueryConfigValues,
  type QueryResult,
  type QueryResultRow,
  type Submittable,
} from 'pg'
import { monotonic } from '../core/clock.ts'
import { HastenError } from '../core/errors.ts'
import { TwoGenerations } from '../core/two-generations.ts'
import { Call, type CallResult } from './call.ts'
import type { Checkout } from './checkout.ts'
import { ConnectionSet } from './connection-set.ts'
import { Connector } from './connector.ts'
import { Deadline, QUERY_READ_TIMEOUT } from './deadline.ts'
import { Dispatcher } from './dispatcher.ts'
import { Lease, type LeasedClient, type Release } from './lease.ts'
import { type BorrowerStack, Leases } from './leases.ts'
import type { PgClient, PgClientClass } from './pg.ts'
import {
  deadlineOf,
  type PoolOptions,
  type PoolSettings,
  type Priority,
  poolSettings,
  priorityOf,
  signalOf,
} from './pool-options.ts'
import { PoolMessage } from './pool-message.ts'
import { type PoolStats, poolStats } from './pool-stats.ts'
import type { PooledConnection } from './pooled-connection.ts'
import { SessionKeeper } from './session-keeper.ts'
import { SilenceWatch } from './silence-watch.ts'
import { StatementBook } from './statement-book.ts'
import { runStock } from './stock-query.ts'

/** What a call or a borrower may ask for beyond the statement. */
export interface CallOptions {
  /** Stops waiting, and the statement on the server. */
  readonly signal?: AbortSignal | undefined
  /** The same after so long, from now. */
  readonly timeoutMs?: number | undefined
  /** Who goes first when connections are short. Default `default`. */
  readonly priority?: Priority | undefined
}

type Callback<T> = (error: Error | undefined, result: T) => void
/** As `pg` types it. */
// oxlint-disable-next-line typescript/no-explicit-any
type Any = any
type Done = (error: unknown, result?: unknown) => void

const { prepareValue } = (pg as unknown as { utils: { prepareValue(value: unknown): unknown } })
  .utils

export class Pool extends pg.Pool {
  static {
    // Accessors, which the types of `pg` call properties.
    const count = (get: (pool: Pool) => number): PropertyDescriptor => ({
      configurable: true,
      get(this: Pool): number {
        return get(this)
      },
    })
    Object.defineProperties(this.prototype, {
      totalCount: count((pool) => pool.#set.total),
      idleCount: count((pool) => pool.#set.idle),
      waitingCount: count((pool) => pool.#dispatcher.waiting),
      expiredCount: count((pool) => pool.#set.expired),
    })
  }

  readonly #settings: PoolSettings
  readonly #book: StatementBook
  readonly #set: ConnectionSet
  readonly #connector: Connector
  readonly #dispatcher: Dispatcher
  readonly #keeper: SessionKeeper
  readonly #leases: Leases
  readonly #silence: SilenceWatch
  readonly #canShare: boolean
  readonly #names = new TwoGenerations<string>(2_000, 4_000_000)
  #readyPromise: Promise<void> | undefined
  #endDone: Done | undefined

  constructor(options?: PoolOptions) {
    super(options as pg.PoolConfig)
    const face = this as unknown as Face
    const max = face.options.max
    this.#settings = poolSettings(options ?? {}, max)
    const now = () => monotonic.now()
    this.#book = new StatementBook(this.#settings.expressExclude)
    this.#canShare = isOurs(face.Client)
    this.#connector = new Connector({ Client: face.Client, config: face.options })
    this.#set = new ConnectionSet(
      {
        max,
        min: Math.min(face.options.min, max),
        idleTimeoutMs: face.options.idleTimeoutMillis ?? 0,
        maxUses: face.options.maxUses,
        maxLifetimeMs: face.options.maxLifetimeSeconds * 1_000,
        allowExitOnIdle: face.options.allowExitOnIdle,
        canShare: this.#canShare,
        stream: face.options.stream,
      },
      this.#settings,
      this.#connector,
      {
        setUp: (connection) => this.#setUp(connection),
        opened: (connection) => {
          this.#silence.start()
          this.#dispatcher.returned(connection)
        },
        cannotOpen: (error, olderThanMs) => this.#dispatcher.failWaiting(error, olderThanMs),
        setUpFailed: (error) => this.#dispatcher.failFirst(error),
        failedIdle: (error, client) => this.#failedIdle(error, client),
        removed: (client) => this.#tell('remove', client),
        pump: () => this.#dispatcher.pump(),
        hottest: (count) => this.#book.hottest(count).map(({ text }) => text),
        log: (message) => face.log(message),
      },
      now,
      Math.random,
    )
    this.#silence = new SilenceWatch(this.#set, this.#connector, now)
    this.#leases = new Leases(this.#settings.leakDetectionMs, now)
    this.#dispatcher = new Dispatcher(
      this.#settings,
      this.#set,
      {
        describe: () => this.#leases.describe(this.#set, this.#dispatcher.waitingByLane, max),
        state: () => this.#leases.state(this.#set, this.#dispatcher.waitingByLane, max),
      },
      now,
    )
    this.#keeper = new SessionKeeper(this.#settings, this.#set, {
      lentPipeline: (options as { pipeline?: boolean } | undefined)?.pipeline === true,
      queryTimeoutMs:
        Number((options as { query_timeout?: unknown } | undefined)?.query_timeout) || 0,
      canShare: this.#canShare,
      returned: (connection) => this.#dispatcher.returned(connection),
      pump: () => this.#dispatcher.pump(),
    })
  }

  /**
   * Opens `min` connections (at least one), authenticated and warm.
   *
   * @throws what `connect` throws, where the first cannot be opened
   */
  ready(): Promise<void> {
    if (this.ending) return Promise.reject(endedError())
    this.#readyPromise ??= this.#set
      .warmUp(Math.max(1, (this as unknown as Face).options.min))
      .finally(() => {
        this.#readyPromise = undefined
      })
    return this.#readyPromise
  }

  /** Plain numbers, made when asked. */
  stats(): PoolStats {
    return poolStats(this.#set, this.#dispatcher, this.#book, this.#leases)
  }

  // ── query ────────────────────────────────────────────────────────────────────────────────────

  override query<T extends Submittable>(queryStream: T): T
  override query<R extends Any[] = Any[], I = Any[]>(
    config: QueryArrayConfig<I> & CallOptions,
    values?: QueryConfigValues<I>,
  ): Promise<QueryArrayResult<R>>
  override query<R extends QueryResultRow = Any, I = Any[]>(
    config: QueryConfig<I> & CallOptions,
  ): Promise<QueryResult<R>>
  override query<R extends QueryResultRow = Any, I = Any[]>(
    textOrConfig: string | (QueryConfig<I> & CallOptions),
    values?: QueryConfigValues<I>,
  ): Promise<QueryResult<R>>
  override query<R extends Any[] = Any[], I = Any[]>(
    config: QueryArrayConfig<I> & CallOptions,
    callback: Callback<QueryArrayResult<R>>,
  ): void
  override query<R extends QueryResultRow = Any, I = Any[]>(
    textOrConfig: string | (QueryConfig<I> & CallOptions),
    callback: Callback<QueryResult<R>>,
  ): void
  override query<R extends QueryResultRow = Any, I extends Any[] = Any[]>(
    text: string,
    values: QueryConfigValues<I>,
    callback: Callback<QueryResult<R>>,
  ): void
  override query(text: unknown, values?: unknown, callback?: unknown): Any {
    if (typeof text === 'function') return this.#refuseFunction(text as Callback<unknown>)
    let given = values
    let listener = callback
    if (typeof values === 'function') {
      listener = values
      given = undefined
    }
    listener ??= (text as { callback?: unknown } | null | undefined)?.callback
    if (typeof listener === 'function') {
      const bound = AsyncResource.bind(listener as (...all: unknown[]) => unknown)
      this.#ask(text, given, (error, result) => {
        if (error) callSafely(bound, error)
        else callSafely(bound, undefined, result)
      })
      return undefined
    }
    const PromiseClass = (this as unknown as Face).Promise
    return new PromiseClass((resolve, reject) => {
      this.#ask(text, given, (error, result) => {
        if (error) reject(error as Error)
        else resolve(result)
      })
    }).catch(withCallersStack)
  }

  #ask(text: unknown, values: unknown, done: Done): void {
    if (this.ending) {
      done(endedError())
      return
    }
    try {
      if (typeof text === 'string') this.#askPlain(text, values, undefined, done)
      else this.#askConfig(text, values, done)
    } catch (error) {
      done(error)
    }
  }

  #askConfig(config: unknown, values: unknown, done: Done): void {
    const given = config as Config | null | undefined
    if (given == null || typeof given.submit === 'function' || needsOwnQuery(given)) {
      this.#runStock(config, values, undefined, done)
      return
    }
    const { name } = given
    let { text } = given
    if (typeof name === 'string' && name !== '') {
      const known = this.#names.get(name)
      if (text == null) text = known
      else if (known === undefined && typeof text === 'string') this.#names.set(name, text)
      else if (known !== text) {
        throw new Error(
          `Prepared statements must be unique - '${name}' was used for a different statement`,
        )
      }
    }
    if (typeof text === 'string' && text !== '') {
      this.#askPlain(text, values ?? given.values, given, done)
    } else this.#runStock(config, values, given, done)
  }

  #askPlain(text: string, values: unknown, config: Config | undefined, done: Done): void {
    const known = this.#book.of(text)
    if (known.shape.lane === 'stock' || !this.#canShare || this.#isWatched()) {
      this.#runStock(config ?? text, values, config, done)
      return
    }
    if (values != null && !Array.isArray(values)) throw new Error('Query values must be an array')
    const call = new Call(
      this.#dispatcher,
      known,
      values == null ? undefined : wireValues(values as unknown[]),
      config?.rowMode,
      config?.types,
      config?.binary ?? (this.options as { binary?: unknown }).binary,
      done as (error: unknown, result?: CallResult) => void,
    )
    if (config !== undefined) {
      call.priority = priorityOf(config.priority)
      this.#limit(
        config,
        (error, count) => this.#dispatcher.giveUp(call, error, count),
        (cleanUp) => {
          call.cleanUp = cleanUp
        },
      )
      if (call.isSettled) return
    } else if (this.#keeper.queryTimeoutMs > 0) {
      this.#limit(
        {},
        (error, count) => this.#dispatcher.giveUp(call, error, count),
        (cleanUp) => {
          call.cleanUp = cleanUp
        },
      )
    }
    const message = PoolMessage.of(this, 'call', text, values as unknown[] | undefined)
    if (message !== undefined) {
      message.call = call
      call.message = message
    }
    this.#dispatcher.ask(call)
  }

  /** One statement, or several, that need a connection for themselves. */
  #runStock(config: unknown, values: unknown, options: Config | undefined, done: Done): void {
    runStock({
      message: PoolMessage.of(this, 'statement'),
      config,
      values,
      priority: priorityOf(options?.priority),
      dispatcher: this.#dispatcher,
      set: this.#set,
      keeper: this.#keeper,
      limit: (giveUp, keep) => this.#limit(options ?? {}, giveUp, keep),
      acquired: (client) => this.#tell('acquire', client),
      released: (error, client) => this.#tell('release', error, client),
      done,
    })
  }

  #limit(
    options: Config,
    giveUp: (error: HastenError, count: 'timedOut' | 'aborted') => void,
    keep: (cleanUp: () => void) => void,
    queryTimeoutMs: number = options.query_timeout ?? this.#keeper.queryTimeoutMs,
  ): void {
    const own = queryTimeoutMs
    const isOwn = options.timeoutMs == null && own > 0
    const timeoutMs = isOwn ? own : deadlineOf(options.timeoutMs)
    const signal = signalOf(options.signal)
    if (timeoutMs === undefined && signal === undefined) return
    const deadline = new Deadline(timeoutMs, signal, isOwn ? QUERY_READ_TIMEOUT : undefined, giveUp)
    keep(() => deadline.clear())
    deadline.start()
  }

  /** Whoever listens may do something to each connection that is taken. */
  #isWatched(): boolean {
    return this.listenerCount('acquire') > 0 || this.listenerCount('release') > 0
  }

  #refuseFunction(callback: Callback<unknown>): void {
    setImmediate(() =>
      callback(
        new Error('Passing a function as the first parameter to pool.query is not supported'),
        undefined,
      ),
    )
  }

  // ── connect ──────────────────────────────────────────────────────────────────────────────────

  override connect(options?: CallOptions): Promise<PoolClient>
  override connect(
    callback: (
      error: Error | undefined,
      client: PoolClient | undefined,
      done: (release?: Any) => void,
    ) => void,
  ): void
  override connect(given?: unknown): Any {
    if (typeof given === 'function') {
      const bound = AsyncResource.bind(given as (...all: unknown[]) => unknown)
      let hasReturned = false
      this.#checkout({}, (error, client, release) => {
        const call = () => {
          if (error) callSafely(bound, error, undefined, noop)
          else callSafely(bound, undefined, client, release)
        }
        // Never before `connect` has returned.
        if (hasReturned) call()
        else process.nextTick(call)
      })
      hasReturned = true
      return undefined
    }
    const PromiseClass = (this as unknown as Face).Promise
    return new PromiseClass((resolve, reject) => {
      this.#checkout((given ?? {}) as CallOptions, (error, client) => {
        if (error) reject(error as Error)
        else resolve(client)
      })
    }).catch(withCallersStack)
  }

  #checkout(
    options: CallOptions,
    done: (error: unknown, client?: LeasedClient, release?: Release) => void,
  ): void {
    if (this.ending) {
      done(endedError())
      return
    }
    // Whatever is wrong with the options is found before there is a place in the line to keep.
    const priority = priorityOf(options.priority)
    let checkout: Checkout | undefined
    let cleanUp: (() => void) | undefined
    let isOver = false
    this.#limit(
      options,
      (error, count) => {
        isOver = true
        if (checkout === undefined) done(error)
        else if (count === 'timedOut') this.#dispatcher.outOfTime(checkout)
        else this.#dispatcher.withdraw(checkout, error)
      },
      (clear) => {
        cleanUp = clear
      },
      0,
    )
    if (isOver) return
    const stack = this.#leases.sampleStack(this.#dispatcher.waiting, this.connect)
    const message = PoolMessage.of(this, 'checkout')
    checkout = this.#dispatcher.checkout(
      true,
      priority,
      (connection) => {
        message?.sent(connection.client)
        this.#lend(connection, stack, message, done)
      },
      (error) => {
        message?.done(error)
        done(error)
      },
    )
    if (checkout.isSettled) (cleanUp as (() => void) | undefined)?.()
    else checkout.cleanUp = cleanUp
  }

  #lend(
    connection: PooledConnection,
    stack: BorrowerStack | undefined,
    message: PoolMessage | undefined,
    done: (error: unknown, client?: LeasedClient, release?: Release) => void,
  ): void {
    this.#keeper.hand(connection)
    const lease = this.#leases.begin(
      new Lease(
        connection,
        monotonic.now(),
        stack,
        this.#settings.guardReleased,
        (ended, error) => {
          message?.done()
          this.#released(ended, error)
        },
      ),
    )
    this.#tell('acquire', connection.client)
    const { verify } = (this as unknown as Face).options
    if (verify === undefined || connection.isVerified) {
      done(undefined, lease.client, lease.release)
      return
    }
    connection.isVerified = true
    const verified = (error?: unknown) => {
      if (error) {
        lease.release(error)
        done(error)
      } else done(undefined, lease.client, lease.release)
    }
    try {
      verify(lease.client, verified)
    } catch (error) {
      if (lease.isOver) throw error
      verified(error ?? new Error('verify threw'))
    }
  }

  #released(lease: Lease, error: unknown): void {
    const { connection } = lease
    this.#leases.end(lease)
    this.#dispatcher.endedLease()
    connection.uses += 1
    this.#tell('release', error, connection.client)
    if (connection.isLost) return
    if (error || this.#isUnusable(connection.client)) {
      this.#set.retire(connection)
      this.#dispatcher.pump()
    } else this.#keeper.takeBack(connection)
  }

  #isUnusable(client: PgClient): boolean {
    return client._queryable === false || client._ending === true
  }

  // ── life ─────────────────────────────────────────────────────────────────────────────────────

  override end(): Promise<void>
  override end(callback: () => void): void
  override end(callback?: () => void): Any {
    const face = this as unknown as Face
    if (this.ending) {
      const error = new Error('Called end on pool more than once')
      if (callback === undefined) return face.Promise.reject(error)
      ;(callback as (error: Error) => void)(error)
      return undefined
    }
    face.ending = true
    const ending = new face.Promise((resolve) => {
      this.#endDone = () => resolve(undefined)
    })
    this.#set.onEmpty = () => {
      face.ended = true
      this.#silence.stop()
      this.#leases.close()
      this.#endDone?.(undefined)
    }
    // Whoever waits already is served first.
    this.#dispatcher.onQuiet = () => {
      this.#dispatcher.onQuiet = undefined
      void this.#connector.close()
      this.#set.beginEnd()
    }
    this.#dispatcher.pump()
    if (callback === undefined) return ending
    void ending.then(() => callback())
    return undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.ending) await this.end()
  }

  async #setUp(connection: PooledConnection): Promise<void> {
    const { options } = this as unknown as Face
    await this.#keeper.setUp(connection, async () => {
      await options.onConnect?.(connection.client)
      this.emit('connect', connection.client as unknown as PoolClient)
    })
  }

  #failedIdle(reason: unknown, client: PgClient): void {
    const error = reason instanceof Error ? reason : new Error(String(reason))
    if (this.ending) return
    if (this.listenerCount('error') > 0) {
      this.#tell('error', Object.assign(error, { client }), client)
    }
  }

  /** A listener that throws ends as in any emitter, but not in the midst of others' work. */
  #tell(event: string, ...values: unknown[]): void {
    callSafely((...all) => (this as EventEmitter).emit(event, ...all), ...values)
  }
}

/** `pg.Pool` as it is, and its types do not say. */
interface Face {
  readonly options: {
    readonly max: number
    readonly min: number
    readonly idleTimeoutMillis: number | null | undefined
    readonly maxUses: number
    readonly maxLifetimeSeconds: number
    readonly allowExitOnIdle: boolean
    readonly stream?: unknown
    readonly onConnect?: (client: PgClient) => unknown
    readonly verify?: (client: LeasedClient, done: (error?: unknown) => void) => void
  }
  readonly Client: PgClientClass
  readonly Promise: PromiseConstructor
  readonly log: (message: string) => void
  ending: boolean
  ended: boolean
}

interface Config extends CallOptions {
  readonly text?: string
  readonly name?: unknown
  readonly values?: unknown
  readonly rowMode?: unknown
  readonly types?: unknown
  readonly binary?: unknown
  readonly submit?: unknown
  readonly rows?: unknown
  readonly portal?: unknown
  readonly query_timeout?: number
}

function needsOwnQuery(config: Config): boolean {
  return Boolean(config.rows) || Boolean(config.portal)
}

/** The protocol's values, so that what cannot be one is the caller's error and nobody else's. */
function wireValues(values: readonly unknown[]): unknown[] {
  const wire: unknown[] = []
  for (const value of values) wire.push(prepareValue(value))
  return wire
}

function isOurs(Client: PgClientClass): boolean {
  const own = pg.Client as unknown as PgClientClass
  if (Client !== own && !(Client.prototype instanceof own)) return false
  return '_pulsePipelinedQueryQueue' in own.prototype
}

/** A stack that leads to who asked, not to the socket that answered; as `pg` does. */
function withCallersStack(error: unknown): never {
  if (error instanceof Error) Error.captureStackTrace(error)
  throw error
}

/** A callback that throws is its owner's error, and must not stop the reading of the socket. */
function callSafely(callback: (...all: unknown[]) => unknown, ...values: unknown[]): void {
  try {
    callback(...values)
  } catch (error) {
    process.nextTick(() => {
      throw error
    })
  }
}

function endedError(): HastenError {
  return new HastenError('POOL_ENDED', 'Cannot use a pool after calling end on the pool')
}

function noop(): void {}
