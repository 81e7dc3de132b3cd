/**
 * Hooks of the pools that ORMs bring along: tarn (Knex, Objection, MikroORM 6) and sequelize-pool.
 *
 * There the application waits for its connection in *their* line, and pg's own pool is not used.
 * Statements need no help: both hand out connections by promise, so what follows runs in the context
 * of the one who waited. What is added is the span `pool-wait` where somebody really waits: not
 * where a connection is free, and not where one is being opened for them, which is a `connect`.
 *
 * Settled is told by the deferred that both keep for each waiter: its `resolve` and `reject` are
 * wrapped, and no promise is added.
 */
import { timing } from '../timing/index.ts'
import { hookFailed } from './guard.ts'
import { once } from './modules.ts'
import { type PoolFigures, registerPool, type WatchedPool } from './pool-registry.ts'

interface Deferred {
  resolve: (value: unknown) => unknown
  reject: (error: unknown) => unknown
}

type Acquire<Pool> = (this: Pool, ...args: unknown[]) => unknown

interface TarnPool {
  readonly max: number
  readonly destroyed: boolean
  readonly pendingAcquires: readonly { readonly deferred: Deferred }[]
  numUsed(): number
  numFree(): number
  numPendingCreates(): number
  numPendingAcquires(): number
  [poolOf]?: WatchedPool
}

interface SequelizePool {
  readonly size: number
  readonly available: number
  readonly waiting: number
  readonly maxSize: number
  readonly _draining?: boolean
  readonly _pendingAcquires: readonly Deferred[]
  [poolOf]?: WatchedPool
}

const mark: unique symbol = Symbol('hasten.other-pool')
const poolOf: unique symbol = Symbol('hasten.pool')

export function observeTarn(
  Pool: { prototype: TarnPool & { acquire: Acquire<TarnPool> } } | undefined,
): void {
  if (typeof Pool?.prototype.acquire !== 'function' || !once(Pool.prototype, mark)) return
  const { acquire } = Pool.prototype
  Pool.prototype.acquire = function observedAcquire(this: TarnPool, ...args) {
    const creating = numberOf(() => this.numPendingCreates())
    const waiting = numberOf(() => this.numPendingAcquires())
    const acquired = acquire.apply(this, args)
    try {
      this[poolOf] ??= registerPool('tarn', new WeakRef<TarnPool>(this), figuresOfTarn)
      const line = this.pendingAcquires
      const isOpening = this.numPendingCreates() > creating
      if (line.length > waiting && !isOpening)
        wait(this[poolOf], line.length, line.at(-1)?.deferred)
    } catch (error) {
      hookFailed(error)
    }
    return acquired
  }
}

export function observeSequelizePool(
  Pool: { prototype: SequelizePool & { acquire: Acquire<SequelizePool> } } | undefined,
): void {
  if (typeof Pool?.prototype.acquire !== 'function' || !once(Pool.prototype, mark)) return
  const { acquire } = Pool.prototype
  Pool.prototype.acquire = function observedAcquire(this: SequelizePool, ...args) {
    const size = numberOf(() => this.size)
    const waiting = numberOf(() => this.waiting)
    const acquired = acquire.apply(this, args)
    try {
      this[poolOf] ??= registerPool(
        'sequelize-pool',
        new WeakRef<SequelizePool>(this),
        figuresOfSequelize,
      )
      const line = this._pendingAcquires
      if (line.length > waiting && this.size <= size) wait(this[poolOf], line.length, line.at(-1))
    } catch (error) {
      hookFailed(error)
    }
    return acquired
  }
}

function wait(pool: WatchedPool, waiting: number, deferred: Deferred | undefined): void {
  pool.sawWaiting(waiting)
  const span = timing.scope()?.open('pool-wait', pool.library)
  if (span === undefined || deferred === undefined) return
  span.connection = pool.number
  const { resolve, reject } = deferred
  deferred.resolve = (value) => {
    span.end()
    return resolve.call(deferred, value)
  }
  deferred.reject = (error) => {
    span.end(error ?? 'rejected')
    return reject.call(deferred, error)
  }
}

function numberOf(read: () => number): number {
  try {
    return read()
  } catch (error) {
    hookFailed(error)
    return Number.POSITIVE_INFINITY
  }
}

function figuresOfTarn(pool: TarnPool): PoolFigures | undefined {
  if (pool.destroyed) return undefined
  const idle = pool.numFree()
  const total = idle + pool.numUsed() + pool.numPendingCreates()
  return { max: pool.max, total, idle, waiting: pool.numPendingAcquires() }
}

function figuresOfSequelize(pool: SequelizePool): PoolFigures | undefined {
  if (pool._draining === true) return undefined
  const { maxSize: max, size: total, available: idle, waiting } = pool
  return { max, total, idle, waiting }
}
