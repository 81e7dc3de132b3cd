import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { KnownValues } from './known-values.ts'

const users = JSON.stringify([
  { id: 7, slug: 'ann', team_id: 3 },
  { id: 8, slug: 'bob', team_id: 3 },
])

for (const [before, param, values] of [
  ['/users/', 'id', ['7', '8']],
  ['/users/', 'userId', ['7', '8']],
  ['/users/', 'user_id', ['7', '8']],
  ['/users/', 'slug', ['ann', 'bob']],
  ['/users/', 'user', ['7', '8', 'ann', 'bob']],
  ['/orders/', 'userId', ['7', '8']],
  ['/api/v2/users/', 'id', ['7', '8']],
  ['/teams/', 'id', ['3']],
  ['/teams/', 'teamId', ['3']],
  ['/orders/', 'id', []],
  ['/orders/', 'slug', []],
] as const) {
  test(`after GET /users, ${before}:${param} may be ${JSON.stringify(values)}`, () => {
    const known = new KnownValues()
    known.learn('/users', users)
    assert.deepEqual(known.valuesFor(before, param), values)
  })
}

for (const [name, body] of [
  ['the answer itself', [{ id: 1 }]],
  ['under data', { data: [{ id: 1 }], total: 1 }],
  ['under its own name', { products: [{ id: 1 }] }],
  ['deep inside', { data: { items: [{ id: 1 }] } }],
  ['in edges', { edges: [{ node: { id: 1 } }] }],
  ['one object', { id: 1, name: 'x' }],
] as const) {
  test(`finds a collection that is ${name}`, () => {
    const known = new KnownValues()
    known.learn('/products?page=1', JSON.stringify(body))
    assert.deepEqual(known.valuesFor('/products/', 'id'), ['1'])
  })
}

test('the children of one parent are not those of another', () => {
  const known = new KnownValues()
  known.learn('/users/7/orders', '[{"id": 70}]')
  known.learn('/users/8/orders', '[{"id": 80}]')

  assert.deepEqual(known.valuesFor('/users/7/orders/', 'orderId'), ['70'])
  assert.deepEqual(known.valuesFor('/users/8/orders/', 'id'), ['80'])
  assert.deepEqual(known.valuesFor('/orders/', 'id'), ['70', '80'])
})

test('keeps twenty values, and whatever is answered breaks nothing', () => {
  const known = new KnownValues()
  const many = Array.from({ length: 1000 }, (_, id) => ({ id }))
  known.learn('/things', JSON.stringify(many))
  assert.equal(known.valuesFor('/things/', 'id').length, 20)

  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string()), fc.string(), (body, param) => {
      known.learn('/things', body)
      known.valuesFor('/things/', param)
    }),
  )
})
