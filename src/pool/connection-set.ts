/**
 * Connection set: the pool's connections from birth to death.
 *
 *   opener ─▶ free ⇄ in use
 *               │
 *               └─▶ idle too long, too old, used up, lost ─▶ closed, and `min` restored
 *
 * Rules:
 *   1. Last in, first out: few connections stay hot and the rest may go. Those above `min` go after
 *      `idleTimeoutMillis` without use.
 *   2. A lifetime is up to a tenth shorter than `maxLifetimeSeconds`, by chance, so that connections
 *      made together do not end together.
 *   3. A connection that was not used for `validateAfterIdleMs` is asked for a sign of life first: its
 *      other end may be gone without a word.
 *   4. Where connecting fails and no connection is left, callers hear of it at once if the server was
 *      never reached; else (it restarts, fails over) those without a deadline wait `reconnectMs` for
 *      it to come back. While there are connections, nobody hears of it: callers wait for those.
 *   5. `min` is kept from the first use or from `ready()` on.
 */
import { ConnectionOpener, SetUpFailure } from './connection-opener.ts'
import type { Connector } from './connector.ts'
import { IdleSweep, LONGEST_TIMER_MS } from './idle-sweep.ts'
import type { PgClient } from './pg.ts'
import type { PooledConnection } from './pooled-connection.ts'
import type { PoolSettings } from './pool-options.ts'
import type { Pooler } from './pooler.ts'

/** So fresh, a sign of life needs no other: one was perhaps just given. */
const JUST_NOW_MS = 5

/** How long a sign of life may take. */
const VALIDATION_MS = 2_000
/** After a connection is told to end, its socket is closed by force. */
const END_MS = 2_000
const RESTORE_MS = 1_000
/** With the server full, the next attempt for callers who have other connections to wait for. */
const FULL_MS = 1_000
/** A read-only server is asked for again and again; its connections are not replaced each time. */
const SUSPECT_AGAIN_MS = 10_000
const OPEN_AT_ONCE = 4

/** Of `pg.Pool`'s options, as far as connections are concerned. */
export interface ConnectionSetOptions {
  readonly max: number
  readonly min: number
  readonly idleTimeoutMs: number
  readonly maxUses: number
  readonly maxLifetimeMs: number
  readonly allowExitOnIdle: boolean
  /** The clients are such that callers may share them. */
  readonly canShare: boolean
  /** Makes sockets that lead to the server where its address does not. */
  readonly stream: unknown
}

/** What the set tells the pool, and asks it. */
export interface ConnectionSetHost {
  /** Set up by the application; rejects where it did not work. */
  setUp(connection: PooledConnection): Promise<void>
  /** A new connection is free. */
  opened(connection: PooledConnection): void
  /** For callers in line for at least `olderThanMs`. */
  cannotOpen(error: unknown, olderThanMs: number): void
  setUpFailed(error: unknown): void
  /** Went while nobody used it. */
  failedIdle(error: unknown, client: PgClient): void
  removed(client: PgClient): void
  /** Something may be possible now that was not. */
  pump(): void
  hottest(count: number): readonly string[]
  /** In the words of `pg.Pool`, for the `log` of the options. */
  log(message: string): void
}

export class ConnectionSet {
  readonly max: number
  readonly sharing: PooledConnection[] = []
  readonly #free: PooledConnection[] = []
  readonly #all = new Set<PooledConnection>()
  readonly #closing = new Set<PooledConnection>()
  readonly #options: ConnectionSetOptions
  readonly #settings: PoolSettings
  readonly #connector: Connector
  readonly #opener: ConnectionOpener
  readonly #sweep: IdleSweep
  readonly #host: ConnectionSetHost
  readonly #now: () => number
  readonly #random: () => number
  #connecting = 0
  #isWarm = false
  #isEnding = false
  #fullUntilMs = 0
  #suspectedMs = Number.NEGATIVE_INFINITY
  #restorer: NodeJS.Timeout | undefined
  onEmpty: (() => void) | undefined

