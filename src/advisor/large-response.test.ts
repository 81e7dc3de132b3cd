import assert from 'node:assert/strict'
import { test } from 'node:test'
import { advise } from './advise.ts'
import { ObservationBuilder } from './observation-builder.test.support.ts'

const all = 'SELECT id, total FROM orders WHERE day = $1'

test('rows that are collected and then written are named with their size', () => {
  const app = new ObservationBuilder()
  app.route('GET /export', (request, i) => {
    request.query(all, { ms: 60, rows: 16_000, sends: [i] })
    request.compute(40)
    request.responseBytes = 2_500_000
  })

  const [finding, ...others] = advise(app.observation())

  assert.deepEqual(others, [])
  assert.equal(finding?.kind, 'large-response')
  assert.equal(finding?.title, '2.5 MB from 16,000 rows are collected before anything is sent')
  assert.ok(Math.abs((finding?.savesMsPerRequest ?? 0) - 20) < 0.5)
  assert.equal(
    finding?.remedy.sql,
    'SELECT id, total FROM orders WHERE day = $1 AND id > $2 ORDER BY id LIMIT 100',
  )
})

test('writing it may be what blocks the event loop', () => {
  const app = new ObservationBuilder()
  app.route('GET /export', (request, i) => {
    request.query(all, { ms: 60, rows: 16_000, sends: [i] })
    request.compute(40)
    request.responseBytes = 2_500_000
  })
  app.blocks = [
    {
      ...{ method: 'GET', route: '/export', function: 'send', file: 'export.js', line: 3, ms: 38 },
      ...{ seen: 3, requests: 3, inside: [{ function: 'stringify', file: '', line: 0, ms: 36 }] },
    },
  ]

  const findings = advise(app.observation())
  const large = findings.find(({ kind }) => kind === 'large-response')

  assert.equal(findings.find(({ kind }) => kind === 'event-loop-blocked')?.cause, large?.id)
})

test('is only possible where no response was watched to its end', () => {
  const app = new ObservationBuilder()
  app.route('GET /export', (request, i) => {
    request.query(all, { ms: 60, rows: 16_000, sends: [i] })
    request.compute(40)
    request.responseBytes = 2_500_000
  })
  const observation = app.observation()

  const [finding] = advise({
    ...observation,
    solo: { ...observation.solo, requests: [] },
    load: { ...observation.load, requests: [] },
  })

  assert.equal(finding?.kind, 'large-response')
  assert.equal(finding.confidence, 'possible')
})
