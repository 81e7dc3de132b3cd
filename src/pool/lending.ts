/**
 * Lending: a client for a borrower, from `pool.connect()` to its release.
 *
 *   lend ─▶ dispatcher ─▶ lease ─▶ verified? ─▶ borrower ─▶ release ─▶ put back as it was, or closed
 */
import { monotonic } from '../core/clock.ts'
import type { Checkout } from './checkout.ts'
import type { ConnectionSet } from './connection-set.ts'
import { limitBy } from './deadline.ts'
import type { Dispatcher } from './dispatcher.ts'
import { Lease, type LeasedClient, type Release } from './lease.ts'
import type { BorrowerStack, Leases } from './leases.ts'
import type { PgClient } from './pg.ts'
import { type CallOptions, priorityOf } from './pool-options.ts'
import { poolEnded } from './pool-ended.ts'
import { PoolMessage } from './pool-message.ts'
import type { PooledConnection } from './pooled-connection.ts'
import type { SessionKeeper } from './session-keeper.ts'

export type Lent = (error: unknown, client?: LeasedClient, release?: Release) => void

/** What lending needs of the pool that it is done for. */
export interface LendingOptions {
  readonly pool: { readonly ending: boolean }
  readonly dispatcher: Dispatcher
  readonly set: ConnectionSet
  readonly keeper: SessionKeeper
  readonly leases: Leases
  /** Refuse what is done with a client after its release. */
  readonly isGuarded: boolean
  /** Of `pg.Pool`: looks at a new client before it is lent. */
  readonly verify: ((client: LeasedClient, done: (error?: unknown) => void) => void) | undefined
  readonly acquired: (client: PgClient) => void
  readonly released: (error: unknown, client: PgClient) => void
}

export class Lending {
  readonly #options: LendingOptions

  constructor(options: LendingOptions) {
    this.#options = options
  }

  /** `above`: the function whose caller is the borrower. */
  lend(options: CallOptions, above: unknown, done: Lent): void {
    const { pool, dispatcher, leases } = this.#options
    if (pool.ending) {
      done(poolEnded())
      return
    }
    // Whatever is wrong with the options is found before there is a place in the line to keep.
    const priority = priorityOf(options.priority)
    let checkout: Checkout | undefined
    let isOver = false
    const cleanUp = limitBy(options, 0, (error, count) => {
      isOver = true
      if (checkout === undefined) done(error)
      else if (count === 'timedOut') dispatcher.outOfTime(checkout)
      else dispatcher.withdraw(checkout, error)
    })
    if (isOver) return
    const stack = leases.sampleStack(dispatcher.waiting, above)
    const message = PoolMessage.of(pool, 'checkout')
    checkout = dispatcher.checkout(
      true,
      priority,
      (connection) => {
        message?.sent(connection.client)
        this.#grant(connection, stack, message, done)
      },
      (error) => {
        message?.done(error)
        done(error)
      },
    )
    if (checkout.isSettled) cleanUp?.()
    else checkout.cleanUp = cleanUp
  }

  #grant(
    connection: PooledConnection,
    stack: BorrowerStack | undefined,
    message: PoolMessage | undefined,
    done: Lent,
  ): void {
    const { keeper, leases, isGuarded, acquired, verify } = this.#options
    keeper.hand(connection)
    const lease = leases.begin(
      new Lease(connection, monotonic.now(), stack, isGuarded, (ended, error) => {
        message?.done()
        this.#released(ended, error)
      }),
    )
    acquired(connection.client)
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
    const { dispatcher, set, keeper, leases, released } = this.#options
    const { connection } = lease
    leases.end(lease)
    dispatcher.endedLease()
    connection.uses += 1
    released(error, connection.client)
    if (connection.isLost) return
    if (error || isUnusable(connection.client)) {
      set.retire(connection)
      dispatcher.pump()
    } else keeper.takeBack(connection)
  }
}

function isUnusable(client: PgClient): boolean {
  return client._queryable === false || client._ending === true
}
