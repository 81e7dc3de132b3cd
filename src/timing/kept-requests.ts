/**
 * Kept requests: of each route the slowest, and a fair sample of all.
 *
 * Both lists belong to one route; the store (`request-store.ts`) bounds all of them together and may
 * shrink any. The sample is of *all* requests of the route, the slow ones with their fair chance: a
 * sample of the rest would make every route look better than it is.
 *
 * Fair means: each request has the same chance to be in the sample, whenever it came. Each request
 * draws a key between 0 and 1, and the k smallest keys are kept (bottom-k sampling [1]). Most lose,
 * so the number of losers until the next winner is drawn instead, and a request that loses costs one
 * comparison. Shrinking is dropping the largest key, and what remains is as fair as before.
 *
 *   keys   0 ──●──●────●───┤threshold          1
 *              kept        └ every later key below it wins and drops the largest
 *
 * [1] Edith Cohen, Haim Kaplan: Summarizing data using bottom-k sketches, PODC 2007
 */
import type { Timeline } from './timeline.ts'

export class KeptRequests {
  /** Slowest first. */
  readonly slowest: Timeline[] = []
  readonly sample: Timeline[] = []
  /** A request must take longer than this to be kept as slow. */
  slowestFloorMs = -1
  /** Number, counted from 1, of the next request that enters the sample. */
  nextInSample = 1
  seen = 0
  bytes = 0
  #slowestMax: number
  #sampleMax: number
  #keys: number[] = []
  readonly #random: () => number

  constructor(slowestMax: number, sampleMax: number, random: () => number) {
    this.#slowestMax = slowestMax
    this.#sampleMax = sampleMax
    this.#random = random
    if (slowestMax === 0) this.slowestFloorMs = Number.POSITIVE_INFINITY
    if (sampleMax === 0) this.nextInSample = Number.POSITIVE_INFINITY
  }

  /** Call where its time is above `slowestFloorMs`. Returns the request that has to go, if any. */
  keepSlow(timeline: Timeline): Timeline | undefined {
    const list = this.slowest
    const { durationMs } = timeline
    let at = list.length
    while (at > 0 && (list[at - 1] as Timeline).durationMs < durationMs) at -= 1
    list.splice(at, 0, timeline)
    const gone = list.length > this.#slowestMax ? list.pop() : undefined
    this.#raiseFloor()
    return gone
  }

  /** Call where `seen` has reached `nextInSample`. Returns the request that has to go, if any. */
  keepSample(timeline: Timeline): Timeline | undefined {
    const isFull = this.sample.length >= this.#sampleMax
    // A winner's key is below the threshold: that is why it won.
    const key = this.#random() * (isFull ? (this.#keys[0] as number) : 1)
    const gone = isFull ? this.#dropFromSample() : undefined
    this.sample.push(timeline)
    this.#keys.push(key)
    this.#largestFirst()
    this.#drawNext()
    return gone
  }

  /** Gives up one request for good, from the longer list. `undefined` where there is none. */
  shrink(): Timeline | undefined {
    if (this.sample.length > 0 && this.sample.length >= this.slowest.length) {
      const gone = this.#dropFromSample()
      this.#sampleMax = this.sample.length
      this.#largestFirst()
      this.#drawNext()
      return gone
    }
    const gone = this.slowest.pop()
    // The place stays, but only for something slower.
    this.#slowestMax = Math.max(1, this.slowest.length)
    if (gone !== undefined) this.slowestFloorMs = Math.max(this.slowestFloorMs, gone.durationMs)
    return gone
  }

  #raiseFloor(): void {
    if (this.slowest.length < this.#slowestMax) return
    this.slowestFloorMs = (this.slowest.at(-1) as Timeline).durationMs
  }

  #dropFromSample(): Timeline | undefined {
    this.#keys.shift()
    return this.sample.shift()
  }

  /** Brings the largest key to the front; the order of the others does not matter. */
  #largestFirst(): void {
    const { sample } = this
    const keys = this.#keys
    let largest = 0
    for (let i = 1; i < keys.length; i++) {
      if ((keys[i] as number) > (keys[largest] as number)) largest = i
    }
    if (largest === 0) return
    const [key, timeline] = [keys[0] as number, sample[0] as Timeline]
    keys[0] = keys[largest] as number
    sample[0] = sample[largest] as Timeline
    keys[largest] = key
    sample[largest] = timeline
  }

  #drawNext(): void {
    if (this.#sampleMax === 0) this.nextInSample = Number.POSITIVE_INFINITY
    else if (this.sample.length < this.#sampleMax) this.nextInSample = this.seen + 1
    else {
      // Losers in a row are distributed geometrically; 1 - random() is never 0.
      const threshold = this.#keys[0] as number
      const losers = Math.floor(Math.log(1 - this.#random()) / Math.log1p(-threshold))
      this.nextInSample = this.seen + losers + 1
    }
  }
}
