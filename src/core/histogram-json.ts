/**
 * Histogram as JSON: written, and read with care, since it may come from another process.
 *
 * Apart from the histogram itself: an application that only measures does not load it.
 */
import { HastenError } from './errors.ts'
import { type HistogramJson, LAST, LatencyHistogram, middleOf } from './histogram.ts'

export function writeHistogram(histogram: LatencyHistogram): HistogramJson {
  const { count, sum, min, max, buckets } = histogram
  return { count, sum, min, max, buckets }
}

/** How many were not above `ms`. Exact where `ms` is the edge of a bucket, else as if it were the nearest. */
export function countAtMost({ count, max, buckets }: HistogramJson, ms: number): number {
  if (ms >= max) return count
  let index = 0
  let seen = 0
  for (let i = 0; i < buckets.length; i += 2) {
    index += buckets[i] as number
    if (middleOf(index) > ms) break
    seen += buckets[i + 1] as number
  }
  return seen
}

/** Throws SNAPSHOT_INVALID on what `writeHistogram` did not write. */
export function readHistogram(json: HistogramJson): LatencyHistogram {
  const { count, sum, min, max, buckets } = json ?? {}
  if (!Array.isArray(buckets) || buckets.length % 2 !== 0) throw invalidSnapshot('latency', json)
  let index = 0
  let total = 0
  for (let i = 0; i < buckets.length; i += 2) {
    const [distance, held] = [buckets[i] as number, buckets[i + 1] as number]
    index += distance
    total += held
    const isNext = Number.isInteger(distance) && distance >= (i === 0 ? 0 : 1) && index <= LAST
    if (!isNext || !Number.isSafeInteger(held) || held <= 0) throw invalidSnapshot('buckets', held)
  }
  const areFigures = [sum, min, max].every((figure) => Number.isFinite(figure) && figure >= 0)
  if (count !== total || !areFigures || min > max) throw invalidSnapshot('latency', json)
  const histogram = new LatencyHistogram()
  histogram.merge(json)
  return histogram
}

export function invalidSnapshot(field: string, value: unknown): HastenError {
  // Cut: what came may be anything, and of any size.
  const shown = String(JSON.stringify(value)).slice(0, 100)
  return new HastenError(
    'SNAPSHOT_INVALID',
    `${field} cannot be ${shown}: merge only what the same version of hasten wrote`,
  )
}
