import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { countAtMost, readHistogram, writeHistogram } from './histogram-json.ts'
import { LatencyHistogram } from './histogram.ts'

const HOUR_MS = 3_600_000

test('every quantile is within 1 % of the exact one, from a microsecond to an hour', () => {
  fc.assert(
    fc.property(
      fc.array(times(), { minLength: 1, maxLength: 300 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (values, q) => {
        const exact = exactQuantile(values, q)
        const measured = histogramOf(values).quantile(q)
        assert.ok(Math.abs(measured - exact) <= exact * 0.01, `${measured}, exactly ${exact}`)
      },
    ),
    { numRuns: 500 },
  )
})

test('each edge of a bucket is within 1 % from both sides', () => {
  for (let octave = 0; octave < 32; octave++) {
    for (let sub = 0; sub < 64; sub++) {
      const edge = (2 ** octave * (1 + sub / 64)) / 1000
      if (edge > HOUR_MS) return
      for (const value of [edge, edge * (1 - 1e-12), edge * (1 + 1e-12)]) {
        if (value < 0.001) continue
        // Between two others, so that min and max do not help.
        const measured = histogramOf([0, value, 2 * HOUR_MS]).quantile(0.5)
        assert.ok(Math.abs(measured - value) <= value * 0.01, `${measured}, exactly ${value}`)
      }
    }
  }
})

test('count, sum, min and max are exact', () => {
  fc.assert(
    fc.property(fc.array(times(), { minLength: 1 }), (values) => {
      const histogram = histogramOf(values)
      assert.equal(histogram.count, values.length)
      assert.equal(histogram.min, Math.min(...values))
      assert.equal(histogram.max, Math.max(...values))
      assert.equal(
        histogram.sum,
        values.reduce((sum, value) => sum + value, 0),
      )
    }),
  )
})

test('merging is as if one had counted all', () => {
  fc.assert(
    fc.property(fc.array(times()), fc.array(times()), (left, right) => {
      const merged = histogramOf(left)
      merged.merge(histogramOf(right))
      assert.deepEqual(withoutSum(merged), withoutSum(histogramOf([...left, ...right])))
    }),
  )
})

test('comes back from JSON as it was', () => {
  fc.assert(
    fc.property(fc.array(times()), (values) => {
      const json = writeHistogram(histogramOf(values))
      const back = readHistogram(JSON.parse(JSON.stringify(json)))
      assert.deepEqual(writeHistogram(back), json)
      back.record(1)
      assert.equal(back.count, values.length + 1)
    }),
  )
})

test('counts what was not above a boundary, to the width of a bucket', () => {
  fc.assert(
    fc.property(fc.array(times()), times(), (values, boundary) => {
      const count = countAtMost(histogramOf(values), boundary)
      const surely = values.filter((value) => value <= boundary * 0.98).length
      const perhaps = values.filter((value) => value <= boundary * 1.02).length
      assert.ok(surely <= count && count <= perhaps, `${surely} ≤ ${count} ≤ ${perhaps}`)
    }),
  )
})

test('times outside of the range are counted, and no quantile leaves min and max', () => {
  const histogram = histogramOf([0, 1e-9, 1e12])
  assert.equal(histogram.count, 3)
  assert.equal(histogram.quantile(0), 0)
  assert.equal(histogram.quantile(1), 1e12)
})

test('a clock that went back, or none, counts as no time at all', () => {
  const histogram = histogramOf([-5, Number.NaN])
  assert.deepEqual([histogram.count, histogram.sum, histogram.max], [2, 0, 0])
})

test('an empty one has zeros, also with another empty one in it', () => {
  const merged = new LatencyHistogram()
  merged.merge(readHistogram(writeHistogram(new LatencyHistogram())))
  for (const histogram of [merged, new LatencyHistogram()]) {
    assert.deepEqual(writeHistogram(histogram), { count: 0, sum: 0, min: 0, max: 0, buckets: [] })
    assert.equal(histogram.quantile(0.99), 0)
  }
})

for (const [what, change] of [
  ['a count that the buckets do not add up to', { count: 3 }],
  ['an odd list of buckets', { buckets: [1, 2, 3] }],
  ['a bucket behind the last', { buckets: [5000, 2] }],
  ['a bucket twice', { buckets: [5, 1, 0, 1] }],
  ['half a request', { buckets: [5, 2.5] }],
  ['a sum that is no number', { sum: null }],
  ['a least above the most', { min: 9 }],
  ['no buckets', { buckets: undefined }],
] as const) {
  test(`refuses ${what}`, () => {
    const json = { ...writeHistogram(histogramOf([1, 2])), ...change }
    assert.throws(() => readHistogram(json as never), { code: 'SNAPSHOT_INVALID' })
  })
}

/** Evenly over the orders of magnitude, as latencies are. */
function times(): fc.Arbitrary<number> {
  return fc
    .double({ min: Math.log(0.001), max: Math.log(HOUR_MS), noNaN: true })
    .map((power) => Math.min(HOUR_MS, Math.max(0.001, Math.exp(power))))
}

function histogramOf(values: readonly number[]): LatencyHistogram {
  const histogram = new LatencyHistogram()
  for (const value of values) histogram.record(value)
  return histogram
}

function exactQuantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(q * sorted.length - 1e-9) - 1)] as number
}

/** The order of adding shows in the last digit of a sum. */
function withoutSum(histogram: LatencyHistogram): unknown {
  return { ...writeHistogram(histogram), sum: Math.fround(histogram.sum) }
}
