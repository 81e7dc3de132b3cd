import assert from 'node:assert/strict'
import { test } from 'node:test'
import { advise } from './advise.ts'
import { ObservationBuilder, type RequestScript } from './observation-builder.test.support.ts'

const user = 'SELECT id, name FROM users WHERE id = $1'

test('a client that is opened in the handler costs what connecting takes', () => {
  const app = new ObservationBuilder().pool()
  app.route('GET /users/:id', (request, i) => {
    request.connect(6)
    lookUp(request, i)
  })

  const [finding, ...others] = advise(app.observation())

  assert.deepEqual(others, [])
  assert.equal(finding?.kind, 'connection-per-request')
  assert.equal(finding?.confidence, 'likely')
  assert.match(finding?.remedy.code ?? '', /^import { Pool } from 'hasten\/pool'$/m)
  // 200 requests in 10 seconds, with a statement of 1 ms each.
  assert.match(finding?.remedy.code ?? '', /new Pool\(.*min: 1, max: 4 }\)/)
  assert.match(finding?.remedy.note ?? '', /20 requests per second × 1 ms/)
  assert.match(finding?.remedy.note ?? '', /There is a pool already, of at most 4/)
  assert.ok(Math.abs((finding?.savesMsPerRequest ?? 0) - 6) < 0.01)
})

test('two routes with the same habit are one finding', () => {
  const app = new ObservationBuilder()
  const habit = (request: RequestScript, i: number) => {
    request.connect(6)
    lookUp(request, i)
  }
  app.route('GET /a/:id', habit, { total: 100 }).route('GET /b/:id', habit, { total: 300 })

  const findings = advise(app.observation())

  assert.equal(findings.length, 1)
  assert.deepEqual(findings[0]?.routes, ['GET /b/:id', 'GET /a/:id'])
  assert.ok(Math.abs((findings[0]?.savesMsPerSecond ?? 0) - 6 * 40) < 0.1)
})

test('a pool for each request is seen by the number of pools', () => {
  const app = new ObservationBuilder()
  for (let pool = 150; pool < 200; pool++) app.pool({ pool, max: 10 })
  app.route('GET /users/:id', (request, i) => {
    request.connect(6)
    lookUp(request, i)
  })

  const [finding] = advise(app.observation())

  assert.equal(finding?.kind, 'connection-per-request')
  assert.equal(finding.title, 'A pool of connections is created for each request')
})

test('a connection for each statement of a loop is made by the loop', () => {
  const app = new ObservationBuilder()
  app.route('GET /feed', (request, i) => {
    for (let k = 0; k < 8; k++) {
      request.connect(6)
      request.query(user, { sends: [`user ${i} ${k}`], brings: ['name'] })
    }
  })

  const findings = advise(app.observation())
  const loop = findings.find(({ kind }) => kind === 'n-plus-one')
  const connection = findings.find(({ kind }) => kind === 'connection-per-request')

  assert.ok(loop)
  assert.equal(connection?.cause, loop.id)
})

function lookUp(request: RequestScript, i: number): void {
  request.given(`user ${i}`)
  request.query(user, { sends: [`user ${i}`], brings: [`user ${i}`, 'name'] })
}
