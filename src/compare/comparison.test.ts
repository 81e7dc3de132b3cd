import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seeded } from './bootstrap.ts'
import { compareMeasurements, type ComparisonInput } from './comparison.ts'
import type { Measurement } from './measurement.ts'
import { turnsOf } from './rounds.ts'

test('two equal sides are called different in at most one of twenty comparisons', () => {
  const random = seeded(11)
  const accused = Array.from({ length: 600 }, (_, seed) => {
    const { verdict } = compareMeasurements(input({ random, noise: 0.08, effects: [1, 1], seed }))
    return verdict === 'faster' || verdict === 'slower'
  }).filter(Boolean).length

  assert.ok(accused <= 30, `accused ${accused} of 600`)
})

test('a side that takes half as long is found, and the interval holds the truth', () => {
  const random = seeded(5)
  let held = 0
  for (let seed = 0; seed < 200; seed++) {
    const { verdict, ratios } = compareMeasurements(
      input({ random, noise: 0.08, effects: [1, 0.5], seed }),
    )
    const mean = ratios.find(({ metric }) => metric === 'meanMs')
    assert.equal(verdict, 'faster')
    if ((mean?.low ?? 1) <= 0.5 && 0.5 <= (mean?.high ?? 0)) held += 1
  }

  assert.ok(held >= 186, `held ${held} of 200`)
})

test('a quiet machine says that nothing differs', () => {
  const { verdict, verdicts, ratios } = compareMeasurements(
    input({ random: seeded(1), noise: 0.004, effects: [1, 1] }),
  )

  assert.equal(verdict, 'no difference')
  assert.match(verdicts[0]?.reason ?? '', /less than 3 %/)
  assert.ok(
    ratios.every((ratio) => ratio.verdict === 'no difference'),
    JSON.stringify(ratios),
  )
})

test('a noisy machine says that it cannot tell', () => {
  const { verdict, verdicts } = compareMeasurements(
    input({ random: seeded(8), noise: 0.6, effects: [1, 0.9] }),
  )

  assert.equal(verdict, 'cannot tell')
  assert.match(verdicts[0]?.reason ?? '', /more --rounds/)
})

test('an effect that the control shows as well is none', () => {
  const measurements = make({ random: seeded(2), noise: 0.002, effects: [1, 0.9] }).map((one) =>
    one.isControl ? scaled(one, 0.8) : one,
  )

  const { verdict } = compareMeasurements({ ...input({ effects: [1, 1] }), measurements })

  assert.equal(verdict, 'cannot tell')
})

test('a slower side is called slower, each of three sides for itself', () => {
  const { verdict, verdicts, sides, ratios } = compareMeasurements(
    input({ random: seeded(4), noise: 0.02, effects: [1, 1.5, 0.7] }),
  )

  assert.equal(verdict, 'slower')
  assert.deepEqual(
    verdicts.map((one) => [one.side, one.verdict]),
    [
      ['B', 'slower'],
      ['C', 'faster'],
    ],
  )
  assert.deepEqual(
    sides.map(({ name, command }) => `${name} ${command}`),
    ['A node 0.js', 'B node 1.js', 'C node 2.js'],
  )
  assert.ok(ratios.every(({ against }) => against === 'A'))
})

test('a side that answers 500 at once wins nothing', () => {
  const measurements = make({ random: seeded(6), noise: 0.01, effects: [1, 0.1] }).map((one) =>
    one.side === 1 ? { ...one, errors: 20, statuses: { 'GET /x': { '200': 80, '500': 20 } } } : one,
  )

  const { verdict, verdicts, notes } = compareMeasurements({
    ...input({ effects: [1, 1] }),
    measurements,
  })

  assert.equal(verdict, 'cannot tell')
  assert.match(verdicts[0]?.reason ?? '', /GET \/x gave status \d+ in .* on B and in \d+ % on A/)
  assert.ok(
    notes.some((note) => /status 500 in 20 % of the requests on B and in 0 % on A/.test(note)),
  )
})

test('two sides that fail alike are no comparison either', () => {
  const measurements = make({ random: seeded(6), noise: 0.01, effects: [1, 0.5] }).map((one) => ({
    ...one,
    errors: 70,
    statuses: { 'GET /x': { '200': 30, '500': 70 } },
  }))

  const { verdicts } = compareMeasurements({ ...input({ effects: [1, 1] }), measurements })

  assert.deepEqual(verdicts[0]?.verdict, 'cannot tell')
  assert.match(verdicts[0]?.reason ?? '', /more than half of the requests to A failed/)
})

test('one odd answer in a thousand is no difference of behaviour', () => {
  const measurements = make({ random: seeded(6), noise: 0.004, effects: [1, 1] }).map((one) =>
    one.side === 1 && one.round === 0
      ? { ...one, errors: 1, statuses: { 'GET /x': { '200': 99, '500': 1 } } }
      : one,
  )

  const { verdict } = compareMeasurements({ ...input({ effects: [1, 1] }), measurements })

  assert.equal(verdict, 'no difference')
})

