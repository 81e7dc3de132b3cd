/**
 * One origin of the HTTP pool: its connections, and the line in front of them.
 *
 *   enter ─▶ fewer than `connections` running: undici's pool, which then has one free
 *        └─▶ line, first come first served, for `waitTimeoutMs` at the most
 *        └─▶ line full: refused with POOL_FULL
 *
 * The line is ours and not undici's, so that it is bounded, that whoever gives up leaves it, and that
 * its waiting shows: it is published on `hasten:http-pool:waiting` where it begins, in the context of
 * the request that waits, and on `hasten:http-pool:admitted` where it ends.
 *
 * A connection can be used again only one turn of the event loop after its response has ended; undici
 * opens another one for whoever is faster than that. Here they wait for that turn: a caller that asks
 * one thing after the other uses one connection.
 *
 * `renew` moves to new connections, where the name behind the origin has moved; the old ones end with
 * the requests that they carry.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Pool } from 'undici'
import { guardedChannel } from '../core/channels.ts'
import { HastenError } from '../core/errors.ts'
import type { CallPlace, HttpCall } from './http-call.ts'
import { RetryBudget } from './retry-budget.ts'

const COMPACT_FROM = 1024

const waitingChannel = guardedChannel('hasten:http-pool:waiting')
const admittedChannel = guardedChannel('hasten:http-pool:admitted')

/** The message of both channels. */
export interface HttpWait {
  readonly origin: string
  /** Running and waiting before this one. */
  readonly ahead: number
}

export interface HttpOriginOptions {
  readonly connections: number
  readonly maxQueued: number
  readonly waitTimeoutMs: number
  readonly retryShare: number
  readonly retryReserve: number
  readonly open: (origin: string) => Pool
}

export interface HttpOriginStats {
  /** Sockets that are open. */
  readonly connected: number
  /** Of these, those that carry nothing. */
  readonly free: number
  /** Requests on a connection, or for which one is being opened. */
  readonly running: number
  /** Of these, those that undici has not begun to send. */
  readonly pending: number
  /** Requests that wait for a connection. */
  readonly queued: number
  readonly requests: number
  readonly retries: number
  /** Retries that the budget did not pay for. */
  readonly retriesDenied: number
  /** Requests that found the line full, or waited in it for too long. */
  readonly refused: number
  /** Sum over all that waited, milliseconds. */
  readonly waitedMs: number
}

interface Place {
  readonly wait: HttpWait | undefined
  readonly since: number
  readonly inContext: (run: () => void) => void
  readonly timer: NodeJS.Timeout | undefined
}

export class HttpOrigin implements CallPlace {
  readonly origin: string
  readonly hostname: string
  readonly #options: HttpOriginOptions
  readonly #budget: RetryBudget
  readonly #line = new Map<HttpCall, Place>()
  /** Who is in `#line`, or was, in order. A map that loses its first again and again gets slow. */
  #order: HttpCall[] = []
  #head = 0
  readonly #running = new Set<HttpCall>()
  readonly #resting = new Set<HttpCall>()
  /** Of before the last renewals. */
  readonly #old = new Set<Pool>()
  /** Responses that have just ended: their connections are free one turn of the event loop later. */
  #cooling = 0
  #pool: Pool
  #closedBy: Error | undefined
  #requests = 0
  #retries = 0
  #retriesDenied = 0
  #refused = 0
  #waitedMs = 0

  constructor(origin: string, options: HttpOriginOptions) {
    this.origin = origin
    this.hostname = new URL(origin).hostname
    this.#options = options
    this.#budget = new RetryBudget(options.retryShare, options.retryReserve)
    this.#pool = options.open(origin)
  }

  get isIdle(): boolean {
    return this.#running.size + this.#line.size + this.#resting.size === 0
  }

  /** A new request, not another attempt. */
  count(): void {
    this.#requests++
    this.#budget.deposit()
  }

