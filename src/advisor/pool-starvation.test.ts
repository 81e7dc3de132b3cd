import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Finding } from '../core/finding.ts'
import { advise } from './advise.ts'
import { ObservationBuilder } from './observation-builder.test.support.ts'

const user = 'SELECT id FROM users WHERE id = $1'

test('names who holds a connection while an outbound call runs, and not those who wait', () => {
  const [finding, ...others] = advise(shipping().observation()).filter(isStarvation)

  assert.deepEqual(others, [])
  assert.deepEqual(finding?.routes, ['GET /orders/:id/shipping'])
  assert.equal(finding?.confidence, 'likely')
  assert.ok(finding?.evidence.some((line) => line.includes('GET carrier/rates/:id')))
  assert.ok(finding?.evidence.some((line) => line.includes('GET /users/:id 30 ms')))
  assert.ok(
    (finding?.savesMsPerSecond ?? 0) > (finding?.savesMsPerRequest ?? 0) * 20,
    'the others wait as well',
  )
})

test('who holds one for long gets a pool that tells from where', () => {
  const finding = advise(shipping().observation()).find(isStarvation)

  assert.match(finding?.remedy.code ?? '', /import { Pool } from 'hasten\/pool'/)
  // The round number below a hold of 151 ms.
  assert.match(finding?.remedy.code ?? '', /leakDetectionMs: 100,/)
  assert.match(finding?.remedy.code ?? '', /await fetch\(url\) +\/\/ no connection is held/)
  assert.match(finding?.remedy.note ?? '', /^Call others before `pool.connect\(\)`/)
})

test('slow statements that fill the pool are the cause', () => {
  const app = new ObservationBuilder().pool({ max: 4, waitingMax: 20 })
  app.route('GET /report', (request, i, phase) => {
    if (phase === 'load') request.poolWait(30)
    request.query('SELECT sum(total) FROM orders WHERE day = $1', { ms: 180, sends: [i] })
  })

  app.plans = [
    {
      statement: app.statement('SELECT sum(total) FROM orders WHERE day = $1'),
      plan: { 'Node Type': 'Aggregate', 'Total Cost': 24_000 },
    },
  ]

  const findings = advise(app.observation())
  const starvation = findings.find(isStarvation)

  assert.equal(starvation?.cause, findings.find(({ kind }) => kind === 'slow-query')?.id)
  assert.match(starvation?.title ?? '', /Slow statements/)
  assert.match(starvation?.remedy.code ?? '', /import { Pool } from 'hasten\/pool'/)
  assert.match(starvation?.remedy.note ?? '', /^Mend the statement first/)
})

test('short statements in large number find the pool too small', () => {
  const app = new ObservationBuilder().pool({ max: 2, waitingMax: 30 })
  app.route(
    'GET /users/:id',
    (request, i, phase) => {
      if (phase === 'load') request.poolWait(25)
      request.query(user, { ms: 4, sends: [i] })
    },
    { total: 4000 },
  )

  const [finding] = advise(app.observation())

  assert.equal(finding?.title, 'The pool is too small for its traffic')
  // 400 requests per second × 4 ms: 1.6 on average, 7 at nearly every moment.
  assert.match(finding.remedy.code ?? '', /new Pool\(.*min: 2, max: 7 }\)/)
  assert.match(finding.remedy.note ?? '', /By Little's law 1\.6 connections/)
})

test('a pool that has enough on average is not made smaller', () => {
  const app = new ObservationBuilder().pool({ max: 50, waitingMax: 30 })
  app.route(
    'GET /users/:id',
    (request, i, phase) => {
      if (phase === 'load') request.poolWait(250)
      request.query(user, { ms: 150, sends: [i] })
    },
    { total: 2000 },
  )
  app.plans = [{ statement: app.statement(user), plan: { 'Node Type': 'Index Scan' } }]

  const finding = advise(app.observation()).find(isStarvation)

  assert.match(finding?.remedy.code ?? '', /max: 50/)
})

test('a pool that is full at a rate that was searched for is where the search ended, no fault', () => {
  const app = new ObservationBuilder().pool({ max: 2, waitingMax: 30 })
  app.route(
    'GET /users/:id',
    (request, i, phase) => {
      if (phase === 'load') request.poolWait(25)
      request.query(user, { ms: 4, sends: [i] })
    },
    { total: 4000 },
  )

  assert.deepEqual(advise({ ...app.observation(), isRateSearched: true }), [])
})

test('one who holds a connection for nothing is named at any rate', () => {
  const findings = advise({ ...shipping().observation(), isRateSearched: true })

  assert.equal(findings.find(isStarvation)?.route, 'GET /orders/:id/shipping')
})

test('is only possible while the event loop is busy', () => {
  const app = shipping()
  app.loopUtilisation = 0.97
  app.blocks = []

  assert.equal(advise(app.observation()).find(isStarvation)?.confidence, 'possible')
})

function shipping(): ObservationBuilder {
  const app = new ObservationBuilder().pool({ max: 5, waitingMax: 14 })
  app.route('GET /orders/:id/shipping', (request, i, phase) => {
    request.given(`order ${i}`)
    if (phase === 'load') request.poolWait(30)
    request.checkout(() => {
      request.query('SELECT id FROM orders WHERE id = $1', { sends: [`order ${i}`] })
      request.http('carrier/rates/:id', { ms: 150, sends: ['rates', `order ${i}`] })
    })
  })
  app.route('GET /users/:id', (request, i, phase) => {
    request.given(`user ${i}`)
    if (phase === 'load') request.poolWait(30)
    request.query(user, { sends: [`user ${i}`] })
  })
  return app
}

function isStarvation({ kind }: Finding): boolean {
  return kind === 'pool-starvation'
}
