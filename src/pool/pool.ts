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
import { ConnectionSet } from './connection-set.ts'
import { Connector } from './connector.ts'
import { Dispatcher } from './dispatcher.ts'
import type { LeasedClient } from './lease.ts'
import { Leases } from './leases.ts'
import { Lending } from './lending.ts'
import type { PgClient, PgClientClass } from './pg.ts'
import { poolEnded } from './pool-ended.ts'
import { type CallOptions, type PoolOptions, poolSettings } from './pool-options.ts'
import { type PoolStats, poolStats } from './pool-stats.ts'
import type { PooledConnection } from './pooled-connection.ts'
import { QueryIntake } from './query-intake.ts'
import { SessionKeeper } from './session-keeper.ts'
import { SilenceWatch } from './silence-watch.ts'
import { StatementBook } from './statement-book.ts'

type Callback<T> = (error: Error | undefined, result: T) => void
/** As `pg` types it. */
// oxlint-disable-next-line typescript/no-explicit-any
type Any = any
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

  readonly #book: StatementBook
  readonly #set: ConnectionSet
  readonly #connector: Connector
  readonly #dispatcher: Dispatcher
  readonly #keeper: SessionKeeper
  readonly #leases: Leases
  readonly #silence: SilenceWatch
  readonly #intake: QueryIntake
  readonly #lending: Lending
  #readyPromise: Promise<void> | undefined

  constructor(options?: PoolOptions) {
    super(options as pg.PoolConfig)
    const face = this as unknown as Face
    const max = face.options.max
    const settings = poolSettings(options ?? {}, max)
    const now = () => monotonic.now()
    this.#book = new StatementBook(settings.expressExclude)
    const canShare = isOurs(face.Client)
    this.#connector = new Connector({ Client: face.Client, config: face.options })
    this.#set = new ConnectionSet(
      {
        max,
        min: Math.min(face.options.min, max),
        idleTimeoutMs: face.options.idleTimeoutMillis ?? 0,
        maxUses: face.options.maxUses,
        maxLifetimeMs: face.options.maxLifetimeSeconds * 1_000,
        allowExitOnIdle: face.options.allowExitOnIdle,
        canShare,
        stream: face.options.stream,
      },
      settings,
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
    this.#leases = new Leases(settings.leakDetectionMs, now)
    this.#dispatcher = new Dispatcher(
      settings,
      this.#set,
      {
        describe: () => this.#leases.describe(this.#set, this.#dispatcher.waitingByLane, max),
        state: () => this.#leases.state(this.#set, this.#dispatcher.waitingByLane, max),
      },
      now,
    )
    this.#keeper = new SessionKeeper(settings, this.#set, {
      lentPipeline: (options as { pipeline?: boolean } | undefined)?.pipeline === true,
      queryTimeoutMs:
        Number((options as { query_timeout?: unknown } | undefined)?.query_timeout) || 0,
      canShare,
      returned: (connection) => this.#dispatcher.returned(connection),
      pump: () => this.#dispatcher.pump(),
    })
    const parts = {
      pool: this,
      dispatcher: this.#dispatcher,
      set: this.#set,
      keeper: this.#keeper,
      acquired: (client: PgClient) => this.#tell('acquire', client),
      released: (error: unknown, client: PgClient) => this.#tell('release', error, client),
    }
    this.#intake = new QueryIntake({
      ...parts,
      book: this.#book,
      canShare,
      binary: face.options.binary,
      isWatched: () => this.#isWatched(),
    })
    this.#lending = new Lending({
      ...parts,
      leases: this.#leases,
      isGuarded: settings.guardReleased,
      verify: face.options.verify,
    })
  }

  /**
   * Opens `min` connections (at least one), authenticated and warm.
   *
   * @throws what `connect` throws, where the first cannot be opened
   */
  ready(): Promise<void> {
    if (this.ending) return Promise.reject(poolEnded())
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
      this.#intake.ask(text, given, (error, result) => {
        if (error) callSafely(bound, error)
        else callSafely(bound, undefined, result)
      })
      return undefined
    }
    const PromiseClass = (this as unknown as Face).Promise
    return new PromiseClass((resolve, reject) => {
      this.#intake.ask(text, given, (error, result) => {
        if (error) reject(error as Error)
        else resolve(result)
      })
    }).catch(withCallersStack)
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
      this.#lending.lend({}, this.connect, (error, client, release) => {
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
      this.#lending.lend((given ?? {}) as CallOptions, this.connect, (error, client) => {
        if (error) reject(error as Error)
        else resolve(client)
      })
    }).catch(withCallersStack)
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
    const ending = new face.Promise<void>((resolve) => {
      this.#set.onEmpty = () => {
        face.ended = true
        this.#silence.stop()
        this.#leases.close()
        resolve()
      }
    })
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
    readonly binary?: unknown
    readonly onConnect?: (client: PgClient) => unknown
    readonly verify?: (client: LeasedClient, done: (error?: unknown) => void) => void
  }
  readonly Client: PgClientClass
  readonly Promise: PromiseConstructor
  readonly log: (message: string) => void
  ending: boolean
  ended: boolean
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

function noop(): void {}
