/**
 * The shop answers after as it did before: what makes it faster may change no byte of an answer and
 * no row of the database. Asked are thousands of requests, reads and writes, right and wrong ones.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { service } from '../service.ts'
import { type Asked, differencesOf, differenceWords, ShopTwins } from './shop-twins.ts'

const AT_ONCE = 16
const twins = await service(() => ShopTwins.start())
const skip = twins.skip

test('3,000 reads at once get the same bytes', { skip }, async () => {
  const requests = shuffled([
    ...paths(800, (i) => `/users/${spread(i, 50_000)}`),
    ...paths(150, (i) => `/users/${spread(i, 50_000)}/orders`),
    ...paths(500, (i) => `/account/${spread(i, 50_000)}`),
    ...paths(600, (i) => `/products/${spread(i, 2_000)}`),
    ...paths(600, (i) => `/orders/${spread(i, 500_000)}`),
    ...paths(120, (i) => `/orders/${spread(i, 500_000)}/shipping`),
    ...paths(60, (i) => `/dashboard/${spread(i, 50_000)}`),
    ...tracked.map((code) => `/orders/track/${code}`),
    ...paths(70, () => '/users'),
    ...paths(70, () => '/products'),
    ...paths(30, () => '/health'),
    ...paths(3, () => '/bestsellers'),
    ...paths(4, () => '/reports/affinity'),
    ...paths(2, () => '/exports/orders'),
  ])

  const differences = await twins.it.ask(requests, { atOnce: AT_ONCE })

  assert.ok(requests.length >= 3000)
  assert.equal(differenceWords(differences), '')
})

test('what cannot be answered is refused in the same words', { skip }, async () => {
  const wrong = [
    '0',
    '50001',
    '-1',
    'abc',
    '1e3',
    '99999999999',
    '%20',
    "1'%20OR%20'1'%3D'1",
    '%00',
  ]
  const requests = shuffled([
    ...wrong.flatMap((id) =>
      [
        ...['/users/:id', '/users/:id/orders', '/account/:id', '/products/:id'],
        ...['/orders/:id', '/orders/:id/shipping', '/orders/track/:id'],
      ].map((route) => route.replace(':id', id)),
    ),
    ...paths(200, (i) => `/users/${50_000 + spread(i, 50_000)}`),
    ...['/nowhere', '/users/', '/orders/1/', '/users/1/2/3'],
    // In between, so that a failed statement has neighbours on its connection.
    ...paths(400, (i) => `/products/${spread(i, 2_000)}`),
  ])

  const differences = await twins.it.ask(requests, { atOnce: AT_ONCE })

  assert.equal(differenceWords(differences), '')
})

test('each order, and what is read after it, gets the same bytes', { skip }, async () => {
  const requests = Array.from({ length: 160 }, (_, i): Asked[] => {
    const userId = spread(i, 50_000)
    return [
      order(i % 3 === 0 ? refused(i) : { userId, items: itemsOf(i) }),
      { path: `/users/${userId}/orders` },
      { path: `/orders/${500_001 + i}` },
    ]
  }).flat()

  const differences = await twins.it.ask(requests, { atOnce: 1 })

  assert.equal(differenceWords(differences), '')
})

test('orders at once, refused ones among them, are written once or not at all', {
  skip,
}, async () => {
  // Which of them gets which number is nobody's promise; what is in the database is.
  const requests = Array.from({ length: 600 }, (_, i) =>
    order(i % 5 === 0 ? refused(i) : { userId: spread(i, 50_000), items: itemsOf(i) }),
  )

  await twins.it.ask(shuffled(requests), { atOnce: AT_ONCE })
  const written = await twins.it.query(
    `SELECT o.user_id, o.total_cents, o.status, o.tracking_code, o.warehouse_id,
            array_agg(i.product_id || '×' || i.quantity || '@' || i.price_cents ORDER BY i.id) AS items
       FROM orders o LEFT JOIN order_items i ON i.order_id = o.id
      WHERE o.id > 500000 GROUP BY o.id ORDER BY 1, 2, 3, 4, 5, 6`,
  )

  assert.ok(JSON.parse(written.before).length >= 500)
  assert.equal(written.after, written.before)
})

test('what was there before is untouched', { skip }, async () => {
  const sums = await twins.it.query(
    ['users', 'products', 'reviews', 'categories', 'warehouses']
      .map(
        (table) =>
          `SELECT '${table}' AS of, sum(hashtext(t::text)::bigint), count(*) FROM ${table} t`,
      )
      .concat([
        `SELECT 'orders', sum(hashtext(t::text)::bigint), count(*) FROM orders t WHERE id <= 500000`,
        `SELECT 'order_items', sum(hashtext(t::text)::bigint), count(*) FROM order_items t WHERE id <= 1000000`,
      ])
      .join(' UNION ALL ')
      // Parts of a union come as they are done, where workers share them.
      .concat(' ORDER BY 1'),
  )

  assert.equal(sums.after, sums.before)
})

test('an answer that differs in one byte, one header or its status is seen', () => {
  const answer = { status: 200, headers: ['content-length: 2'], body: Buffer.from('[]') }
  const asked = { path: '/users' }
  const others = [
    { ...answer, status: 201 },
    { ...answer, headers: ['content-length: 2', 'etag: "1"'] },
    { ...answer, body: Buffer.from('{}') },
  ]

  assert.deepEqual(differencesOf([asked], [answer], [{ ...answer }]), [])
  for (const other of others) {
    assert.equal(differencesOf([asked], [answer], [other]).length, 1)
  }
  assert.throws(() => differencesOf([asked], [answer], []), /no answer to GET \/users/)
})

/** Of orders 1, 25001 and so on, and some that are nobody's. */
const tracked = [
  'TC4CA4238A0B9',
  'T1017BFD46739',
  'TD3EB9A9233E5',
  'T44002E552A49',
  'NEW',
  'x',
].flatMap((code) => [code, code, code])

