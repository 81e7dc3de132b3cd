/**
 * Latency histogram: how long things took, to within 1 %, in constant memory.
 *
 * Each doubling of the time (an octave) is cut into 64 buckets of equal width, so that a bucket is
 * never wider than 1/64 of what it holds, and its middle never further than 1/128 (0.8 %) from it:
 *
 *   octave      0                  1                        31
 *   µs     1 ┊64 buckets┊ 2 ┊64 buckets of double width┊ 4 … 2^32 (71 minutes)
 *
 * Counters of an octave are made when its first value comes: a route whose answers take 1 ms to 1 s
 * holds ten arrays of 64 small integers, 5 kB. They count exactly up to 2^53. Histograms of several
 * processes are merged by adding counters, which loses nothing.
 *
 * Times outside 1 µs … 71 minutes are counted in the first or last bucket. `count`, `sum`, `min` and
 * `max` are exact whatever came, and no quantile lies outside min … max.
 *
 * The layout is that of HdrHistogram [1], with octaves made on demand.
 *
 * [1] Gil Tene, http://hdrhistogram.org
 */
const OCTAVES = 32
const SUB_BUCKETS = 64
/** log2 of SUB_BUCKETS. */
const SUB_BITS = 6
/** From here on a 64th of a microsecond would no longer fit into the 32 bits of `clz32`'s world. */
const COARSE_MICROS = 2 ** 25
/** Index of the last bucket. */
export const LAST: number = OCTAVES * SUB_BUCKETS - 1

/** A histogram has it, and so has one that was written down as JSON. */
export interface HistogramJson {
  readonly count: number
  readonly sum: number
  /** 0 where nothing was counted. */
  readonly min: number
  readonly max: number
  /** Distance from the bucket before, count, distance, count …: only buckets that hold something. */
  readonly buckets: readonly number[]
}

export class LatencyHistogram implements HistogramJson {
  #count = 0
  #sum = 0
  #min = Infinity
  #max = 0
  #octaves: (number[] | undefined)[] = []

  /** Counts one time. NaN and times below 0 count as 0: a clock may be set back, a counter may not. */
  record(ms: number): void {
    const value = ms > 0 ? ms : 0
    this.#count += 1
    this.#sum += value
    if (value < this.#min) this.#min = value
    if (value > this.#max) this.#max = value
    this.#add(bucketOf(value), 1)
  }

  get count(): number {
    return this.#count
  }

  get sum(): number {
    return this.#sum
  }

  get min(): number {
    return this.#count === 0 ? 0 : this.#min
  }

  get max(): number {
    return this.#max
  }

  get buckets(): number[] {
    const buckets: number[] = []
    let last = 0
    // Octaves without values are holes, which `forEach` leaves out.
    this.#octaves.forEach((counters, octave) =>
      counters?.forEach((count, sub) => {
        if (count === 0) return
        const index = (octave << SUB_BITS) + sub
        buckets.push(index - last, count)
        last = index
      }),
    )
    return buckets
  }

  /** The time that a share `q` (0 to 1) of all did not exceed (nearest rank). 0 where nothing was counted. */
  quantile(q: number): number {
    const { count, min, max } = this
    // The product of two doubles may come out above the whole number that it stands for.
    const rank = Math.ceil(q * count - 1e-9)
    if (rank <= 1) return min
    if (rank >= count) return max
    const { buckets } = this
    let index = 0
    let seen = 0
    for (let i = 0; seen < rank; i += 2) {
      index += buckets[i] as number
      seen += buckets[i + 1] as number
    }
    return Math.min(max, Math.max(min, middleOf(index)))
  }

  /** Adds what another has counted, or what was read (`readHistogram`). */
  merge({ count, sum, min, max, buckets }: HistogramJson): void {
    if (count === 0) return
    this.#count += count
    this.#sum += sum
    this.#min = Math.min(this.#min, min)
    this.#max = Math.max(this.#max, max)
    let index = 0
    buckets.forEach((each, i) => {
      if (i % 2 === 0) index += each
      else this.#add(index, each)
    })
  }

  #add(index: number, count: number): void {
    const octave = index >>> SUB_BITS
    const counters = (this.#octaves[octave] ??= Array.from({ length: SUB_BUCKETS }, () => 0))
    ;(counters[index & (SUB_BUCKETS - 1)] as number) += count
  }
}

function bucketOf(ms: number): number {
  const micros = ms * 1000
  if (micros < 1) return 0
  if (micros >= 2 ** OCTAVES) return LAST
  const isFine = micros < COARSE_MICROS
  const value = (isFine ? micros * SUB_BUCKETS : micros) >>> 0
  const octave = 31 - SUB_BITS - Math.clz32(value)
  return ((isFine ? octave : octave + SUB_BITS) << SUB_BITS) + (value >>> octave) - SUB_BUCKETS
}

/** Milliseconds in the middle of a bucket. */
export function middleOf(index: number): number {
  const micros = 2 ** (index >>> SUB_BITS) * (1 + ((index & (SUB_BUCKETS - 1)) + 0.5) / SUB_BUCKETS)
  return micros / 1000
}
