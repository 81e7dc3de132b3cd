/**
 * Arrivals: the moments at which requests are due, whatever the server does.
 *
 *   even      ──┼───┼───┼───┼───┼───┼──▶   1/rate apart; good for counting
 *   poisson   ─┼┼─────┼──┼──────┼┼──┼──▶   independent users; bursts as in production
 *
 * Both have the same mean rate. Poisson is the default: a server that is only ever asked evenly
 * shows no queueing until it is full, and no real traffic is even.
 */
import { SeededRandom } from './seeded-random.ts'

export type ArrivalKind = 'poisson' | 'even'

export class Arrivals {
  readonly #kind: ArrivalKind
  readonly #gapMs: number
  readonly #windowMs: number
  readonly #random: SeededRandom
  #count = 0
  #nextMs: number

  constructor(kind: ArrivalKind, ratePerSecond: number, windowMs: number, seed: number) {
    this.#kind = kind
    this.#gapMs = 1000 / ratePerSecond
    this.#windowMs = windowMs
    this.#random = new SeededRandom(seed)
    this.#nextMs = kind === 'even' ? 0 : this.#gap()
  }

  /** Milliseconds from the start to the next arrival; Infinity where the window has no more. */
  peek(): number {
    return this.#nextMs < this.#windowMs ? this.#nextMs : Number.POSITIVE_INFINITY
  }

  take(): number {
    const due = this.peek()
    this.#count += 1
    // Multiplied, not added up: the ten-millionth even arrival is as exact as the first.
    this.#nextMs = this.#kind === 'even' ? this.#count * this.#gapMs : this.#nextMs + this.#gap()
    return due
  }

  #gap(): number {
    return -Math.log(1 - this.#random.next()) * this.#gapMs
  }
}
