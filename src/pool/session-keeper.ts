/**
 * Session keeper: hands a connection to a borrower, and makes it as it was when it comes back.
 *
 *   hand ─▶ borrower ─▶ takeBack ─▶ still busy? wait ─▶ touched? reset ─▶ set up again ─▶ free
 *
 * A connection that cannot be brought back within `RESET_MS`, or whose borrower left a cursor open, is
 * closed: the next caller gets a new one.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { ConnectionSet } from './connection-set.ts'
import type { PgClient } from './pg.ts'
import type { PoolSettings } from './pool-options.ts'
import type { PooledConnection } from './pooled-connection.ts'

const RESET_MS = 5_000
/** For what was left under way and is no statement of `pg`'s own. */
const FOREIGN_MS = 500

interface KeeperOptions {
  /** The user's own `pipeline`, for the clients that are lent. */
  readonly lentPipeline: boolean
  readonly queryTimeoutMs: number
  readonly canShare: boolean
  readonly returned: (connection: PooledConnection) => void
  readonly pump: () => void
}

export class SessionKeeper {
  readonly queryTimeoutMs: number
  readonly #settings: PoolSettings
  readonly #set: ConnectionSet
  readonly #options: KeeperOptions

  constructor(settings: PoolSettings, set: ConnectionSet, options: KeeperOptions) {
    this.#settings = settings
    this.#set = set
    this.#options = options
    this.queryTimeoutMs = options.queryTimeoutMs
  }

  /** Runs the application's own set-up, and remembers what it said to the server. */
  async setUp(connection: PooledConnection, run: () => Promise<void>): Promise<void> {
    const { client, session } = connection
    watchStatements(connection)
    session.isSettingUp = true
    try {
      await run()
      // A listener that awaits its first statement asks the second a little after the first's answer.
      do {
        await untilQuiet(client)
        await turn()
      } while (isBusy(client))
    } finally {
      session.isSettingUp = false
    }
    this.#keep(connection)
  }

  /** To a borrower: the client as the user configured it. */
  hand(connection: PooledConnection): void {
    const { client } = connection
    if (client.pipeline !== undefined) {
      client.pipeline = this.#options.lentPipeline && this.#set.canPipeline
    }
    if (this.queryTimeoutMs > 0) setQueryTimeout(client, this.queryTimeoutMs)
  }

  takeBack(connection: PooledConnection): void {
    const { client } = connection
    if (isBusy(client)) {
      connection.mode = 'resetting'
      if (holdsPortal(client)) {
        this.#set.destroy(connection, new Error('released with a cursor open'))
        return
      }
      const ms = isForeign(client) ? FOREIGN_MS : RESET_MS
      this.#within(connection, untilQuiet(client), () => this.#reset(connection), ms)
    } else this.#reset(connection)
  }

  #reset(connection: PooledConnection): void {
    const { client, session } = connection
    const status = client._txStatus
    const sql = !this.#settings.resetSession
      ? ''
      : this.#set.isByTransaction
        ? rollbackOnly(status)
        : session.resetSql(status)
    if (sql === '') {
      session.cleaned()
      this.#back(connection)
      return
    }
    if (session.isUnrepeatable && session.mustSetUpAgain) {
      this.#set.retire(connection)
      return
    }
    connection.mode = 'resetting'
    if (client.pipeline === true) client.pipeline = false
    this.#within(connection, this.#putBack(connection, sql), () => this.#back(connection))
  }

  async #putBack(connection: PooledConnection, sql: string): Promise<void> {
    const { session } = connection
    await ask(connection, sql)
    if (session.forgetsPrepared) connection.forgetAll()
    if (session.mustSetUpAgain) {
      for (const { text, values } of session.setup) await ask(connection, text, values)
    }
    session.cleaned()
  }

  #back(connection: PooledConnection): void {
    this.#keep(connection)
    this.#options.returned(connection)
  }

  /** In the pool's hands: deadlines are the pool's. */
  #keep({ client }: PooledConnection): void {
    if (client.pipeline !== undefined) {
      client.pipeline = this.#options.canShare && this.#set.canPipeline
    }
    if (this.queryTimeoutMs > 0) setQueryTimeout(client, 0)
  }

  #within(
    connection: PooledConnection,
    work: Promise<void>,
    done: () => void,
    ms: number = RESET_MS,
  ): void {
    const limit = setTimeout(
      () => this.#set.destroy(connection, new Error('could not be put back as it was')),
      ms,
    )
    limit.unref()
    work.then(
      () => {
        clearTimeout(limit)
        if (!connection.isLost) done()
        this.#options.pump()
      },
      (error: unknown) => {
        clearTimeout(limit)
        if (!connection.isLost) this.#set.destroy(connection, error as Error)
        this.#options.pump()
      },
    )
  }
}

