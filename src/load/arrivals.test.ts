import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Arrivals } from './arrivals.ts'

test('even arrivals are as many as the rate says, to the last one of a day', () => {
  const arrivals = new Arrivals('even', 300, 86_400_000 / 24, 1)

  const all = taken(arrivals)

  assert.equal(all.length, 300 * 3600)
  assert.equal(all.at(-1), (300 * 3600 - 1) * (1000 / 300))
})

test('poisson arrivals keep the rate, and half of the gaps are below 0.7 of the mean', () => {
  const all = taken(new Arrivals('poisson', 1000, 200_000, 7))
  const gaps = all.map((at, index) => at - (all[index - 1] ?? 0)).sort((a, b) => a - b)

  assert.ok(Math.abs(all.length / 200_000 - 1) < 0.01, `${all.length} in place of 200,000`)
  const medianGapMs = gaps[gaps.length >> 1] as number
  assert.ok(Math.abs(medianGapMs - Math.LN2) < 0.01, `median gap ${medianGapMs} ms`)
})

test('the same seed gives the same moments, another one others', () => {
  const of = (seed: number) => taken(new Arrivals('poisson', 50, 2000, seed))

  assert.deepEqual(of(3), of(3))
  assert.notDeepEqual(of(3), of(4))
})

test('nothing is due outside of the window', () => {
  const arrivals = new Arrivals('poisson', 100, 1000, 1)
  taken(arrivals)
  assert.equal(arrivals.peek(), Number.POSITIVE_INFINITY)
})

function taken(arrivals: Arrivals): number[] {
  const all: number[] = []
  while (arrivals.peek() !== Number.POSITIVE_INFINITY) all.push(arrivals.take())
  return all
}
