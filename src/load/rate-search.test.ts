import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { findRate, type SearchBounds } from './rate-search.ts'

const bounds: SearchBounds = { startRate: 10, minRate: 1, maxRate: 50_000, precision: 0.05 }

test('finds the limit within the precision, in few steps', async () => {
  await fc.assert(
    fc.asyncProperty(fc.double({ min: 1.1, max: 49_000, noNaN: true }), async (capacity) => {
      let steps = 0

      const found = await findRate(bounds, async (rate) => {
        steps += 1
        return rate <= capacity
      })

      assert.equal(found.limit, 'found')
      assert.ok(found.ratePerSecond <= capacity)
      assert.ok(found.ratePerSecond * 1.051 >= capacity, `${found.ratePerSecond} of ${capacity}`)
      assert.ok(steps < 30, `${steps} steps`)
    }),
  )
})

test('one bad moment is not believed', async () => {
  const steps: number[] = []

  const found = await findRate(bounds, async (rate) => {
    steps.push(rate)
    const isHiccup = steps.length % 5 === 0
    return rate <= 300 && !isHiccup
  })

  assert.ok(found.ratePerSecond > 285 && found.ratePerSecond <= 300, `${found.ratePerSecond}`)
})

test('a server that always holds is asked no more than was allowed', async () => {
  const steps: number[] = []

  const found = await findRate({ ...bounds, maxRate: 100 }, async (rate) => {
    steps.push(rate)
    return true
  })

  assert.deepEqual(found, { ratePerSecond: 100, limit: 'max-rate' })
  assert.deepEqual(steps, [10, 20, 40, 80, 100])
})

test('a server that never holds is asked no less than was allowed', async () => {
  const found = await findRate(bounds, async () => false)
  assert.deepEqual(found, { ratePerSecond: 0, limit: 'min-rate' })
})

test('when the time is over the best until then is the answer', async () => {
  let left = 4
  const found = await findRate(bounds, async () => (left-- > 0 ? true : undefined))
  assert.deepEqual(found, { ratePerSecond: 80, limit: 'budget' })
})
