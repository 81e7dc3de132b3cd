/**
 * An interval for the mean of a handful of paired measures, such as the logarithms of a ratio.
 *
 * Rounds are few: each is a fresh process and costs seconds. The percentile bootstrap of five
 * values is too narrow by nature; it can never reach beyond the smallest and the largest of them,
 * and covers the truth in about five of six cases, not in nineteen of twenty. So two intervals are
 * made, and the result spans both:
 *
 *   - the bootstrap's, with its tails widened as far as Student's t demands for so few values
 *     ("expanded percentile" [1]): it follows skewness
 *   - Student's own: it knows that five values may lie close together by chance
 *
 * That is cautious on purpose: a comparison that says "faster" too early is worse than one that
 * asks for more rounds. The same seed gives the same interval.
 *
 * [1] Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 2015
 */
export interface Interval {
  readonly estimate: number
  readonly low: number
  readonly high: number
}

export interface IntervalOptions {
  /** 0 to 1, both ends left out. @default random(1) */
  readonly random?: (() => number) | undefined
  /** @default 4,000 */
  readonly resamples?: number | undefined
}

/** At 95 %. Needs two values at the least; else everything but the estimate is NaN. */
export function meanInterval(values: readonly number[], options: IntervalOptions = {}): Interval {
  const { random = seeded(1), resamples = 4000 } = options
  const n = values.length
  const estimate = mean(values)
  if (n < 2) return { estimate, low: Number.NaN, high: Number.NaN }

  const spread = Math.sqrt(values.reduce((sum, x) => sum + (x - estimate) ** 2, 0) / (n - 1))
  if (spread === 0) return { estimate, low: estimate, high: estimate }
  const student = studentT(n - 1)
  const half = (student * spread) / Math.sqrt(n)

  const means = new Float64Array(resamples)
  for (let i = 0; i < resamples; i++) {
    let sum = 0
    for (let j = 0; j < n; j++) sum += values[Math.floor(random() * n)] ?? 0
    means[i] = sum / n
  }
  means.sort()
  const tail = normalTail(student * Math.sqrt(n / (n - 1)))
  const cut = Math.floor(tail * resamples)
  return {
    estimate,
    low: Math.min(means[cut] ?? estimate, estimate - half),
    high: Math.max(means[resamples - 1 - cut] ?? estimate, estimate + half),
  }
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** The middle one, or the mean of the middle two. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
}

/** mulberry32: 32 bits of state, enough to resample five values. Never 0, never 1. */
export function seeded(seed: number): () => number {
  let state = Math.trunc(seed) | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return (((mixed ^ (mixed >>> 14)) >>> 0) + 0.5) / 2 ** 32
  }
}

// Of Student's distribution at 97.5 %, by degrees of freedom.
const STUDENT = [12.706, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.306, 2.2622, 2.2281]

/** Beyond ten degrees by the first terms of Cornish and Fisher; off by less than 0.0005 there. */
function studentT(freedom: number): number {
  const known = STUDENT[freedom - 1]
  if (known !== undefined) return known
  const z = 1.959964
  return (
    z +
    (z ** 3 + z) / (4 * freedom) +
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * freedom ** 2) +
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * freedom ** 3)
  )
}

/** What of a normal distribution lies above `z` (Abramowitz and Stegun 26.2.17, off by 1e-7). */
function normalTail(z: number): number {
  const t = 1 / (1 + 0.2316419 * z)
  const polynomial =
    t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
  return (Math.exp(-(z * z) / 2) / Math.sqrt(2 * Math.PI)) * polynomial
}
