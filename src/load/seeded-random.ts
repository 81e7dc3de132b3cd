/**
 * Seeded random numbers: the same seed gives the same traffic, so that two servers can be asked
 * exactly the same questions at exactly the same moments.
 *
 * A Weyl sequence through the 32-bit finaliser of MurmurHash3 [1]: one word of state, equidistributed,
 * period 2^32, far above the number of arrivals of any run. Not for secrets.
 *
 * [1] A. Appleby, MurmurHash3, fmix32
 */
export class SeededRandom {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0
  }

  /** At least 0, below 1. */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0
    let word = this.#state
    word = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
    word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35)
    return ((word ^ (word >>> 16)) >>> 0) / 2 ** 32
  }
}
