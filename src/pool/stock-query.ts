/**
 * Stock query: what cannot be a call, run by `pg`'s own Query on a connection of its own.
 *
 * Several statements in a text, BEGIN, SET, COPY, cursors and other query objects. It is what
 * `pg.Pool.query` does, without its faults: an SQL error closes no connection, a deadline cancels on
 * the server, and what the text did to the session is put back.
 */
import { AsyncResource } from 'node:async_hooks'
import { statementOf } from '../core/statement.ts'
import { cancelRequest } from './cancel-request.ts'
import { CANCEL_LIMIT_MS } from './cancellation.ts'
import type { Checkout } from './checkout.ts'
import type { ConnectionSet } from './connection-set.ts'
import type { GiveUp } from './deadline.ts'
import type { Dispatcher } from './dispatcher.ts'
import { isFatal, isRefusal, lostError } from './lost-call.ts'
import type { PgClient, PgError } from './pg.ts'
import type { PoolMessage } from './pool-message.ts'
import type { PooledConnection } from './pooled-connection.ts'
import type { SessionKeeper } from './session-keeper.ts'

export interface StockQuery {
  readonly message: PoolMessage | undefined
  readonly config: unknown
  readonly values: unknown
  readonly priority: number
  readonly dispatcher: Dispatcher
  readonly set: ConnectionSet
  readonly keeper: SessionKeeper
  /** Starts the caller's deadline; returns what clears it. */
  readonly limit: (giveUp: GiveUp) => (() => void) | undefined
  readonly acquired: (client: PgClient) => void
  readonly released: (error: unknown, client: PgClient) => void
  readonly done: (error: unknown, result?: unknown) => void
}

export function runStock(query: StockQuery): void {
  const { dispatcher } = query
  let running: Running | undefined
  let checkout: Checkout | undefined
  let cleanUp: (() => void) | undefined
  let isOver = false
  const settle = (error: unknown, result?: unknown) => {
    if (isOver) return
    isOver = true
    cleanUp?.()
    query.message?.done(error)
    query.done(error, result)
  }
  cleanUp = query.limit((error, count) => {
    if (isOver) return
    dispatcher.counts[count] += 1
    if (running !== undefined) running.cancel()
    else if (checkout !== undefined) dispatcher.withdraw(checkout, error)
    settle(error)
  })
  if (isOver) return
  // Whoever frees a connection does it in his own context; the statement runs in its caller's.
  const context = new AsyncResource('HastenStatement')
  checkout = dispatcher.checkout(
    false,
    query.priority,
    (connection) => {
      query.message?.sent(connection.client)
      const started = new Running(query, connection, settle)
      running = started
      context.runInAsyncScope(() => started.start())
    },
    settle,
  )
}

class Running {
  readonly #query: StockQuery
  readonly #connection: PooledConnection
  readonly #settle: (error: unknown, result?: unknown) => void
  #isOver = false

  constructor(
    query: StockQuery,
    connection: PooledConnection,
    settle: (error: unknown, result?: unknown) => void,
  ) {
    this.#query = query
    this.#connection = connection
    this.#settle = settle
  }

  start(): void {
    const { config, values, acquired } = this.#query
    const { client } = this.#connection
    if (client.pipeline === true) client.pipeline = false
    this.#connection.uses += 1
    acquired(client)
    const lost = (error: unknown) => this.#ended(error)
    client.once('error', lost)
    try {
      client.query(withoutTimeout(config), values, (error: unknown, result: unknown) => {
        client.removeListener('error', lost)
        this.#ended(error, result)
      })
    } catch (error) {
      client.removeListener('error', lost)
      this.#ended(error)
    }
  }

  cancel(): void {
    const connection = this.#connection
    this.#query.dispatcher.counts.cancelled += 1
    // A late request must not hit the next one: the connection goes when this has ended.
    connection.expiresMs = Number.NEGATIVE_INFINITY
    const limit = setTimeout(() => {
      if (!this.#isOver) {
        this.#query.set.destroy(connection, new Error('a cancelled statement did not end'))
      }
    }, CANCEL_LIMIT_MS)
    limit.unref()
    void cancelRequest(connection.client, connection.stream)
  }

  #ended(error: unknown, result?: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    const connection = this.#connection
    const { dispatcher, keeper, set, released, config } = this.#query
    dispatcher.endedAlone()
    released(error, connection.client)
    const fault = error as PgError | undefined
    if (isFatal(fault)) set.lost(connection, error)
    const isGone = connection.isLost || connection.client._queryable === false
    this.#settle(isGone && error ? lostError(isRefusal(fault), error) : error, result)
    if (connection.isLost) return
    // After COPY by the extended protocol the server waits for more, for ever.
    if (isGone || (error && isCopy(config))) {
      set.destroy(connection, new Error('COPY without a stream'))
    } else keeper.takeBack(connection)
    dispatcher.pump()
  }
}

function isCopy(config: unknown): boolean {
  const text = typeof config === 'string' ? config : (config as { text?: unknown } | null)?.text
  return typeof text === 'string' && statementOf(text).verb === 'COPY'
}

/** The pool keeps the deadline itself. */
function withoutTimeout(config: unknown): unknown {
  const timed = config as { query_timeout?: unknown; submit?: unknown } | null
  if (typeof config !== 'object' || timed?.query_timeout === undefined) return config
  return typeof timed.submit === 'function' ? config : { ...timed, query_timeout: undefined }
}