  enter(call: HttpCall): void {
    const { connections, maxQueued } = this.#options
    const taken = this.#running.size + this.#cooling
    this.#resting.delete(call)
    if (this.#closedBy !== undefined) call.refuse(this.#closedBy)
    else if (this.#line.size < this.#cooling) this.#queue(call, undefined)
    else if (taken < connections) this.#run(call)
    else if (this.#line.size < maxQueued) {
      this.#queue(call, { origin: this.origin, ahead: taken + this.#line.size })
    } else {
      this.#refused++
      call.refuse(
        new HastenError(
          'POOL_FULL',
          `${this.origin} has ${this.#running.size} requests running on ${connections} connections and ${this.#line.size} waiting: no more than maxQueued may wait`,
        ),
      )
    }
  }

  rest(call: HttpCall): void {
    this.#resting.add(call)
  }

  forget(call: HttpCall): void {
    this.#resting.delete(call)
    this.#unqueue(call)
  }

  left(call: HttpCall): void {
    this.#running.delete(call)
    this.#cooling++
    // undici's own immediate comes first: it is set once the parser, in which we are, is done.
    queueMicrotask(() => setImmediate(this.#cooled))
  }

  mayRetry(): boolean {
    const may = this.#budget.withdraw()
    if (may) this.#retries++
    else this.#retriesDenied++
    return may
  }

  renew(): void {
    const old = this.#pool
    this.#pool = this.#options.open(this.origin)
    this.#old.add(old)
    const gone = (): void => {
      this.#old.delete(old)
    }
    old.close().then(gone, gone)
  }

  stats(): HttpOriginStats {
    const { connected, free, pending } = this.#pool.stats
    return {
      connected,
      free,
      running: this.#running.size,
      pending,
      queued: this.#line.size,
      requests: this.#requests,
      retries: this.#retries,
      retriesDenied: this.#retriesDenied,
      refused: this.#refused,
      waitedMs: this.#waitedMs,
    }
  }

  /** Whoever waits or rests is refused; what runs comes to its end. */
  async close(reason: Error): Promise<void> {
    this.#refuseAll(reason)
    await Promise.allSettled([this.#pool, ...this.#old].map((pool) => pool.close()))
  }

  async destroy(reason: Error): Promise<void> {
    this.#refuseAll(reason)
    await Promise.allSettled([this.#pool, ...this.#old].map((pool) => pool.destroy(reason)))
  }

  #refuseAll(reason: Error): void {
    this.#closedBy = reason
    for (const call of [...this.#line.keys(), ...this.#resting]) {
      this.forget(call)
      call.refuse(reason)
    }
  }

  readonly #cooled = (): void => {
    this.#cooling--
    while (this.#running.size + this.#cooling < this.#options.connections) {
      const next = this.#next()
      if (next === undefined) return
      const place = this.#line.get(next)
      if (place === undefined) continue
      this.#unqueue(next)
      place.inContext(() => this.#run(next))
    }
  }

  #next(): HttpCall | undefined {
    const next = this.#order[this.#head++]
    if (next === undefined || this.#head >= COMPACT_FROM) {
      this.#order.splice(0, this.#head)
      this.#head = 0
    }
    return next
  }

  #run(call: HttpCall): void {
    this.#running.add(call)
    call.run(this.#pool)
  }

  /** @param wait `undefined` where a connection is free in a moment: that is not waiting */
  #queue(call: HttpCall, wait: HttpWait | undefined): void {
    this.#order.push(call)
    if (this.#order.length > 2 * this.#line.size + 2 * COMPACT_FROM) {
      // Most of them gave up.
      this.#order = [...this.#line.keys(), call]
      this.#head = 0
    }
    this.#line.set(call, {
      wait,
      since: performance.now(),
      inContext: AsyncLocalStorage.snapshot(),
      timer: wait && setTimeout(() => this.#giveUp(call), this.#options.waitTimeoutMs),
    })
    if (wait && waitingChannel.hasSubscribers) waitingChannel.publish(wait)
  }

  #giveUp(call: HttpCall): void {
    this.#unqueue(call)
    this.#refused++
    const { waitTimeoutMs } = this.#options
    call.refuse(
      new HastenError(
        'POOL_ACQUIRE_TIMEOUT',
        `no connection to ${this.origin} was free for ${waitTimeoutMs} ms: ${this.#running.size} requests are running, ${this.#line.size} more are waiting`,
      ),
    )
  }

  #unqueue(call: HttpCall): void {
    const place = this.#line.get(call)
    if (place === undefined) return
    this.#line.delete(call)
    const { wait, timer, since } = place
    if (wait === undefined) return
    clearTimeout(timer)
    this.#waitedMs += performance.now() - since
    if (admittedChannel.hasSubscribers) admittedChannel.publish(wait)
  }
}
