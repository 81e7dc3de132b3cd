/**
 * Connection opener: a new connection, up to the moment at which it may serve.
 *
 *   connector ─▶ the server itself answers ─▶ set up (onConnect, `connect` listeners) ─▶ warm
 *                  what stands in between?
 *
 * What stands between here and the server is found out on the first connection, and again where a
 * later one tells of a pooler that the first knew nothing of. How long the way is, each one measures.
 */
import type { Connector } from './connector.ts'
import { PooledConnection } from './pooled-connection.ts'
import type { PoolSettings } from './pool-options.ts'
import { backendPid } from './pooler-probe.ts'
import { detectPooler, type Pooler, tellsOfPooler } from './pooler.ts'

/** How long a new connection's first answer may take, behind a pooler that is busy. */
const DETECTION_MS = 10_000
/** How long the others' may take. */
const ANSWER_MS = 2_000
const KEEPALIVE_MS = 10_000
const HOT_STATEMENTS = 32
const ROUND_TRIPS = 8

export interface ConnectionOpenerHost {
  /** It is connected: its end must be noticed from now on. */
  connected(connection: PooledConnection): void
  /** It shall not serve. */
  discard(connection: PooledConnection, reason: Error): void
  /** Set up by the application; rejects where it did not work. */
  setUp(connection: PooledConnection): Promise<void>
  hottest(count: number): readonly string[]
}

/** The application's own set-up did not work; the server is there. */
export class SetUpFailure extends Error {
  override readonly name = 'SetUpFailure'
}

export class ConnectionOpener {
  readonly #connector: Connector
  readonly #settings: PoolSettings
  readonly #host: ConnectionOpenerHost
  readonly #now: () => number
  /** Makes sockets that lead to the server where its address does not. */
  readonly #stream: unknown
  readonly #roundTrips: number[] = []
  #detection: Promise<void> | undefined
  #pooler: Pooler | undefined
  #hasConnected = false

  constructor(
    connector: Connector,
    settings: PoolSettings,
    stream: unknown,
    host: ConnectionOpenerHost,
    now: () => number,
  ) {
    this.#connector = connector
    this.#settings = settings
    this.#stream = stream
    this.#host = host
    this.#now = now
  }

  /** Undefined until the first connection has shown it. */
  get pooler(): Pooler | undefined {
    return this.#pooler
  }

  /** The server was reached at least once. */
  get hasConnected(): boolean {
    return this.#hasConnected
  }

  /** To the server and back: the least of the last few, since the others had to wait for something. */
  roundTripMs = 0

  /** Rejects with a SetUpFailure, whose cause is the application's; else the server cannot be had. */
  async open(): Promise<PooledConnection> {
    const client = await this.#connector.connect()
    this.#hasConnected = true
    const connection = new PooledConnection(client, this.#now(), this.#settings.maxPrepared)
    connection.stream = this.#stream
    this.#host.connected(connection)
    try {
      await this.#reachServer(connection)
    } catch (error) {
      this.#host.discard(connection, error as Error)
      throw error
    }
    try {
      await this.#makeReady(connection)
    } catch (error) {
      const wasLost = connection.isLost
      this.#host.discard(connection, error as Error)
      throw wasLost ? error : new SetUpFailure('set-up failed', { cause: error })
    }
    if (connection.isLost) throw new Error('Connection terminated unexpectedly')
    return connection
  }

  async #makeReady(connection: PooledConnection): Promise<void> {
    const { prepare = true, mode } = this.#pooler ?? {}
    connection.client.connection?.stream.setKeepAlive?.(true, KEEPALIVE_MS)
    connection.canPrepare = this.#settings.prepare && prepare
    connection.canClose = mode !== 'transaction'
    connection.canName = prepare
    await this.#host.setUp(connection)
    await this.#warm(connection)
    // Only where callers share connections is anything judged by it.
    if (this.#settings.express === 0 || connection.client.pipeline !== true) return
    this.#roundTrips.push(await connection.roundTrip())
    if (this.#roundTrips.length > ROUND_TRIPS) this.#roundTrips.shift()
    this.roundTripMs = Math.min(...this.#roundTrips)
  }

  /**
   * Up to the server itself. A pooler lets clients in without having a server for them; by session,
   * one more than it has servers would wait until somebody else's connection ends.
   */
  async #reachServer(connection: PooledConnection): Promise<void> {
    const { client } = connection
    const isFirst = this.#detection === undefined
    const limitMs = isFirst ? DETECTION_MS : ANSWER_MS
    let limit: NodeJS.Timeout | undefined
    const reached = this.#knowPooler(connection).then(() => {
      const isBySession = this.#pooler?.isPooled === true && this.#pooler.mode === 'session'
      return isFirst || !isBySession || client.connection === undefined
        ? undefined
        : backendPid(client)
    })
    const late = new Promise<never>((_, reject) => {
      limit = setTimeout(
        () => reject(new Error(`timeout expired: no answer from a server within ${limitMs} ms`)),
        limitMs,
      )
    })
    try {
      await Promise.race([reached, late])
    } finally {
      clearTimeout(limit)
    }
  }

  #knowPooler({ client }: PooledConnection): Promise<void> {
    const { pgbouncer } = this.#settings
    if (this.#pooler?.isPooled === false && pgbouncer === 'auto' && tellsOfPooler(client)) {
      this.#detection = undefined
    }
    this.#detection ??= detectPooler(client, pgbouncer).then(
      (pooler) => {
        this.#pooler = pooler
      },
      (error: unknown) => {
        this.#detection = undefined
        throw error
      },
    )
    return this.#detection
  }

  async #warm(connection: PooledConnection): Promise<void> {
    if (!connection.canPrepare || connection.client.connection === undefined) return
    const texts = new Set([...this.#settings.warm, ...this.#host.hottest(HOT_STATEMENTS)])
    if (connection.client.pipeline === true) {
      await Promise.all([...texts].map((text) => connection.prepare(text)))
    } else for (const text of texts) await connection.prepare(text)
  }
}
