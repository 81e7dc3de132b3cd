import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { mean, meanInterval, median, seeded } from './bootstrap.ts'

const TRIALS = 1500

for (const rounds of [3, 5, 8, 20]) {
  for (const [shape, draw, promised] of [
    ['normal', normal, 0.94],
    // Where every interval of few values falls short of its promise.
    ['one-sided', skewed, 0.85],
  ] as const) {
    test(`at ${rounds} rounds of ${shape} noise the interval holds the truth in ${promised * 100} % of the cases`, () => {
      const random = seeded(rounds * 7 + shape.length)
      const held = Array.from({ length: TRIALS }, () => {
        const values = Array.from({ length: rounds }, () => 0.2 + 0.05 * draw(random))
        const { low, high } = meanInterval(values, { random, resamples: 300 })
        return low <= 0.2 && 0.2 <= high
      }).filter(Boolean).length

      assert.ok(held / TRIALS >= promised, `held ${held} of ${TRIALS}`)
    })
  }
}

test('more rounds narrow it', () => {
  const widths = [5, 20, 80].map((rounds) => {
    const random = seeded(3)
    const all = Array.from({ length: 50 }, () => {
      const { low, high } = meanInterval(
        Array.from({ length: rounds }, () => normal(random)),
        { random, resamples: 500 },
      )
      return high - low
    })
    return mean(all)
  })

  assert.ok((widths[0] ?? 0) > 1.8 * (widths[1] ?? 0), widths.join(', '))
  assert.ok((widths[1] ?? 0) > 1.8 * (widths[2] ?? 0), widths.join(', '))
})

test('the same seed gives the same interval, and the estimate lies within', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 2, maxLength: 30 }),
      fc.integer(),
      (values, seed) => {
        const once = meanInterval(values, { random: seeded(seed), resamples: 200 })
        const again = meanInterval(values, { random: seeded(seed), resamples: 200 })

        assert.deepEqual(once, again)
        assert.ok(once.low <= once.estimate && once.estimate <= once.high)
        assert.ok(Math.abs(once.estimate - mean(values)) < 1e-9)
      },
    ),
  )
})

test('equal values leave no doubt, one value says nothing', () => {
  assert.deepEqual(meanInterval([0, 0, 0]), { estimate: 0, low: 0, high: 0 })
  assert.deepEqual(meanInterval([2]), { estimate: 2, low: Number.NaN, high: Number.NaN })
})

test('the median is the middle', () => {
  assert.equal(median([9, 1, 5]), 5)
  assert.equal(median([4, 1, 2, 8]), 3)
  assert.ok(Number.isNaN(median([])))
})

test('the seeded numbers are even and stay within 0 and 1', () => {
  const random = seeded(42)
  const buckets = Array.from({ length: 10 }, () => 0)
  for (let i = 0; i < 100_000; i++) {
    const value = random()
    assert.ok(value > 0 && value < 1)
    const bucket = Math.floor(value * 10)
    buckets[bucket] = (buckets[bucket] ?? 0) + 1
  }
  for (const count of buckets) assert.ok(count > 9600 && count < 10_400, buckets.join(', '))
})

/** Box and Muller's. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random())
}

/** Exponential, moved to a mean of 0: a long tail on one side. */
function skewed(random: () => number): number {
  return -Math.log(random()) - 1
}
