import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RoutePattern } from './route-pattern.ts'

for (const [pattern, parts] of [
  ['/', ['/']],
  ['/users', ['/users']],
  ['/users/:id/orders', ['/users/', 'id', '/orders']],
  ['/users/:userId/orders/:orderId', ['/users/', 'userId', '/orders/', 'orderId']],
  ['/files/:name.:ext', ['/files/', 'name', '.', 'ext']],
  ['/flights/:from-:to', ['/flights/', 'from', '-', 'to']],
  ['/users/:id(\\d+)/x', ['/users/', 'id', '/x']],
  ['/users/:id(^(?:a|b)$)', ['/users/', 'id']],
  ['/posts/:slug?', ['/posts']],
  ['/posts{/:slug}', ['/posts']],
  ['/posts{/:slug}/all', ['/posts/all']],
  ['/users/{id}/x', ['/users/', 'id', '/x']],
  ['/name::verb', ['/name:verb']],
] as const) {
  test(`takes ${pattern} apart`, () => {
    const route = new RoutePattern(pattern)

    assert.equal(route.obstacle, undefined)
    assert.deepEqual(
      route.parts.map((part) => (typeof part === 'string' ? part : part.name)),
      parts,
    )
  })
}

for (const [pattern, says] of [
  ['*', /regular expression/],
  ['/*', /wildcard/],
  ['/static/*', /wildcard/],
  ['/files/*path', /wildcard/],
  ['/a/:rest*', /wildcard/],
  ['/^\\/a(.*)$/i', /regular expression/],
  ['/ab?cd', /regular expression/],
  ['/(a|b)', /regular expression/],
  ['/users/:id(\\d+', /cannot be read/],
  ['/users/:id([)', /cannot be read/],
] as const) {
  test(`knows nothing that fits ${pattern}`, () => {
    assert.match(new RoutePattern(pattern).obstacle ?? 'none', says)
  })
}

test('a rule holds for the whole value', () => {
  const [param] = new RoutePattern('/users/:id(\\d+)').params

  assert.equal(param?.rule?.test('42'), true)
  assert.equal(param?.rule?.test('42a'), false)
})

test('two notations of one path have one shape', () => {
  assert.equal(new RoutePattern('/a/:b/c').shape, new RoutePattern('/a/{x}/c').shape)
  assert.notEqual(new RoutePattern('/a/:b/c').shape, new RoutePattern('/a/{x}/d').shape)
})
