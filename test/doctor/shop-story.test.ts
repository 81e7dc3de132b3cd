/** The story's table as the demo prints it, from measurements that are known. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CompareDocument, compareMeasurements, turnsOf } from '#src/compare/index.js'
import { painter } from '#src/report/index.js'

const { storyTable } = (await import(
  new URL('../../../examples/shop/story.js', import.meta.url).href
)) as {
  storyTable: (
    compared: { document: CompareDocument; rates: readonly number[] },
    paint: ReturnType<typeof painter>,
  ) => string
}

test('half the time is told with its interval, and the rates by how many times', () => {
  const lines = table({ document: compared({ effect: 0.5, noise: 0 }), rates: [30, 54] })

  assert.match(lines[0] ?? '', /^ +before +after +change +at 95 % +in the end$/)
  assert.match(lines[1] ?? '', /^ {2}mean +200 ms +100 ms +−50 % +−50 % … −50 % +−78 %$/)
  assert.match(lines[3] ?? '', /^ {2}most with p95 ≤ 500 ms +30\/s +54\/s +× 1\.8 .* × 3$/)
  assert.match(lines[4] ?? '', /^ {2}database, per request +40 ms +20 ms +−50 %/)
  assert.match(
    lines.join('\n'),
    /After is faster than before, by the mean and the 95th percentile\./,
  )
})

test('a rate that was not searched, and one that was not held, are told as such', () => {
  const document = compared({ effect: 0.5, noise: 0 })

  assert.match(table({ document, rates: [] }).join('\n'), /was not searched/)
  assert.match(table({ document, rates: [0, 54] })[3] ?? '', /none +54\/s +–/)
})

test('what a side may differ by from itself is no change: it asks, and says why', () => {
  const lines = table({ document: compared({ effect: 0.8, noise: 0.9 }), rates: [] })

  assert.match(lines[1] ?? '', /−\d+ %\?/)
  assert.match(lines.join('\n'), /Not sure yet: before may differ from itself by × \d+\.\d/)
})

test('too few rounds are no verdict', () => {
  const lines = table({ document: compared({ effect: 0.5, noise: 0, rounds: 1 }), rates: [] })

  assert.match(lines.join('\n'), /1 round in turn/)
  assert.match(lines.join('\n'), /Not sure: one round of all sides: three are needed/)
})

function table(story: { document: CompareDocument; rates: readonly number[] }): string[] {
  return storyTable(story, painter(false)).split('\n')
}

/** `noise` moves before against before once more, one way and the other. */
function compared({
  effect,
  noise,
  rounds = 3,
}: {
  effect: number
  noise: number
  rounds?: number
}) {
  return compareMeasurements({
    version: '0.1.0',
    load: { requests: 'r', ratePerSecond: 40, seconds: 4, warmupSeconds: 1, seed: 1 },
    commands: ['before', 'after'],
    measurements: turnsOf(2, rounds).map((turn) => {
      const drift = turn.isControl ? 1 + noise * (turn.round % 2 === 0 ? 1 : -0.5) : 1
      const times = drift * (turn.side === 1 ? effect : 1)
      return {
        ...turn,
        ...{ requests: 100, errors: 0, statuses: {}, lateP99Ms: 1 },
        ...{ meanMs: 200 * times, p50Ms: 90 * times, p95Ms: 400 * times, p99Ms: 700 * times },
        ...{ dbMsPerRequest: 40 * times, dbCallsPerRequest: 5, cpuMsPerRequest: 6 * times },
        ...{ throughput: 40, peakMemoryMb: 120 },
      }
    }),
  })
}
