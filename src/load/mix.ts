/**
 * Mix: which request comes next, by weight.
 *
 * A binary search in the running sums of the weights. The choice depends on the seed and on how many
 * were chosen before, on nothing else: a request that cannot be sent still uses up its choice, so
 * that two runs of one seed ask the same in the same order.
 */
import type { PlannedRequest } from './planned-request.ts'
import { SeededRandom } from './seeded-random.ts'

export class Mix {
  readonly #sums: Float64Array
  readonly #random: SeededRandom

  constructor(requests: readonly PlannedRequest[], seed: number) {
    let sum = 0
    this.#sums = Float64Array.from(requests, ({ weight }) => (sum += weight))
    this.#random = new SeededRandom(seed)
  }

  /** Index of the request that is next. */
  next(): number {
    const target = this.#random.next() * (this.#sums.at(-1) ?? 0)
    let low = 0
    let high = this.#sums.length - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#sums[middle] as number) > target) high = middle
      else low = middle + 1
    }
    return low
  }
}
