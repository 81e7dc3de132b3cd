/**
 * Hooks of `postgres` (postgres.js): which statement ran for which request, and how long.
 *
 *   postgres(…) ──▶ Proxy: learns the address, and the class Query, which is not exported
 *   sql`…` ──▶ Query, a promise; first `then` ──▶ handle ──▶ handler ──▶ a connection, or its line
 *                                        │                     │
 *                                      scope          query.statement is set: sent
 *                                                     query.resolve or reject: answered
 *
 * A query belongs to the request that first asks for its result. Where its handler has not set
 * `statement` when it returns, the query waits: for a connection being opened, which shows as
 * `connect`, or for one that is busy, `pool-wait`. Which of the two is known when it is sent, by
 * whether its server process is a new one. Behind others in a pipeline it counts as running.
 *
 * Callbacks of `forEach` and `cursor` run for the request that gave them. What postgres.js does by
 * itself when it connects (it reads the types) is booked to the request that it connects for.
 *
 * Not known here: bytes, and how full the pool is, both hidden in closures.
 */
import { timing } from '../timing/index.ts'
import { agentSeam, type SeamClient } from './agent-seam.ts'
import { bind } from './context.ts'
import { hookFailed } from './guard.ts'
import { once } from './modules.ts'
import { PgConnection, type PgClient } from './pg-connection.ts'
import { QueryCall } from './query-call.ts'

type AnyFunction = (...args: unknown[]) => unknown

/** The part of a Query of postgres.js that the hooks look at. */
interface JsQuery {
  handle: (this: JsQuery) => unknown
  handler: AnyFunction
  resolve: AnyFunction
  reject: AnyFunction
  readonly executed: boolean
  readonly parameters?: readonly unknown[]
  /** Of the connection that it was given to: an object for each. */
  readonly state: (PgClient & { readonly pid?: number | null }) | null
  readonly cursorRows?: number
  statement: { readonly string: string } | null
  cursorFn?: AnyFunction
  forEachFn?: AnyFunction
}

interface Sql {
  readonly options?: {
    readonly host?: readonly string[]
    readonly port?: readonly number[]
    readonly path?: string | false
    readonly database?: string
    readonly user?: string
    readonly pass?: unknown
    readonly ssl?: unknown
  }
  unsafe(text: string): JsQuery
}

const mark: unique symbol = Symbol('hasten.postgres')
const watched = new WeakSet<object>()
/** Address by the handler that all queries of one `postgres(…)` outside of transactions share. */
const addresses = new WeakMap<AnyFunction, SeamClient>()
const addressOf = new WeakMap<object, SeamClient>()
/** Server process of each connection that a query was last seen on. */
const processes = new WeakMap<object, number | null | undefined>()

/** What stands in for the export of the package: the same function, watched. */
export function observePostgresJs(exports: unknown): unknown {
  const { default: inner } = exports as { default?: unknown }
  const factory = typeof exports === 'function' ? exports : inner
  if (typeof factory !== 'function' || watched.has(factory)) return undefined
  const proxy = new Proxy(factory as AnyFunction, {
    apply(target, self, args) {
      const sql = Reflect.apply(target, self, args)
      try {
        learn(sql as Sql)
      } catch (error) {
        hookFailed(error)
      }
      return sql
    },
  })
  watched.add(proxy)
  return proxy
}

function learn(sql: Sql): void {
  // Made, never asked for: it does nothing.
  const probe = sql.unsafe('')
  const { host, port, path, database, user, pass, ssl } = sql.options ?? {}
  const parameters = {
    ...(path ? { host: path } : { host: host?.[0] ?? '', port: port?.[0] ?? 0 }),
    ...(database !== undefined && { database }),
    ...(user !== undefined && { user }),
    // Password and TLS are for the agent, which asks the planner on a connection of its own.
    password: pass,
    ssl,
  }
  addresses.set(probe.handler, { connectionParameters: parameters } as SeamClient)
  const prototype = Object.getPrototypeOf(probe) as JsQuery
  if (typeof prototype.handle === 'function' && once(prototype, mark)) observeQuery(prototype)
}

function observeQuery(prototype: JsQuery): void {
  const { handle } = prototype
  prototype.handle = function observedHandle(this: JsQuery) {
    if (!this.executed) {
      try {
        watch(this)
      } catch (error) {
        hookFailed(error)
      }
    }
    return handle.call(this)
  }
}

