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
import { HastenError } from './errors.ts'

const OCTAVES = 32
const SUB_BUCKETS = 64
/** log2 of SUB_BUCKETS. */
const SUB_BITS = 6
/** From here on a 64th of a microsecond would no longer fit into the 31 bits of `clz32`'s world. */
const COARSE_MICROS = 2 ** 25
const LAST = OCTAVES * SUB_BUCKETS - 1

export interface HistogramJson {
  readonly count: number
  readonly sum: number
  /** 0 where nothing was counted. */
  readonly min: number
  readonly max: number
  /** Distance from the bucket before, count, distance, count …: only buckets that hold something. */
  readonly buckets: readonly number[]
}

export class LatencyHistogram {
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

  /** 0 where nothing was counted. */
  get min(): number {
    return this.#count === 0 ? 0 : this.#min
  }

  /** 0 where nothing was counted. */
  get max(): number {
    return this.#max
  }

  /** The time that a share `q` (0 to 1) of all did not exceed (nearest rank). 0 where nothing was counted. */
  quantile(q: number): number {
    if (this.#count === 0) return 0
    // The product of two doubles may come out above the whole number that it stands for.
    const rank = Math.min(this.#count, Math.max(1, Math.ceil(q * this.#count - 1e-9)))
    if (rank === 1) return this.#min
    if (rank === this.#count) return this.#max
    let seen = 0
    for (const [index, count] of this.#buckets()) {
      seen += count
      if (seen >= rank) return Math.min(this.#max, Math.max(this.#min, middleOf(index)))
    }
    return this.#max
  }

  /** How many were not above `ms`. Exact where `ms` is the edge of a bucket, else as if it were the nearest. */
  countAtMost(ms: number): number {
    if (ms >= this.#max) return this.#count
    let seen = 0
    for (const [index, count] of this.#buckets()) {
      if (middleOf(index) > ms) break
      seen += count
    }
    return seen
  }

  merge(other: LatencyHistogram): void {
    this.#count += other.#count
    this.#sum += other.#sum
    this.#min = Math.min(this.#min, other.#min)
    this.#max = Math.max(this.#max, other.#max)
    for (const [index, count] of other.#buckets()) this.#add(index, count)
  }

  reset(): void {
    this.#count = 0
    this.#sum = 0
    this.#min = Infinity
    this.#max = 0
    this.#octaves = []
  }

  toJSON(): HistogramJson {
    const buckets: number[] = []
    let last = 0
    for (const [index, count] of this.#buckets()) {
      buckets.push(index - last, count)
      last = index
    }
    return { count: this.count, sum: this.sum, min: this.min, max: this.max, buckets }
  }

  /** Throws SNAPSHOT_INVALID on what `toJSON` did not write. */
  static fromJSON(json: HistogramJson): LatencyHistogram {
    const histogram = new LatencyHistogram()
    const { count, sum, min, max, buckets } = json ?? {}
    const isList = Array.isArray(buckets) && buckets.length % 2 === 0
    let index = 0
    for (let i = 0; isList && i < buckets.length; i += 2) {
      const [distance, held] = [buckets[i] as number, buckets[i + 1] as number]
      index += distance
      const isNext = Number.isInteger(distance) && distance >= (i === 0 ? 0 : 1) && index <= LAST
      if (!isNext || !Number.isSafeInteger(held) || held <= 0)
        throw invalidSnapshot('buckets', held)
      histogram.#add(index, held)
      histogram.#count += held
    }
    const areFigures = [sum, min, max].every((figure) => Number.isFinite(figure) && figure >= 0)
    if (!isList || count !== histogram.#count || !areFigures || min > max) {
      throw invalidSnapshot('latency', json)
    }
    if (count === 0) return histogram
    histogram.#sum = sum
    histogram.#min = min
    histogram.#max = max
    return histogram
  }

  #add(index: number, count: number): void {
    const octave = index >>> SUB_BITS
    const counters = (this.#octaves[octave] ??= Array.from({ length: SUB_BUCKETS }, zero))
    ;(counters[index & (SUB_BUCKETS - 1)] as number) += count
  }

  /** Index and count of each bucket that holds something, in ascending order. */
  *#buckets(): Generator<[index: number, count: number]> {
    for (let octave = 0; octave < this.#octaves.length; octave++) {
      const counters = this.#octaves[octave]
      if (counters === undefined) continue
      for (let sub = 0; sub < SUB_BUCKETS; sub++) {
        const count = counters[sub] as number
        if (count > 0) yield [(octave << SUB_BITS) + sub, count]
      }
    }
  }
}

function zero(): number {
  return 0
}

function bucketOf(ms: number): number {
  const micros = ms * 1000
  if (micros < 1) return 0
  if (micros < COARSE_MICROS) {
    const fine = (micros * SUB_BUCKETS) | 0
    const octave = 31 - SUB_BITS - Math.clz32(fine)
    return (octave << SUB_BITS) + (fine >>> octave) - SUB_BUCKETS
  }
  if (micros >= 2 ** OCTAVES) return LAST
  const whole = micros >>> 0
  const octave = 31 - Math.clz32(whole)
  return (octave << SUB_BITS) + (whole >>> (octave - SUB_BITS)) - SUB_BUCKETS
}

/** Milliseconds. */
function middleOf(index: number): number {
  const micros = 2 ** (index >>> SUB_BITS) * (1 + ((index & (SUB_BUCKETS - 1)) + 0.5) / SUB_BUCKETS)
  return micros / 1000
}

export function invalidSnapshot(field: string, value: unknown): HastenError {
  // Cut: what came may be anything, and of any size.
  const shown = String(JSON.stringify(value)).slice(0, 100)
  return new HastenError(
    'SNAPSHOT_INVALID',
    `${field} cannot be ${shown}: merge only what the same version of hasten wrote`,
  )
}
