import type { PooledConnection } from './pooled-connection.ts'
import type { Waiter } from './waiting-line.ts'

/** Somebody who wants a connection for himself: `pool.connect()`, or a statement that cannot share. */
export class Checkout implements Waiter {
  readonly priority: number
  readonly caller: number
  readonly order: number
  readonly askedMs: number
  /** A borrower keeps the connection; a statement gives it back by itself, soon. */
  readonly isBorrower: boolean
  readonly #start: (connection: PooledConnection) => void
  readonly #fail: (error: unknown) => void
  isSettled = false
  acquireTimer: NodeJS.Timeout | undefined = undefined
  cleanUp: (() => void) | undefined = undefined

  constructor(
    place: { priority: number; caller: number; order: number; askedMs: number },
    isBorrower: boolean,
    start: (connection: PooledConnection) => void,
    fail: (error: unknown) => void,
  ) {
    this.priority = place.priority
    this.caller = place.caller
    this.order = place.order
    this.askedMs = place.askedMs
    this.isBorrower = isBorrower
    this.#start = start
    this.#fail = fail
  }

  grant(connection: PooledConnection): void {
    this.#settle()
    this.#start(connection)
  }

  fail(error: unknown): void {
    if (this.isSettled) return
    this.#settle()
    this.#fail(error)
  }

  #settle(): void {
    this.isSettled = true
    clearTimeout(this.acquireTimer)
    this.cleanUp?.()
  }
}
