/**
 * Waiting lines: everybody who waits for a connection, by what he waits for.
 *
 *   express   calls that share a connection
 *   alone     statements that need one for themselves, soon over
 *   lent      borrowers
 *
 * Together they are bounded. `order` is that of asking, across the lines. Who waits longer than
 * `acquireTimeoutMs` is told who holds the connections.
 */
import { HastenError } from '../core/errors.ts'
import type { Call } from './call.ts'
import type { Checkout } from './checkout.ts'
import type { PoolSettings } from './pool-options.ts'
import { type Waiter, WaitingLine } from './waiting-line.ts'

/** One who waits: a call, or somebody who wants a connection for himself. */
export interface PoolWaiter extends Waiter {
  caller: number
  order: number
  readonly askedMs: number
  /** Where he waits, or last waited. */
  line: WaitingLine<PoolWaiter> | undefined
  acquireTimer: NodeJS.Timeout | undefined
  fail(error: unknown): void
}

/** What can be said of the pool to one who waits in vain. */
export interface Situation {
  /** In one sentence. */
  describe(): string
  /** As data. */
  state(): unknown
}

export class WaitingLines {
  readonly express: WaitingLine<Call> = new WaitingLine<Call>()
  readonly alone: WaitingLine<Call | Checkout> = new WaitingLine<Call | Checkout>()
  readonly lent: WaitingLine<Checkout> = new WaitingLine<Checkout>()
  readonly #settings: PoolSettings
  readonly #situation: Situation
  readonly #now: () => number
  #order = 0
  #caller = 0
  #isTurnOpen = false

  constructor(settings: PoolSettings, situation: Situation, now: () => number) {
    this.#settings = settings
    this.#situation = situation
    this.#now = now
  }

  get size(): number {
    return this.express.size + this.alone.size + this.lent.size
  }

  get sizes(): { express: number; alone: number; lent: number } {
    return { express: this.express.size, alone: this.alone.size, lent: this.lent.size }
  }

  /** To the end of a line, for as long as he may wait. False where the lines are full: he has failed. */
  admit<T extends PoolWaiter>(waiter: T, line: WaitingLine<T>): boolean {
    if (this.size >= this.#settings.maxWaiting) {
      waiter.fail(this.#fullError())
      return false
    }
    this.put(waiter, line)
    const { acquireTimeoutMs } = this.#settings
    if (acquireTimeoutMs > 0) {
      waiter.acquireTimer = setTimeout(() => this.expire(waiter), acquireTimeoutMs)
      waiter.acquireTimer.unref()
    }
    return true
  }

  /** To the end of a line, whatever its length: one who was admitted before. */
  put<T extends PoolWaiter>(waiter: T, line: WaitingLine<T>): void {
    waiter.order = ++this.#order
    waiter.caller = this.#turn()
    this.move(waiter, line)
  }

  /** To another line, as the one who he was. */
  move<T extends PoolWaiter>(waiter: T, line: WaitingLine<T>): void {
    waiter.line = line as unknown as WaitingLine<PoolWaiter>
    line.push(waiter)
  }

  /** He has waited long enough. */
  expire(waiter: PoolWaiter): void {
    this.withdraw(waiter, this.#acquireError(waiter.askedMs))
  }

  /** He gives up. */
  withdraw(waiter: PoolWaiter, error: unknown): void {
    if (waiter.isSettled) return
    waiter.fail(error)
    waiter.line?.left()
  }

  /** Of two lines the one whose first asked first. */
  firstOf(
    one: WaitingLine<Call | Checkout> | WaitingLine<Checkout> | undefined,
    other: WaitingLine<Call | Checkout> | WaitingLine<Call> | undefined,
  ): WaitingLine<Call | Checkout> | undefined {
    const first = one?.peek()
    const second = other?.peek()
    const isOne = first !== undefined && (second === undefined || first.order < second.order)
    return (isOne ? one : second === undefined ? undefined : other) as
      | WaitingLine<Call | Checkout>
      | undefined
  }

  /** Those who asked before `beforeMs` fail; the others wait on. */
  failAll(error: unknown, beforeMs: number): void {
    for (const line of [this.express, this.alone, this.lent] as WaitingLine<PoolWaiter>[]) {
      for (const waiter of line.clear()) {
        if (waiter.askedMs > beforeMs) line.push(waiter)
        else waiter.fail(error)
      }
    }
  }

  /** Who asks in one turn of the event loop is one caller. */
  #turn(): number {
    if (!this.#isTurnOpen) {
      this.#isTurnOpen = true
      this.#caller += 1
      setImmediate(() => {
        this.#isTurnOpen = false
      })
    }
    return this.#caller
  }

  #fullError(): HastenError {
    return new HastenError(
      'POOL_FULL',
      `${this.size} callers wait for a connection already, as many as maxWaiting allows (${this.#situation.describe()}); ask less at a time, or raise maxWaiting`,
    )
  }

  #acquireError(askedMs: number): HastenError {
    const waitedMs = Math.round(this.#now() - askedMs)
    const error = new HastenError(
      'POOL_ACQUIRE_TIMEOUT',
      `timeout exceeded when trying to connect: waited ${waitedMs} ms; ${this.#situation.describe()}`,
    )
    return Object.assign(error, { pool: this.#situation.state() })
  }
}
