import assert from 'node:assert/strict'
import { test } from 'node:test'
import { advise } from './advise.ts'
import { ObservationBuilder } from './observation-builder.test.support.ts'

const list = 'SELECT id, total FROM orders WHERE user_id = $1'
const item = 'SELECT product_id, quantity FROM order_items WHERE order_id = $1 ORDER BY id'

test('a statement for each row that another one read is an N+1', () => {
  const [finding] = advise(page((i) => 10 + i).observation())

  assert.equal(finding?.kind, 'n-plus-one')
  assert.equal(finding?.route, 'GET /users/:id/orders')
  assert.equal(finding?.confidence, 'likely')
  assert.equal(
    finding?.remedy.sql,
    'SELECT order_id, product_id, quantity FROM order_items WHERE order_id = ANY($1) ORDER BY order_id, id',
  )
  assert.ok(
    finding?.evidence.some((line) => line.includes('follows the number of rows read from orders')),
  )
  assert.ok(finding?.evidence.some((line) => line.includes('earlier statement on orders brought')))
})

test('saves all but one of equal calls, and less where the rows are what takes the time', () => {
  const equal = advise(
    page(
      () => 11,
      () => 2,
    ).observation(),
  )[0]
  const uneven = advise(
    page(
      () => 11,
      (k) => (k < 4 ? 1 : 8),
    ).observation(),
  )[0]

  assert.ok(Math.abs((equal?.savesMsPerRequest ?? 0) - 20) < 0.5, String(equal?.savesMsPerRequest))
  assert.ok(
    Math.abs((uneven?.savesMsPerRequest ?? 0) - 10) < 0.5,
    String(uneven?.savesMsPerRequest),
  )
})

test('Promise.all hides the calls from the clock and not from the database', () => {
  const app = new ObservationBuilder()
  app.route('GET /feed', (request, i) => {
    const ids = Array.from({ length: 12 }, (_, k) => `order ${i} ${k}`)
    request.query(list, { sends: [`user ${i}`], brings: ids })
    request.parallel(...ids.map((id) => () => request.query(item, { ms: 3, sends: [id] })))
  })

  const [finding] = advise(app.observation())

  assert.equal(finding?.kind, 'n-plus-one')
  assert.ok(finding.evidence.some((line) => line.includes('side by side')))
  assert.ok(finding.savesMsPerRequest < 3)
})

test('is only possible where nobody compared the values', () => {
  const [finding] = advise(
    page(
      () => 10,
      () => 1,
      false,
    ).observation(),
  )

  assert.equal(finding?.confidence, 'possible')
})

test('a list of one key is judged by the requests whose values are known', () => {
  const lazy =
    'SELECT c.name FROM category c JOIN post_category p ON p.post_id IN ($1) AND p.category_id = c.id'
  const app = (keys: (id: string) => string[]): ObservationBuilder =>
    new ObservationBuilder().route(
      'GET /feed',
      (request, i) => {
        const ids = Array.from({ length: 8 }, (_, k) => `post ${i} ${k}`)
        request.query('SELECT id FROM post LIMIT $1', { sends: ['limit'], brings: ids })
        for (const id of ids) request.query(lazy, { sends: keys(id) })
      },
      // As under load, where most requests are not hashed.
      { solo: 3, load: 9, deep: 'solo' },
    )

  const [finding] = advise(app((id) => [id]).observation())

  assert.equal(finding?.kind, 'n-plus-one')
  assert.equal(finding.confidence, 'likely')
  assert.ok(finding.evidence[0]?.includes('in 3 of 3 sampled requests'), finding.evidence[0])
  // Chunks of a list.
  assert.deepEqual(advise(app((id) => [id, `${id}, too`]).observation()), [])
})

test('is only possible where the ids came with the request', () => {
  const app = new ObservationBuilder()
  app.route('POST /prices', (request, i) => {
    const ids = Array.from({ length: 8 }, (_, k) => `product ${i} ${k}`)
    request.given(...ids)
    for (const id of ids) request.query('SELECT price FROM products WHERE id = $1', { sends: [id] })
  })

  assert.equal(advise(app.observation())[0]?.confidence, 'possible')
})

test('two loops over the same rows are two findings, each with its statement', () => {
  const app = new ObservationBuilder()
  app.route('GET /home', (request, i) => {
    const ids = Array.from({ length: 9 }, (_, k) => `order ${i} ${k}`)
    request.query(list, { sends: [`user ${i}`], brings: ids })
    for (const id of ids) {
      request.query(item, { sends: [id] })
      request.query('SELECT avg(stars)::float AS stars FROM reviews WHERE product_id = $1', {
        sends: [id],
      })
    }
  })

  const findings = advise(app.observation())

  assert.deepEqual(
    findings.map(({ kind }) => kind),
    ['n-plus-one', 'n-plus-one'],
  )
  assert.ok(
    findings.some(
      ({ remedy }) =>
        remedy.sql ===
        'SELECT product_id, avg(stars)::float AS stars FROM reviews WHERE product_id = ANY($1) GROUP BY product_id',
    ),
  )
})

test('values that an interleaved loop brought are known by the time they are sent', () => {
  const app = new ObservationBuilder()
  app.route('GET /home', (request, i) => {
    const ids = Array.from({ length: 9 }, (_, k) => `order ${i} ${k}`)
    request.query(list, { sends: [`user ${i}`], brings: ids })
    for (const id of ids) {
      request.query(item, { sends: [id], brings: [`product of ${id}`] })
      request.query('SELECT name FROM products WHERE id = $1', { sends: [`product of ${id}`] })
    }
  })

  const evidence = advise(app.observation()).flatMap((finding) => finding.evidence)

  assert.ok(evidence.some((line) => line.includes('earlier statement on order_items brought')))
})

test('the number of calls that makes one is an option', () => {
  const app = page(() => 4)

  assert.deepEqual(advise(app.observation()), [])
  assert.equal(advise(app.observation(), { nPlusOne: { minCalls: 4 } })[0]?.kind, 'n-plus-one')
})

test('so is the share of the requests that have it', () => {
  const app = page((i) => (i === 0 ? 1 : 9))

  assert.equal(advise(app.observation())[0]?.kind, 'n-plus-one')
  assert.deepEqual(advise(app.observation(), { nPlusOne: { minShare: 0.9 } }), [])
})

function page(
  rows: (i: number) => number,
  msOf: (k: number) => number = () => 1,
  deep = true,
): ObservationBuilder {
  return new ObservationBuilder().route(
    'GET /users/:id/orders',
    (request, i) => {
      request.given(`user ${i}`)
      const ids = Array.from({ length: rows(i) }, (_, k) => `order ${i} ${k}`)
      request.query(list, { sends: [`user ${i}`], brings: ids })
      for (const [k, id] of ids.entries()) request.query(item, { ms: msOf(k), sends: [id] })
    },
    { deep },
  )
}