  constructor(
    options: ConnectionSetOptions,
    settings: PoolSettings,
    connector: Connector,
    host: ConnectionSetHost,
    now: () => number,
    random: () => number,
  ) {
    this.max = options.max
    this.#options = options
    this.#settings = settings
    this.#connector = connector
    this.#host = host
    this.#now = now
    this.#random = random
    this.#sweep = new IdleSweep({
      idleTimeoutMs: options.idleTimeoutMs,
      allowExitOnIdle: options.allowExitOnIdle,
      now,
      free: () => this.#free,
      isAboveMin: () => !this.#isEnding && this.#all.size > options.min,
      retire: (connection) => {
        host.log('remove idle client')
        this.retire(connection)
      },
    })
    this.#opener = new ConnectionOpener(
      connector,
      settings,
      options.stream,
      {
        connected: (connection) => this.#listen(connection),
        discard: (connection, reason) => this.destroy(connection, reason),
        setUp: (connection) => host.setUp(connection),
        hottest: (count) => host.hottest(count),
      },
      now,
    )
  }

  /** What is between here and the server; undefined until the first connection has shown it. */
  get pooler(): Pooler | undefined {
    return this.#opener.pooler
  }

  /** A pooler is between here and the server. */
  get isPooled(): boolean {
    return this.pooler?.isPooled === true
  }

  /** Each transaction may be on another server connection. */
  get isByTransaction(): boolean {
    return this.pooler?.isPooled === true && this.pooler.mode === 'transaction'
  }

  /** Several statements may be under way on a connection. */
  get canPipeline(): boolean {
    return this.pooler?.pipeline !== false
  }

  /** Most connections that are shared at one time. */
  get expressLimit(): number {
    return this.#options.canShare && this.canPipeline ? this.#settings.express : 0
  }

  get total(): number {
    return this.#all.size + this.#connecting
  }

  get idle(): number {
    return this.#free.length
  }

  get expired(): number {
    const now = this.#now()
    let expired = 0
    for (const { expiresMs } of this.#all) if (expiresMs <= now) expired += 1
    return expired
  }

  get connecting(): number {
    return this.#connecting
  }

  /** To the server and back, at its best lately. */
  get roundTripMs(): number {
    return this.#opener.roundTripMs
  }

  get hasRoom(): boolean {
    return this.total < this.max && !this.#isEnding
  }

  all(): Iterable<PooledConnection> {
    return this.#all
  }

  /** The connection that was used last, if one is free. */
  takeFree(now: number): PooledConnection | undefined {
    for (
      let connection = this.#free.pop();
      connection !== undefined;
      connection = this.#free.pop()
    ) {
      if (this.#options.allowExitOnIdle) connection.client.ref?.()
      const idleMs = now - connection.freeSinceMs
      if (idleMs < Math.max(JUST_NOW_MS, this.#settings.validateAfterIdleMs)) return connection
      this.#validate(connection)
    }
    return undefined
  }

  /** Nothing is under way on it any more. */
  toFree(connection: PooledConnection, now: number): void {
    if (connection.mode === 'shared') {
      const at = this.sharing.indexOf(connection)
      if (at !== -1) this.sharing.splice(at, 1)
    }
    if (connection.isLost || connection.mode === 'closing') return
    if (this.isOver(connection, now) || this.#isEnding) {
      const isExpired = connection.expiresMs <= now
      if (!this.#isEnding) this.#host.log(`remove ${isExpired ? 'expired' : 'expended'} client`)
      this.retire(connection)
      return
    }
    connection.mode = 'free'
    connection.isDraining = false
    connection.freeSinceMs = now
    this.#free.push(connection)
    if (this.#options.allowExitOnIdle) connection.client.unref?.()
    this.#sweep.start()
  }

  /** Too old or used up: takes nothing new. */
  isOver(connection: PooledConnection, now: number): boolean {
    return connection.uses >= this.#options.maxUses || connection.expiresMs <= now
  }

  /** For so many borrowers, and so many statements, which need less: they are over soon. */
  openFor(borrowers: number, statements: number): void {
    if (borrowers + statements === 0) return
    this.#isWarm = true
    if (this.#all.size > 0 && this.#now() < this.#fullUntilMs) return
    let wanted = borrowers + Math.min(statements, OPEN_AT_ONCE) - this.#connecting
    while (wanted > 0 && this.hasRoom) {
      wanted -= 1
      this.#open().catch((error: unknown) => this.#cannotOpen(error))
    }
  }

  openOneMore(): void {
    if (this.#connecting === 0) this.openFor(0, 1)
  }

  /** Opens until there are `count`; rejects with what kept it from it. */
  async warmUp(count: number): Promise<void> {
    this.#isWarm = true
    const missing = Math.min(count, this.max) - this.total
    const opened = Array.from({ length: Math.max(0, missing) }, () => this.#open())
    for (const fault of await Promise.all(opened)) if (fault !== undefined) throw fault.error
  }

  /** Ends a connection that nothing is under way on. */
  retire(connection: PooledConnection): void {
    if (connection.isLost || connection.mode === 'closing') return
    connection.mode = 'closing'
    this.#forget(connection)
    connection.flush()
    this.#end(connection)
  }

  /** Ends it when what is under way has ended. */
  retireWhenFree(connection: PooledConnection): void {
    connection.expiresMs = Number.NEGATIVE_INFINITY
    if (connection.mode === 'free') this.retire(connection)
  }

  /** Closes its socket under whatever is under way. */
  destroy(connection: PooledConnection, reason: Error): void {
    this.lost(connection, reason)
    connection.client.connection?.stream.destroy()
  }

  /** Its socket is gone, or the server said that it goes. */
  lost(connection: PooledConnection, error: unknown): void {
    if (connection.isLost) return
    const { mode } = connection
    const isIdle = mode === 'free' && this.#all.has(connection)
    connection.isLost = true
    if (mode === 'closing') return
    this.#forget(connection)
    connection.mode = 'closing'
    if (isIdle) this.#host.failedIdle(error, connection.client)
    this.#end(connection)
  }

  /** A server said that it takes no writes. Where the next one says so too, it is meant to be. */
  suspect(): void {
    const now = this.#now()
    if (now - this.#suspectedMs < SUSPECT_AGAIN_MS) return
    this.#suspectedMs = now
    this.#connector.suspect()
    for (const connection of this.#all) this.retireWhenFree(connection)
  }

  /** Takes nothing new; free connections end now, others when they come back. */
  beginEnd(): void {
    this.#isEnding = true
    this.#sweep.stop()
    clearTimeout(this.#restorer)
    for (const connection of [...this.#free]) this.retire(connection)
    this.#looksEmpty()
  }

  // ── birth ────────────────────────────────────────────────────────────────────────────────────

  /** Rejects where the server cannot be had; resolves to what went wrong with the set-up, if anything. */
  async #open(): Promise<{ readonly error: unknown } | undefined> {
    this.#connecting += 1
    this.#host.log('connecting new client')
    let connection: PooledConnection
    try {
      connection = await this.#opener.open()
    } catch (fault) {
      this.#connecting -= 1
      if (!(fault instanceof SetUpFailure)) {
        this.#host.log('client failed to connect')
        this.#looksEmpty()
        throw fault
      }
      this.#host.setUpFailed(fault.cause)
      this.#host.pump()
      return { error: fault.cause }
    }
    this.#connecting -= 1
    const { maxLifetimeMs } = this.#options
    if (maxLifetimeMs > 0) {
      connection.expiresMs = this.#now() + maxLifetimeMs * (1 - this.#random() / 10)
      this.#expireIn(connection)
    }
    this.#all.add(connection)
    this.#host.log('new client connected')
    if (this.#isEnding && this.onEmpty !== undefined) this.retire(connection)
    else this.#host.opened(connection)
    return undefined
  }

  #listen(connection: PooledConnection): void {
    const { client } = connection
    client.on('error', (error: unknown) => this.lost(connection, error))
    client.once('end', () => this.lost(connection, new Error('Connection terminated unexpectedly')))
  }

  #cannotOpen(error: unknown): void {
    if (this.#all.size > 0) {
      // Callers wait for those that there are; it is tried again when the next one asks.
      this.#fullUntilMs = this.#now() + FULL_MS
      const retry = setTimeout(() => this.#host.pump(), FULL_MS + 1)
      retry.unref()
      return
    }
    const isTransient = this.#connector.isTransient(error)
    const mayWait = isTransient && (this.#opener.hasConnected || isStarting(error))
    this.#host.cannotOpen(error, mayWait ? this.#settings.reconnectMs : 0)
    this.#host.pump()
    this.#restore()
  }

  // ── life ─────────────────────────────────────────────────────────────────────────────────────

  /** Asks a free connection something; nobody gets it meanwhile. */
  askFree(connection: PooledConnection, text: string, answer: (result: unknown) => void): void {
    const at = this.#free.indexOf(connection)
    if (at === -1) return
    this.#free.splice(at, 1)
    this.#probe(connection, text, answer)
  }

  #validate(connection: PooledConnection): void {
    this.#probe(connection, 'SELECT 1', () => {})
  }

  #probe(connection: PooledConnection, text: string, answer: (result: unknown) => void): void {
    connection.mode = 'resetting'
    const limit = setTimeout(
      () => this.destroy(connection, new Error('an idle connection gave no sign of life')),
      VALIDATION_MS,
    )
    connection.queryUnobserved(text, (error, result) => {
      clearTimeout(limit)
      if (connection.isLost) return
      if (error) this.destroy(connection, error as Error)
      else {
        answer(result)
        this.toFree(connection, this.#now())
      }
      this.#host.pump()
    })
  }

  #expireIn(connection: PooledConnection): void {
    const leftMs = connection.expiresMs - this.#now()
    // Weeks on: it ends when it comes back from its next use.
    if (leftMs > LONGEST_TIMER_MS) return
    const timer = setTimeout(
      () => {
        // A timer's clock may be a little ahead of the other.
        connection.expiresMs = Math.min(connection.expiresMs, this.#now())
        if (connection.mode !== 'free') return
        this.retire(connection)
        this.#restore()
        this.#host.pump()
      },
      Math.max(1, leftMs),
    )
    timer.unref()
    connection.client.once('end', () => clearTimeout(timer))
  }

  // ── death ────────────────────────────────────────────────────────────────────────────────────

  #forget(connection: PooledConnection): void {
    this.#all.delete(connection)
    const free = this.#free.indexOf(connection)
    if (free !== -1) this.#free.splice(free, 1)
    const sharing = this.sharing.indexOf(connection)
    if (sharing !== -1) this.sharing.splice(sharing, 1)
  }

  #end(connection: PooledConnection): void {
    this.#closing.add(connection)
    const { client } = connection
    let isOver = false
    const over = () => {
      if (isOver) return
      isOver = true
      clearTimeout(limit)
      this.#closing.delete(connection)
      this.#host.removed(client)
      this.#restore()
      this.#host.pump()
      this.#looksEmpty()
    }
    const limit = setTimeout(() => {
      client.connection?.stream.destroy()
      over()
    }, END_MS)
    limit.unref()
    try {
      // What is still under way is told so by the client itself.
      client.end(over)
    } catch {
      over()
    }
  }

  /** Back to `min`. */
  #restore(hasFailed: boolean = this.#connector.stats().failures > 0): void {
    if (!this.#isWarm || this.#isEnding || this.#restorer !== undefined) return
    if (this.total >= this.#options.min) return
    this.#restorer = setTimeout(
      () => {
        this.#restorer = undefined
        if (this.#isEnding || this.total >= this.#options.min) return
        this.#open().then(
          (fault) => this.#restore(fault !== undefined),
          () => {
            this.#host.pump()
            this.#restore()
          },
        )
      },
      hasFailed ? RESTORE_MS * this.#random() : 0,
    )
    this.#restorer.unref()
  }

  #looksEmpty(): void {
    if (this.#isEnding && this.#all.size + this.#connecting + this.#closing.size === 0) {
      this.onEmpty?.()
    }
  }
}

function isStarting(error: unknown): boolean {
  return (error as { code?: string } | undefined)?.code === '57P03'
}
