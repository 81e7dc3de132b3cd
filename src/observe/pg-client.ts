/**
 * Hooks of `pg`'s Client and Query: which statement ran for which request, and how long.
 *
 *   Client.query ──────▶ QueryCall, with the caller's scope
 *     new Query()           │ hung on the query when it is submitted, or found at the queue's end
 *     Query.submit ─────▶ sent
 *     Query.handleReadyForQuery ─▶ answered ┐ both run in the caller's scope, and so do
 *     Query.handleError ─────────▶ failed   ┘ the user's callback and listeners
 *
 * Nothing is wrapped that the application sees: no promise, no callback, no result. The prototypes'
 * own methods are replaced, so subclasses, and applications that patch them before or after us,
 * find what they expect. Each method does the original's work whatever happens in ours.
 *
 * `pg-native` has another Client, which is left alone.
 */
import { timing } from '../timing/index.ts'
import { agentSeam } from './agent-seam.ts'
import type { Scope } from './context.ts'
import { hookFailed } from './guard.ts'
import { once } from './modules.ts'
import { PgConnection, type PgClient, type PgWire, type ReadyMessage } from './pg-connection.ts'
import { pgSeam, type Proceed, type QueryArguments } from './pg-interceptor.ts'
import { watchSubmittable, type Submittable } from './pg-submittable.ts'
import { QueryCall } from './query-call.ts'

/** The part of `pg`'s Query that the hooks look at. */
export interface PgQuery {
  readonly text?: unknown
  readonly name?: string
  readonly values?: readonly unknown[]
  readonly callback?: unknown
  readonly _results?: PgResult | readonly PgResult[]
  handleDataRow?: (message: unknown) => unknown
  [callOf]?: PgCall
}

interface PgResult {
  readonly rowCount?: number | null
  readonly rows?: readonly unknown[]
}

type PgCall = QueryCall & { readonly connection: PgConnection }

interface ClientPrototype {
  query: Proceed<PgClient>
  _connect?: (this: PgClient, callback: unknown) => unknown
  _handleReadyForQuery?: (this: PgClient, message: ReadyMessage) => unknown
  getTransactionStatus?: unknown
}

interface QueryPrototype {
  submit: (this: PgQuery, connection: PgWire) => unknown
  handleReadyForQuery: (this: PgQuery, connection: PgWire) => unknown
  handleError: (this: PgQuery, error: unknown, connection: PgWire) => unknown
}

interface ClientClass {
  readonly prototype: ClientPrototype
  readonly Query?: { readonly prototype: QueryPrototype }
}

const mark: unique symbol = Symbol('hasten.pg')
export const callOf: unique symbol = Symbol('hasten.call')

/** The call whose Query is being made, until it is found. */
let pending: PgCall | undefined

/** Patches one copy; does nothing the second time, or where it is no JavaScript client of pg. */
export function observeClient(Client: ClientClass | undefined): void {
  const query = Client?.Query?.prototype
  if (Client === undefined || typeof query?.submit !== 'function') return
  if (typeof Client.prototype._connect !== 'function') return
  if (once(Client.prototype, mark)) {
    observeQueries(Client.prototype)
    observeConnect(Client.prototype)
    observeReady(Client.prototype)
  }
  if (once(query, mark)) observeQuery(query)
}

function observeQueries(prototype: ClientPrototype): void {
  const { query } = prototype
  // Three parameters, as the original says that it has.
  prototype.query = function observedQuery(this: PgClient, _config, _values, _callback) {
    // biome-ignore lint/complexity/noArguments: handed on as they are
    return pgSeam.interceptor.clientQuery(this, arguments as unknown as QueryArguments, query)
  }
  Object.defineProperty(prototype.query, mark, { value: true })
}

/** Whether this is the hook itself, and not something that stands before it. */
export function isObservedQuery(query: unknown): boolean {
  return (query as { [mark]?: true } | undefined)?.[mark] === true
}

