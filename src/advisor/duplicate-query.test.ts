import assert from 'node:assert/strict'
import { test } from 'node:test'
import { advise } from './advise.ts'
import { ObservationBuilder } from './observation-builder.test.support.ts'

const user = 'SELECT id, name FROM users WHERE id = $1'

test('three layers that each look up the same user are two reads too many', () => {
  const app = new ObservationBuilder()
  app.route('GET /account/:id', (request, i) => {
    request.given(`user ${i}`)
    for (let k = 0; k < 3; k++)
      request.query(user, { ms: 4, sends: [`user ${i}`], brings: ['name'] })
  })

  const [finding, ...others] = advise(app.observation())

  assert.deepEqual(others, [])
  assert.equal(finding?.kind, 'duplicate-query')
  assert.equal(finding?.confidence, 'likely')
  assert.equal(finding?.title, 'The same read of users 3 times in one request')
  assert.ok(
    Math.abs((finding?.savesMsPerRequest ?? 0) - 8) < 0.1,
    String(finding?.savesMsPerRequest),
  )
})

test('a repeated read without parameters counts as well', () => {
  const app = new ObservationBuilder()
  app.route('GET /', (request) => {
    for (let k = 0; k < 2; k++) request.query('SELECT k, v FROM settings', { brings: ['dark'] })
  })

  assert.equal(advise(app.observation())[0]?.kind, 'duplicate-query')
})

test('a write on another table changes nothing about it', () => {
  const app = new ObservationBuilder()
  app.route('GET /account/:id', (request, i) => {
    request.query(user, { sends: [`user ${i}`], brings: ['name'] })
    request.query('UPDATE visits SET n = n + $1 WHERE user_id = $2', { sends: [1, `user ${i}`] })
    request.query(user, { sends: [`user ${i}`], brings: ['name'] })
  })

  assert.equal(advise(app.observation())[0]?.kind, 'duplicate-query')
})

test('what runs beside the first call saves the database work and no time', () => {
  const app = new ObservationBuilder()
  app.route('GET /account/:id', (request, i) => {
    const read = () => request.query(user, { ms: 4, sends: [`user ${i}`], brings: ['name'] })
    request.parallel(read, read)
  })

  const [finding] = advise(app.observation())

  assert.equal(finding?.kind, 'duplicate-query')
  assert.equal(finding.savesMsPerRequest, 0)
})

test('a loop that keeps asking for the same few things repeats itself', () => {
  const app = new ObservationBuilder()
  app.route('GET /cart', (request, i) => {
    for (let k = 0; k < 12; k++) {
      request.query('SELECT rate FROM taxes WHERE country = $1', {
        sends: [`country ${i} ${k % 2}`],
      })
    }
  })

  const findings = advise(app.observation())

  assert.deepEqual(
    findings.map(({ kind }) => kind),
    ['duplicate-query'],
  )
  assert.ok(findings[0]?.evidence[0]?.startsWith('10 of the calls'))
})

test('a loop that meets the same thing now and then is a loop, and no more', () => {
  const app = new ObservationBuilder()
  app.route('GET /cart', (request, i) => {
    for (let k = 0; k < 12; k++) {
      request.query('SELECT n FROM products WHERE id = $1', { sends: [`product ${i} ${k % 10}`] })
    }
  })

  assert.deepEqual(
    advise(app.observation()).map(({ kind }) => kind),
    ['n-plus-one'],
  )
})
