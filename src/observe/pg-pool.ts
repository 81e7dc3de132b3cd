/**
 * Hooks of `pg-pool`: who waited for a connection, who held it, and for whom a pool woke up.
 *
 *   Pool.connect ──▶ idle client ────────────────────────────┐
 *        │     └───▶ room for one more ──▶ newClient ────────┤ acquire ──▶ callback ──▶ release
 *        └─ full ──▶ pending, span pool-wait ────────────────┘     └── span pg.checkout ──┘
 *
 * The caller's scope hangs on the pool's own pending item, and `newClient` and `_acquireClient` run
 * in it: so the callback, the pool's events and a connection opened for a waiter belong to the one
 * who waits, not to the one who released. No callback is wrapped.
 *
 * Entering a context costs a microsecond or two. `Pool.query`, whose callback is the pool's own and
 * whose promise brings its context with it, goes without where nothing of the application's listens
 * in between: its scope is handed over by `pgSeam.passing`.
 *
 * Spans:
 *   - `pool-wait`, named `pg.Pool`, only where somebody really waits: an idle client comes on the
 *     next tick, a new one is a `connect`. Its `connection` is the number of the pool.
 *   - `custom`, named `pg.checkout`, from lending a client until its release, with the number of the
 *     connection: what else happened meanwhile tells who starves the pool. `Pool.query` makes none,
 *     since it holds its client exactly as long as its query takes.
 */
import { type Span, timing } from '../timing/index.ts'
import { bind, type Scope } from './context.ts'
import { hookFailed } from './guard.ts'
import { once } from './modules.ts'
import { type PgClient, PgConnection } from './pg-connection.ts'
import { isObservedQuery } from './pg-client.ts'
import { pgSeam, type Proceed, type QueryArguments } from './pg-interceptor.ts'
import { registerPool, type WatchedPool } from './pool-registry.ts'

/** The part of a Pool that the hooks look at. */
export interface PgPool {
  readonly options?: { readonly max?: number; readonly connectionTimeoutMillis?: number }
  readonly ended?: boolean
  readonly totalCount: number
  readonly idleCount: number
  readonly waitingCount: number
  readonly _pendingQueue?: readonly PendingItem[]
  readonly _idle?: readonly unknown[]
  readonly connect?: unknown
  readonly Promise?: unknown
  listenerCount?(event: string): number
  [poolOf]?: WatchedPool
}

interface PendingItem {
  timedOut?: boolean
  [checkoutOf]?: Checkout
}

interface PoolPrototype {
  connect: Proceed<PgPool>
  query: Proceed<PgPool>
  newClient?: Proceed<PgPool>
  _acquireClient?: Proceed<PgPool>
  _release?: Proceed<PgPool>
}

interface PoolClass {
  readonly prototype: PoolPrototype
}

const mark: unique symbol = Symbol('hasten.pg-pool')
const poolOf: unique symbol = Symbol('hasten.pool')
const checkoutOf: unique symbol = Symbol('hasten.checkout')

/** One `Pool.connect`, from the call until the client is lent. */
class Checkout {
  readonly scope: Scope | undefined
  readonly isOneQuery: boolean
  /** Whether what is called back is the pool's own, which does nothing but query. */
  readonly isPlain: boolean
  wait: Span | undefined
  /** While the client is lent. */
  span: Span | undefined

  constructor(scope: Scope | undefined, isOneQuery: boolean, isPlain: boolean) {
    this.scope = scope
    this.isOneQuery = isOneQuery
    this.isPlain = isPlain
  }
}

type LentClient = PgClient & { [checkoutOf]?: Checkout | undefined }

/** Whether the pool's own `query` is what calls `connect`. */
let isOneQuery = false
/** The checkout whose `connect` is running. */
let asking: Checkout | undefined

/** Patches the class that has the methods: `pg.Pool` only extends it. */
export function observePool(Pool: PoolClass | undefined): void {
  let Class = Pool as (PoolClass & { prototype?: PoolPrototype }) | undefined
  while (typeof Class === 'function') {
    const { prototype } = Class as PoolClass
    const isPool = prototype !== undefined && Object.hasOwn(prototype, '_acquireClient')
    if (isPool) return once(prototype, mark) ? observePrototype(prototype) : undefined
    Class = Object.getPrototypeOf(Class) as PoolClass | undefined
  }
}