/** What the interceptor does with a client's query: watches, and proceeds. */
export function clientQuery(
  client: PgClient,
  args: QueryArguments,
  proceed: Proceed<PgClient>,
): unknown {
  const connection = PgConnection.of(client)
  if (connection.isUnobserved || isPoolCall(args[0]))
    return proceed.apply(client, args as unknown as unknown[])
  const { passing } = pgSeam
  pgSeam.passing = undefined
  const outer = pending
  let asked: PgCall | undefined
  try {
    const scope = passing === undefined ? timing.scope() : passing.scope
    asked = new QueryCall(scope, connection) as PgCall
    asked.isQuiet = passing !== undefined || isPromised(client, args)
    const config = args[0] as Submittable | undefined
    if (typeof config?.submit === 'function') watchObject(config, asked)
    else pending = asked
  } catch (error) {
    hookFailed(error)
  }
  try {
    return proceed.apply(client, args as unknown as unknown[])
  } finally {
    pending = outer
    if (asked !== undefined && !asked.isSent) findInQueue(client, asked, args[0])
  }
}

/** A statement of `hasten/pool`, which tells of it on its own channel. */
function isPoolCall(config: unknown): boolean {
  return typeof config === 'object' && config !== null && 'isPoolCall' in config
}

/** Whether the answer is a promise of Node's, which brings the context of whoever awaits it. */
function isPromised(client: PgClient, args: QueryArguments): boolean {
  // By index: an iterator over `arguments` costs more than all the rest.
  const config = args[0]
  if (typeof args[1] === 'function' || args[2] !== undefined) return false
  if (client._Promise !== undefined && client._Promise !== Promise) return false
  if (typeof config !== 'object' || config === null) return true
  const { submit, callback: own } = config as { submit?: unknown; callback?: unknown }
  return submit === undefined && own === undefined
}

/** A query object of the application's own making, or of another library's. */
function watchObject(config: Submittable & PgQuery, asked: PgCall): void {
  if (!(mark in config)) {
    watchSubmittable(config, asked, asked.connection)
    return
  }
  config[callOf] = asked
  if (config.callback !== undefined) return
  // Its listeners hear of each row.
  const { handleDataRow } = config
  config.handleDataRow = (message) =>
    timing.storage.run(asked.scope as Scope, () => handleDataRow?.call(config, message))
}

/** The client was busy: the query waits at the end of its queue. Else it was refused, and is none. */
function findInQueue(client: PgClient, asked: PgCall, config: unknown): void {
  try {
    const queue = client._queryQueue ?? client.queryQueue
    const last = queue?.[queue.length - 1] as PgQuery | undefined
    if (last === undefined) return
    if (last !== config) {
      if (!(mark in last) || last[callOf] !== undefined) return
      last[callOf] = asked
    }
    // While it connects, that is what takes the time.
    if (client.readyForQuery !== undefined) asked.waits('pg.Client', asked.connection.number)
  } catch (error) {
    hookFailed(error)
  }
}

function observeQuery(prototype: QueryPrototype): void {
  const { submit, handleReadyForQuery, handleError } = prototype
  const ready = (query: PgQuery, connection: PgWire) => handleReadyForQuery.call(query, connection)
  const fail = (query: PgQuery, error: unknown, connection: PgWire) =>
    handleError.call(query, error, connection)

  prototype.submit = function observedSubmit(this: PgQuery, connection) {
    let asked = this[callOf]
    if (asked === undefined) {
      if (pending === undefined) return submit.call(this, connection)
      asked = this[callOf] = pending
      pending = undefined
    }
    const startMs = timing.now()
    const refused = submit.call(this, connection)
    if (!refused && !asked.isOver) sent(this, asked, connection, startMs)
    return refused
  }

  prototype.handleReadyForQuery = function observedReady(this: PgQuery, connection) {
    const asked = this[callOf]
    if (asked === undefined) return handleReadyForQuery.call(this, connection)
    answered(this, asked)
    if (asked.isQuiet) return handleReadyForQuery.call(this, connection)
    return timing.storage.run(asked.scope as Scope, ready, this, connection)
  }

  prototype.handleError = function observedError(this: PgQuery, error, connection) {
    const asked = this[callOf]
    if (asked === undefined) return handleError.call(this, error, connection)
    failed(asked, error)
    if (asked.isQuiet) return handleError.call(this, error, connection)
    return timing.storage.run(asked.scope as Scope, fail, this, error, connection)
  }
}

