import type { PooledConnection } from './pooled-connection.ts'
import type { WaitingLine } from './waiting-line.ts'
import type { PoolWaiter } from './waiting-lines.ts'

/** Somebody who wants a connection for himself: `pool.connect()`, or a statement that cannot share. */
export class Checkout implements PoolWaiter {
  readonly priority: number
  readonly askedMs: number
  /** Given where it must wait. */
  caller = 0
  order = 0
  /** A borrower keeps the connection; a statement gives it back by itself, soon. */
  readonly isBorrower: boolean
  readonly #start: (connection: PooledConnection) => void
  readonly #fail: (error: unknown) => void
  isSettled = false
  line: WaitingLine<PoolWaiter> | undefined = undefined
  acquireTimer: NodeJS.Timeout | undefined = undefined
  cleanUp: (() => void) | undefined = undefined

  constructor(
    isBorrower: boolean,
    priority: number,
    askedMs: number,
    start: (connection: PooledConnection) => void,
    fail: (error: unknown) => void,
  ) {
    this.isBorrower = isBorrower
    this.priority = priority
    this.askedMs = askedMs
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
    if (this.acquireTimer !== undefined) clearTimeout(this.acquireTimer)
    this.cleanUp?.()
  }
}
