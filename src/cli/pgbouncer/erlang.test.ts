import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { serversFor, waitChance } from './erlang.ts'

test('one server is waited for as often as it is busy', () => {
  // M/M/1: the chance of waiting is the use.
  assert.ok(Math.abs(waitChance(0.3, 1) - 0.3) < 1e-12)
})

test('the chance of waiting is that of the textbook', () => {
  // Erlang C tables: 2 erlangs on 3 servers 0.4444, 20 on 24 0.2981.
  assert.equal(waitChance(2, 3).toFixed(4), '0.4444')
  assert.equal(waitChance(20, 24).toFixed(4), '0.2981')
})

test('the story’s 50 warm connections are what its load needs', () => {
  // 2,000 transactions a second of 17 ms.
  assert.equal(serversFor(34, 0.01), 50)
})

test('the number found is the smallest, and more load never needs fewer', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.001, max: 400, noNaN: true }),
      fc.constantFrom(0.001, 0.01, 0.1),
      (busy, chance) => {
        const servers = serversFor(busy, chance)

        assert.ok(servers > busy)
        assert.ok(waitChance(busy, servers) <= chance)
        if (servers > 1) assert.ok(waitChance(busy, servers - 1) > chance)
        assert.ok(serversFor(busy * 1.1, chance) >= servers)
      },
    ),
  )
})