test('a round that was cut short does not count, and two rounds are too few', () => {
  const all = make({ random: seeded(6), noise: 0.004, effects: [1, 0.5] })
  const cut = all
    .filter(({ round }) => round < 2)
    .concat(all.filter(({ round }) => round === 2).slice(0, 1))

  const document = compareMeasurements({ ...input({ effects: [1, 1] }), measurements: cut })

  assert.equal(document.load.rounds, 2)
  assert.equal(document.verdict, 'cannot tell')
  assert.match(document.verdicts[0]?.reason ?? '', /two rounds/)
})

test('what was not seen is null, and nothing against nothing is the same', () => {
  const measurements = make({ random: seeded(6), noise: 0.01, effects: [1, 1] }).map((one) => ({
    ...one,
    dbMsPerRequest: 0,
    dbCallsPerRequest: one.side === 1 ? 2 : 0,
    peakMemoryMb: null,
  }))

  const { ratios, sides } = compareMeasurements({ ...input({ effects: [1, 1] }), measurements })

  const ratio = (name: string) => ratios.find(({ metric }) => metric === name)
  assert.deepEqual(
    [ratio('dbMsPerRequest')?.ratio, ratio('dbMsPerRequest')?.verdict],
    [1, 'no difference'],
  )
  assert.deepEqual(
    [ratio('dbCallsPerRequest')?.ratio, ratio('dbCallsPerRequest')?.verdict],
    [null, 'cannot tell'],
  )
  assert.equal(ratio('peakMemoryMb')?.ratio, null)
  assert.equal(sides[0]?.peakMemoryMb, null)
  assert.equal(ratio('throughput'), undefined)
})

test('with a goal, throughput decides as well: better and worse make no winner', () => {
  const measurements = make({ random: seeded(6), noise: 0.01, effects: [1, 0.5] }).map((one) => ({
    ...one,
    throughput: one.side === 1 ? 50 : 100,
  }))
  const base = input({ effects: [1, 1] })

  const { verdicts, ratios } = compareMeasurements({
    ...base,
    load: { ...base.load, goal: { quantile: 0.95, ms: 200 } },
    measurements,
  })

  assert.equal(ratios.find(({ metric }) => metric === 'throughput')?.verdict, 'worse')
  assert.equal(verdicts[0]?.verdict, 'cannot tell')
  assert.match(verdicts[0]?.reason ?? '', /but the throughput is worse/)
})

test('the sides take turns, and none is always first', () => {
  const turns = turnsOf(2, 3).map(
    ({ round, side, isControl }) => `${round}${'AB'[side]}${isControl ? '′' : ''}`,
  )

  assert.deepEqual(turns, ['0A', '0B', '0A′', '1B', '1A′', '1A', '2A′', '2A', '2B'])
})

interface Made {
  readonly random?: () => number
  readonly noise?: number
  readonly effects: readonly number[]
  readonly seed?: number
}

function input({ effects, seed = 1, ...made }: Made): ComparisonInput {
  return {
    version: '0.1.0',
    load: { requests: 'requests.jsonl', ratePerSecond: 50, seconds: 2, warmupSeconds: 1, seed },
    commands: effects.map((_, i) => `node ${i}.js`),
    measurements: make({ effects, ...made }),
    resamples: 500,
  }
}

/** Each run with a noise of its own, and one that it shares with its round. */
function make({ random = seeded(1), noise = 0, effects }: Made): Measurement[] {
  const shared = Array.from({ length: 5 }, () => Math.exp(0.2 * normal(random)))
  return turnsOf(effects.length, 5).map(({ round, side, isControl }) => {
    const ms = 10 * (shared[round] ?? 1) * (effects[side] ?? 1) * Math.exp(noise * normal(random))
    return {
      side,
      isControl,
      round,
      requests: 100,
      errors: 0,
      meanMs: ms,
      p50Ms: ms * 0.8 * Math.exp(noise * 0.5 * normal(random)),
      p95Ms: ms * 2 * Math.exp(noise * normal(random)),
      p99Ms: ms * 3 * Math.exp(noise * normal(random)),
      throughput: 50,
      dbMsPerRequest: ms / 2,
      dbCallsPerRequest: 3,
      cpuMsPerRequest: ms / 4,
      peakMemoryMb: 80,
      statuses: { 'GET /x': { '200': 100 } },
      lateP99Ms: 1,
    }
  })
}

function scaled(one: Measurement, factor: number): Measurement {
  return { ...one, meanMs: (one.meanMs ?? 0) * factor, p95Ms: (one.p95Ms ?? 0) * factor }
}

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random())
}
