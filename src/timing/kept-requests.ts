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

/** Who counts the bytes of what is kept. */
export interface Keeper {
  readonly random: () => number
  hold(timeline: Timeline): void
  release(timeline: Timeline): void
}

/** `key`: the drawn number in the sample, minus the duration among the slowest. Largest go first. */
interface Kept {
  readonly key: number
  readonly timeline: Timeline
}

export class KeptRequests {
  /** Slowest first. */
  readonly slowest: Kept[] = []
  readonly sample: Kept[] = []
  bytes = 0
  readonly #keeper: Keeper
  #slowestMax: number
  #sampleMax: number
  /** A request must take longer than this to be kept as slow. */
  #floorMs = -1
  #seen = 0
  /** Number, counted from 1, of the next request that enters the sample. */
  #nextInSample = 1

  constructor(keeper: Keeper, slowestMax: number, sampleMax: number) {
    this.#keeper = keeper
    this.#slowestMax = slowestMax
    this.#sampleMax = sampleMax
    if (slowestMax === 0) this.#floorMs = Infinity
    if (sampleMax === 0) this.#nextInSample = Infinity
  }

  /** Keeps it where it is slow or drawn. Most requests are neither: two comparisons. */
  offer(timeline: Timeline, durationMs: number): void {
    this.#seen += 1
    if (durationMs > this.#floorMs) {
      this.#keep(this.slowest, -durationMs, timeline, this.#slowestMax)
      if (this.slowest.length === this.#slowestMax) this.#floorMs = -lastKeyOf(this.slowest)
    }
    if (this.#seen >= this.#nextInSample) {
      // A winner's key is below the threshold: that is why it won.
      const key = this.#keeper.random() * this.#threshold
      this.#keep(this.sample, key, timeline, this.#sampleMax)
      this.#drawNext()
    }
  }

  /** Gives up one request for good, from the list that holds more. False where there is none. */
  shrink(): boolean {
    const { sample, slowest } = this
    if (bytesOf(sample) > bytesOf(slowest)) {
      this.#drop(sample)
      this.#sampleMax = sample.length
      this.#drawNext()
      return true
    }
    if (slowest.length === 0) return false
    // The place stays, but only for something slower.
    this.#floorMs = -lastKeyOf(slowest)
    this.#drop(slowest)
    this.#slowestMax = Math.max(1, slowest.length)
    return true
  }

  get #threshold(): number {
    return this.sample.length < this.#sampleMax ? 1 : lastKeyOf(this.sample)
  }

  #keep(list: Kept[], key: number, timeline: Timeline, max: number): void {
    list.push({ key, timeline })
    list.sort((a, b) => a.key - b.key)
    this.#keeper.hold(timeline)
    this.bytes += timeline.keptBytes
    if (list.length > max) this.#drop(list)
  }

  #drop(list: Kept[]): void {
    const { timeline } = list.pop() as Kept
    this.bytes -= timeline.keptBytes
    this.#keeper.release(timeline)
  }

  #drawNext(): void {
    // Losers in a row are distributed geometrically, and none where every key wins.
    const losers = Math.log(1 - this.#keeper.random()) / Math.log1p(-this.#threshold)
    this.#nextInSample = this.#sampleMax === 0 ? Infinity : this.#seen + Math.floor(losers) + 1
  }
}

function lastKeyOf(list: readonly Kept[]): number {
  return list.at(-1)?.key ?? 0
}

function bytesOf(list: readonly Kept[]): number {
  return list.reduce((sum, { timeline }) => sum + timeline.keptBytes, 0)
}