function sent(query: PgQuery, call: PgCall, wire: PgWire, startMs: number): void {
  const { connection } = call
  try {
    // A prepared statement may be run by its name alone.
    const text = query.text ?? wire.parsedStatements?.[query.name ?? '']
    if (typeof text !== 'string') return
    const statement = call.sent(text, query.values, connection.client, startMs)
    const transaction = connection.sent(statement)
    if (call.span === undefined) return
    call.span.connection = connection.number
    call.span.transaction = transaction
  } catch (error) {
    hookFailed(error)
  }
}

function answered({ _results: results }: PgQuery, call: PgCall): void {
  const { connection } = call
  if (call.isOver || !call.isSent) return
  try {
    const bytes = connection.answered()
    if (call.span !== undefined) call.span.bytes = bytes
    if (Array.isArray(results)) {
      const all = results as readonly PgResult[]
      const rows = call.isDeep ? all.flatMap((result) => result.rows ?? []) : undefined
      call.answered(
        all.reduce((sum, result) => sum + rowCountOf(result), 0),
        rows,
      )
    } else {
      const result = results as PgResult | undefined
      call.answered(rowCountOf(result), result?.rows)
    }
  } catch (error) {
    hookFailed(error)
  }
}

function failed(call: PgCall, reason: unknown): void {
  const { connection } = call
  if (call.isOver) return
  try {
    if (call.isSent) {
      const bytes = connection.answered()
      if (call.span !== undefined) call.span.bytes = bytes
    }
    call.failed(reason)
  } catch (error) {
    hookFailed(error)
  }
}

/** Where rows come in portions the server counts the last portion only. */
function rowCountOf(result: PgResult | undefined): number {
  return Math.max(result?.rowCount ?? 0, result?.rows?.length ?? 0)
}

function observeConnect(prototype: ClientPrototype): void {
  const connect = prototype._connect as NonNullable<ClientPrototype['_connect']>
  prototype._connect = function observedConnect(this: PgClient, callback) {
    if (typeof callback !== 'function' || PgConnection.of(this).isUnobserved) {
      return connect.call(this, callback)
    }
    let done = callback as (...args: unknown[]) => unknown
    try {
      done = watchConnect(this, done)
    } catch (error) {
      hookFailed(error)
    }
    return connect.call(this, done)
  }
}

function watchConnect(
  client: PgClient,
  callback: (...args: unknown[]) => unknown,
): (...args: unknown[]) => unknown {
  const scope = timing.scope()
  const startMs = timing.now()
  const connection = PgConnection.of(client)
  const span = scope?.open('connect', 'pg', startMs)
  if (span !== undefined) span.connection = connection.number
  let isOver = false
  return function connected(this: unknown, ...args: unknown[]): unknown {
    if (!isOver) {
      isOver = true
      try {
        connection.connected()
        const reason = args[0] ?? undefined
        if (span === undefined) timing.background('connect', timing.now() - startMs)
        else span.end(reason)
        agentSeam.connect?.(client, reason)
      } catch (error) {
        hookFailed(error)
      }
    }
    return timing.storage.run(scope as Scope, Reflect.apply, callback, this, args)
  }
}

function observeReady(prototype: ClientPrototype): void {
  const ready = prototype._handleReadyForQuery
  // One that can be asked is asked when the next statement is sent.
  if (typeof ready !== 'function' || typeof prototype.getTransactionStatus === 'function') return
  prototype._handleReadyForQuery = function observedReady(this: PgClient, message) {
    try {
      const connection = PgConnection.of(this)
      if (!connection.isUnobserved) connection.ready(message)
    } catch (error) {
      hookFailed(error)
    }
    return ready.call(this, message)
  }
}
