import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RetryBudget } from './retry-budget.ts'

test('retries are never more than the reserve and the share of requests', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 0, max: 20 }),
      fc.array(fc.boolean(), { maxLength: 500 }),
      (share, reserve, steps) => {
        const budget = new RetryBudget(share, reserve)
        let requests = 0
        let retries = 0
        for (const isRequest of steps) {
          if (isRequest) {
            requests++
            budget.deposit()
          } else if (budget.withdraw()) retries++
          assert.ok(retries <= reserve + share * requests + 1e-6)
        }
      },
    ),
  )
})

test('a tenth of each of ten requests pays for one retry', () => {
  const budget = new RetryBudget(0.1, 1)
  budget.withdraw()
  for (let i = 0; i < 10; i++) budget.deposit()

  assert.equal(budget.withdraw(), true)
  assert.equal(budget.withdraw(), false)
})

test('peace does not pay for a storm', () => {
  const budget = new RetryBudget(0.5, 2)
  for (let i = 0; i < 10_000; i++) budget.deposit()
  let retries = 0
  while (budget.withdraw()) retries++

  assert.equal(retries, 20)
})
