import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BlockFacts } from '../core/facts.ts'
import { advise } from './advise.ts'
import { ObservationBuilder } from './observation-builder.test.support.ts'

test('names function, file and line, and counts who waits for it', () => {
  const [finding] = advise(report([block({})]))

  assert.equal(finding?.kind, 'event-loop-blocked')
  assert.ok(finding?.evidence[0]?.includes('affinity at reports.js:31'))
  assert.equal(finding?.savesMsPerRequest, 80)
  // 20 reports of 80 ms and 20 others in a second: 32 of these wait 40 ms on average.
  assert.ok(Math.abs((finding?.savesMsPerSecond ?? 0) - (80 * 20 + 20 * 0.08 * 20 * 40)) < 1e-6)
  assert.match(finding?.remedy.code ?? '', /worker_threads/)
})

test('what is written as JSON needs less data, not a worker', () => {
  const [finding] = advise(
    report([block({ inside: [{ function: 'stringify', file: '', line: 0, ms: 70 }] })]),
  )

  assert.match(finding?.remedy.note ?? '', /Send less/)
  assert.equal(finding?.remedy.code, undefined)
})

test('a synchronous call has an asynchronous form', () => {
  const [finding] = advise(
    report([block({ inside: [{ function: 'pbkdf2Sync', file: 'node:crypto', line: 1, ms: 79 }] })]),
  )

  assert.match(finding?.remedy.code ?? '', /await pbkdf2\(/)
})

test('the same function on two routes is one finding, wherever its line moves', () => {
  const here = advise(report([block({}), block({ route: '/other', ms: 30 })]))
  const moved = advise(report([block({ line: 99, ms: 61 })]))

  assert.equal(here.length, 1)
  assert.deepEqual(here[0]?.routes, ['GET /report', 'GET /other'])
  assert.equal(here[0]?.id, moved[0]?.id)
})

function report(blocks: BlockFacts[]) {
  const app = new ObservationBuilder()
  app.blocks = blocks
  app.route('GET /report', (request) => {
    request.compute(90)
  })
  app.route('GET /other', (request) => {
    request.compute(160)
  })
  return app.observation()
}

function block(facts: Partial<BlockFacts>): BlockFacts {
  return {
    ...{ method: 'GET', route: '/report', function: 'affinity', file: 'reports.js', line: 31 },
    ...{ ms: 80, seen: 3, requests: 3, inside: [] },
    ...facts,
  }
}