function order(body: unknown): Asked {
  return {
    method: 'POST',
    path: '/orders',
    body: typeof body === 'string' ? body : JSON.stringify(body),
  }
}

/** One to four of them. */
function itemsOf(i: number): object[] {
  return Array.from({ length: 1 + (i % 4) }, (_, k) => ({
    productId: spread(i + k, 2_000),
    quantity: 1 + (k % 3),
    priceCents: 100 + spread(i * 7 + k, 9_000),
  }))
}

/** By the database, most of them after the order itself was written; by the handler; by the framework. */
function refused(i: number): unknown {
  const userId = spread(i, 50_000)
  const [first, ...others] = itemsOf(i)
  const kinds = [
    { userId, items: [first, { ...others[0], productId: 2_001, quantity: 1, priceCents: 1 }] },
    { userId: 50_001, items: [first] },
    { userId, items: [first, { productId: 1, priceCents: 100 }] },
    { userId, items: [{ productId: 1, quantity: 'two', priceCents: 100 }] },
    { userId, items: [{ ...first, priceCents: 12.5 }] },
    { userId: 'nobody', items: [first] },
    { items: [first] },
    { userId },
    '{"userId": 1,',
    '',
  ]
  return kinds[i % kinds.length]
}

function paths(count: number, path: (i: number) => string): string[] {
  return Array.from({ length: count }, (_, i) => path(i))
}

/** The i-th of numbers that lie apart, 1 to `most`. */
function spread(i: number, most: number): number {
  return 1 + ((i * 7919 + 13) % most)
}

/** Always the same order, in which neighbours have nothing in common. */
function shuffled(requests: readonly (Asked | string)[]): Asked[] {
  const all = requests.map((each) => (typeof each === 'string' ? { path: each } : each))
  let state = 42
  for (let i = all.length - 1; i > 0; i--) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    const j = state % (i + 1)
    const [left, right] = [all[i] as Asked, all[j] as Asked]
    all[i] = right
    all[j] = left
  }
  return all
}
