import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Mix } from './mix.ts'

test('each request has its share, within five standard deviations', () => {
  const weight = fc.double({ min: 0.01, max: 100, noNaN: true })

  fc.assert(
    fc.property(fc.array(weight, { minLength: 1, maxLength: 8 }), fc.integer(), (weights, seed) => {
      const draws = 20_000
      const sum = weights.reduce((a, b) => a + b, 0)
      const counts = weights.map(() => 0)
      const mix = mixOf(weights, seed)

      for (let draw = 0; draw < draws; draw++) {
        const chosen = mix.next()
        counts[chosen] = (counts[chosen] ?? 0) + 1
      }

      for (const [index, count] of counts.entries()) {
        const share = (weights[index] as number) / sum
        const slack = 5 * Math.sqrt(draws * share * (1 - share)) + 1
        const says = `request ${index} of ${weights} was chosen ${count} times`
        assert.ok(Math.abs(count - draws * share) <= slack, says)
      }
    }),
    { numRuns: 50, seed: 11 },
  )
})

test('the same seed chooses the same requests in the same order', () => {
  const chosen = (seed: number) => {
    const mix = mixOf([1, 2, 3], seed)
    return Array.from({ length: 100 }, () => mix.next())
  }

  assert.deepEqual(chosen(5), chosen(5))
  assert.notDeepEqual(chosen(5), chosen(6))
})

function mixOf(weights: readonly number[], seed: number): Mix {
  const requests = weights.map((weight) => ({ method: 'GET', path: '/', weight }))
  return new Mix(requests, seed)
}
