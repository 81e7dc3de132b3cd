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

test('a route that gives everything only when it is asked to is seen doing so', () => {
  const app = new ObservationBuilder()
  app.route(
    'GET /export',
    (request, i) => {
      const isFull = i % 4 === 0
      request.query(isFull ? all : 'SELECT id FROM orders LIMIT 20', {
        ...{ ms: isFull ? 60 : 2, rows: isFull ? 16_000 : 20, sends: [i] },
      })
      request.compute(isFull ? 40 : 1)
      request.responseBytes = isFull ? 2_500_000 : 900
    },
    { solo: 8, load: 8 },
  )

  const finding = advise(app.observation()).find(({ kind }) => kind === 'large-response')

  assert.equal(finding?.title, '2.5 MB from 16,000 rows are collected before anything is sent')
  assert.ok(Math.abs(finding.savesMsPerRequest - 5) < 0.5, `${finding.savesMsPerRequest}`)
  assert.match(finding.evidence.join('\n'), /It runs in 25 % of the route's requests/)
})