function observePrototype(prototype: PoolPrototype): void {
  const { connect, query, newClient, _acquireClient: acquire, _release: release } = prototype

  prototype.query = function observedQuery(this: PgPool, _text, _values, _callback) {
    // biome-ignore lint/complexity/noArguments: handed on as they are
    return pgSeam.interceptor.poolQuery(this, arguments as unknown as QueryArguments, query)
  }

  prototype.connect = function observedConnect(this: PgPool, _callback) {
    const outer = asking
    // A class below may have a `connect` of its own, which hands on another callback.
    const isPlain = isOneQuery && this.connect === observedConnect
    const checkout = new Checkout(timing.scope(), isOneQuery, isPlain)
    isOneQuery = false
    asking = checkout
    const pendingBefore = this._pendingQueue?.length ?? 0
    try {
      // biome-ignore lint/complexity/noArguments: handed on as they are
      return connect.apply(this, arguments as unknown as unknown[])
    } finally {
      asking = outer
      asked(this, checkout, pendingBefore)
    }
  }

  if (typeof newClient === 'function') {
    const open = (pool: PgPool, item: unknown) => newClient.call(pool, item)
    prototype.newClient = function observedNewClient(this: PgPool, given) {
      const item = given as PendingItem | undefined
      const checkout = item?.[checkoutOf] ?? asking
      if (item === undefined || checkout === undefined) return newClient.call(this, given)
      item[checkoutOf] = checkout
      // From here on it is a connection being opened that takes the time.
      endWait(checkout)
      return timing.storage.run(checkout.scope as Scope, open, this, item)
    }
  }

  if (typeof acquire === 'function') {
    const lend = (
      pool: PgPool,
      client: unknown,
      item: unknown,
      listener: unknown,
      isNew: unknown,
    ) => acquire.call(pool, client, item, listener, isNew)
    prototype._acquireClient = function observedAcquire(
      this: PgPool,
      client,
      item,
      listener,
      isNew,
    ) {
      const checkout = (item as PendingItem | undefined)?.[checkoutOf]
      if (checkout === undefined) return acquire.call(this, client, item, listener, isNew)
      lent(client as LentClient, checkout)
      if (checkout.isPlain && isNew !== true && isQuiet(this, client as LentClient)) {
        const outer = pgSeam.passing
        pgSeam.passing = checkout
        try {
          return acquire.call(this, client, item, listener, isNew)
        } finally {
          pgSeam.passing = outer
        }
      }
      const scope = checkout.scope as Scope
      return timing.storage.run(scope, lend, this, client, item, listener, isNew)
    }
  }

  if (typeof release === 'function') {
    prototype._release = function observedRelease(this: PgPool, client, listener, error) {
      const checkout = (client as LentClient | undefined)?.[checkoutOf]
      if (checkout !== undefined) {
        checkout.span?.end()
        ;(client as LentClient)[checkoutOf] = undefined
      }
      return release.call(this, client, listener, error)
    }
  }
}

/** What the interceptor does with a pool's query: notes that it is one, and proceeds. */
export function poolQuery(pool: PgPool, args: QueryArguments, proceed: Proceed<PgPool>): unknown {
  const given = args as unknown as unknown[]
  isOneQuery = true
  try {
    return proceed.apply(pool, withBoundCallback(given))
  } finally {
    isOneQuery = false
  }
}

/** A connection that breaks calls back from its socket, in nobody's context. */
function withBoundCallback(args: unknown[]): unknown[] {
  const at = typeof args[1] === 'function' ? 1 : 2
  if (typeof args[at] !== 'function') return args
  const copy = Array.prototype.slice.call(args) as unknown[]
  copy[at] = bind(timing.scope(), args[at] as never)
  return copy
}

function asked(pool: PgPool, checkout: Checkout, pendingBefore: number): void {
  try {
    const watched = (pool[poolOf] ??= registerPool('pg-pool', new WeakRef(pool), figuresOf))
    const queue = pool._pendingQueue
    const item = queue?.[queue.length - 1]
    if (queue === undefined || item === undefined || queue.length <= pendingBefore) return
    item[checkoutOf] = checkout
    const waiting = queue.length - (pool._idle?.length ?? 0)
    if (waiting <= 0) return
    watched.sawWaiting(waiting)
    checkout.wait = checkout.scope?.open('pool-wait', 'pg.Pool')
    if (checkout.wait === undefined) return
    checkout.wait.connection = watched.number
    if (pool.options?.connectionTimeoutMillis) watchTimeout(item, checkout)
  } catch (error) {
    hookFailed(error)
  }
}

/** The pool marks an item whose time is up, and calls back without a client. */
function watchTimeout(item: PendingItem, checkout: Checkout): void {
  let timedOut = item.timedOut
  Object.defineProperty(item, 'timedOut', {
    configurable: true,
    enumerable: true,
    get: () => timedOut,
    set(value: boolean) {
      timedOut = value
      if (value) checkout.wait?.end(new Error('timeout'))
    },
  })
}

/**
 * Nothing of the application runs between lending and the answer: nobody listens, nobody has put
 * something before the client's query, and promises are Node's, which know their own context.
 */
function isQuiet(pool: PgPool, client: LentClient): boolean {
  return (
    isObservedQuery(client.query) &&
    (pool.Promise === undefined || pool.Promise === Promise) &&
    pool.listenerCount?.('acquire') === 0 &&
    pool.listenerCount('release') === 0
  )
}

function endWait(checkout: Checkout): void {
  try {
    checkout.wait?.end()
  } catch (error) {
    hookFailed(error)
  }
}

function lent(client: LentClient, checkout: Checkout): void {
  try {
    checkout.wait?.end()
    if (checkout.isOneQuery || checkout.scope === undefined) return
    client[checkoutOf] = checkout
    checkout.span = checkout.scope.open('custom', 'pg.checkout')
    checkout.span.connection = PgConnection.of(client).number
  } catch (error) {
    hookFailed(error)
  }
}

function figuresOf(pool: PgPool): ReturnType<Parameters<typeof registerPool<PgPool>>[2]> {
  if (pool.ended === true) return undefined
  return {
    max: pool.options?.max ?? 0,
    total: pool.totalCount,
    idle: pool.idleCount,
    waiting: pool.waitingCount,
  }
}