function watch(query: JsQuery): void {
  const call = new QueryCall(timing.scope())
  const { handler } = query
  query.handler = function observedHandler(this: unknown, ...args: unknown[]) {
    const startMs = timing.now()
    const returned = handler.apply(this, args)
    try {
      if (query.statement !== null) sent(query, call, handler, startMs)
      else if (!call.isOver) awaitStatement(query, call, handler, startMs)
    } catch (error) {
      hookFailed(error)
    }
    return returned
  }
  if (query.forEachFn !== undefined) query.forEachFn = bind(call.scope, query.forEachFn as never)
  if (query.cursorRows !== undefined) watchCursor(query, call, handler)
  else {
    const { resolve, reject } = query
    query.resolve = (result) => {
      answered(call, result)
      return resolve(result)
    }
    query.reject = (reason) => {
      failed(call, handler, reason)
      return reject(reason)
    }
  }
}

/** The query is in a line; its connection sets `statement` when it sends it. */
function awaitStatement(
  query: JsQuery,
  call: QueryCall,
  handler: AnyFunction,
  waitedFromMs: number,
): void {
  let statement: JsQuery['statement'] = null
  Object.defineProperty(query, 'statement', {
    configurable: true,
    enumerable: true,
    get: () => statement,
    set(value: JsQuery['statement']) {
      statement = value
      try {
        if (value === null || call.isSent) return
        noteWait(query, call, handler, waitedFromMs)
        sent(query, call, handler, timing.now())
      } catch (error) {
        hookFailed(error)
      }
    },
  })
}

function noteWait(query: JsQuery, call: QueryCall, handler: AnyFunction, fromMs: number): void {
  const { state } = query
  if (state === null) return
  const isNew = processes.get(state) !== state.pid
  processes.set(state, state.pid)
  const span = call.scope?.open(isNew ? 'connect' : 'pool-wait', 'postgres', fromMs)
  if (span !== undefined) {
    span.connection = PgConnection.of(state).number
    span.end()
  } else if (isNew) timing.background('connect', timing.now() - fromMs)
  if (!isNew) return
  const address = addresses.get(handler)
  if (address !== undefined) agentSeam.connect?.(address)
}

function sent(query: JsQuery, call: QueryCall, handler: AnyFunction, startMs: number): void {
  const { state } = query
  if (query.statement === null || state === null) return
  const address = addresses.get(handler) ?? addressOf.get(state)
  if (address !== undefined) addressOf.set(state, address)
  const statement = call.sent(query.statement.string, query.parameters, address ?? {}, startMs)
  const connection = PgConnection.of(state)
  const transaction = connection.sent(statement)
  if (call.span === undefined) return
  call.span.connection = connection.number
  call.span.transaction = transaction
}

function answered(call: QueryCall, result: unknown): void {
  try {
    const isMany = Array.isArray(result) && !('count' in result)
    const results = (isMany ? result : [result]) as ({ count?: number | null } | undefined)[]
    const count = results.reduce((sum, each) => sum + (each?.count ?? 0), 0)
    call.answered(count, isMany ? (result as unknown[]).flat() : (result as unknown[]))
  } catch (error) {
    hookFailed(error)
  }
}

function failed(call: QueryCall, handler: AnyFunction, reason: unknown): void {
  try {
    const address = addresses.get(handler)
    if (!call.isSent && address !== undefined) agentSeam.connect?.(address, reason)
    call.failed(reason)
  } catch (error) {
    hookFailed(error)
  }
}

/** A cursor's iterator sets these three anew for each portion, so they are caught where they are set. */
function watchCursor(query: JsQuery, call: QueryCall, handler: AnyFunction): void {
  let rows = 0
  intercept(query, 'cursorFn', (fn) => {
    const bound = bind(call.scope, fn as never) as AnyFunction
    return (portion) => {
      rows += Array.isArray(portion) ? portion.length : 0
      return bound(portion)
    }
  })
  intercept(query, 'resolve', (resolve) => (result) => {
    answered(call, { count: rows })
    return resolve(result)
  })
  intercept(query, 'reject', (reject) => (reason) => {
    failed(call, handler, reason)
    return reject(reason)
  })
}

function intercept(
  query: JsQuery,
  name: 'cursorFn' | 'resolve' | 'reject',
  wrap: (original: AnyFunction) => AnyFunction,
): void {
  const given = query[name]
  let current = given === undefined ? undefined : wrap(given)
  Object.defineProperty(query, name, {
    configurable: true,
    enumerable: true,
    get: () => current,
    set(value: AnyFunction | undefined) {
      current = value === undefined ? undefined : wrap(value)
    },
  })
}