/** What is asked through the client itself, by borrowers and by whoever keeps it, is looked at. */
function watchStatements(connection: PooledConnection): void {
  const { client, session } = connection
  const original = client.query
  client.query = function query(text: unknown, values?: unknown, callback?: unknown): unknown {
    // `pg` writes at once: what the pool still has to say goes before it, not into the midst of a COPY.
    connection.flush()
    if (text !== null && typeof text === 'object') {
      const config = text as { text?: unknown; name?: unknown; values?: unknown; cursor?: unknown }
      const own = config.text ?? (config.cursor as { text?: unknown } | undefined)?.text
      session.asked(own, values ?? config.values)
      if (typeof config.name === 'string') {
        if (connection.canName) connection.claimName(config.name, own)
        else return original.call(client, unnamed(config), values, callback)
      }
    } else session.asked(text, values)
    return original.call(client, text, values, callback)
  }
}

/** The same question; what a pooler would not find again by its name on another server. */
function unnamed(config: object): object {
  if (typeof (config as { submit?: unknown }).submit === 'function') return config
  return Object.create(config, { name: { value: undefined } }) as object
}

function ask(connection: PooledConnection, text: string, values?: unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.query(text, values, (error: unknown) => {
      if (error) reject(error as Error)
      else resolve()
    })
  })
}

/** An error is told before the server is ready again and says in which transaction status it is. */
function isBusy(client: PgClient): boolean {
  const { _activeQuery, _queryQueue, _sentQueryQueue, readyForQuery } = client
  return (
    Boolean(_activeQuery) ||
    Boolean(_queryQueue?.length) ||
    Boolean(_sentQueryQueue?.length) ||
    readyForQuery === false
  )
}

/** A cursor that waits for its owner to read on holds the connection, and its owner has gone. */
function holdsPortal(client: PgClient): boolean {
  const active = client._activeQuery as Portal | null | undefined
  return (active?.cursor ?? active)?.state === 'idle'
}

/** A query object that is none of `pg`'s: a cursor or a stream that may never be read to its end. */
function isForeign(client: PgClient): boolean {
  const active = client._activeQuery
  return active != null && (active as { _results?: unknown })._results === undefined
}

/** pg-cursor, and pg-query-stream, which has one. */
interface Portal {
  readonly state?: unknown
  readonly cursor?: { readonly state?: unknown }
}

function untilQuiet(client: PgClient): Promise<void> {
  if (!isBusy(client)) return Promise.resolve()
  return new Promise((resolve, reject) => {
    const quiet = () => {
      if (isBusy(client)) return
      off()
      resolve()
    }
    const ended = () => {
      off()
      reject(new Error('Connection terminated unexpectedly'))
    }
    const off = () => {
      client.off('drain', quiet)
      client.off('end', ended)
    }
    client.on('drain', quiet)
    client.on('end', ended)
  })
}

function rollbackOnly(status: string | null | undefined): string {
  return status === 'T' || status === 'E' ? 'ROLLBACK' : ''
}

function setQueryTimeout(client: PgClient, ms: number): void {
  const { connectionParameters } = client as unknown as {
    connectionParameters?: { query_timeout?: number | false }
  }
  if (connectionParameters !== undefined) connectionParameters.query_timeout = ms > 0 ? ms : false
}
