/**
 * Retry budget: retries are paid for by requests.
 *
 * Each request puts `share` of a token into the purse, each retry takes a whole one out. While little
 * fails there is always one; when everything fails, the load on a server that is down already grows
 * by `share` and not by a multiple. The purse starts with `reserve` tokens and never holds more than
 * ten times that: an hour of peace does not pay for a storm.
 *
 *   retries ≤ reserve + share × requests
 *
 * As in Finagle [1].
 *
 * [1] https://finagle.github.io/blog/2016/02/08/retry-budgets/
 */
export class RetryBudget {
  readonly #share: number
  readonly #most: number
  #tokens: number

  /** @param share of requests, from 0 to 1 */
  constructor(share: number, reserve: number) {
    this.#share = share
    this.#most = reserve * 10
    this.#tokens = reserve
  }

  deposit(): void {
    this.#tokens = Math.min(this.#most, this.#tokens + this.#share)
  }

  withdraw(): boolean {
    // A tenth added up ten times is a little below one.
    if (this.#tokens < 1 - 1e-9) return false
    this.#tokens -= 1
    return true
  }
}
