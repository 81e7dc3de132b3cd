/** Discovered routes, by framework: whole patterns, as they are written. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { observe } from './fixture-server.js'

for (const version of ['express', 'express4']) {
  test(`${version}: routers in routers, a mounted application, lists of paths`, async (t) => {
    const target = await observe(t, ['routes.cjs', version])

    assert.deepEqual(patterns(await target.routes()), [
      'GET /',
      'GET /admin/log',
      'GET /any',
      'GET /new',
      'GET /old',
      'GET /users',
      'GET /users/:user/orders/:order',
      'POST /users',
    ])
  })
}

test('Fastify: plugins under a prefix', async (t) => {
  const target = await observe(t, ['routes.mjs', 'fastify'])

  assert.deepEqual(patterns(await target.routes()), [
    'GET /admin/log',
    'GET /users/:id',
    'POST /users',
  ])
})

test('Koa: the router with its prefix', async (t) => {
  const target = await observe(t, ['routes.mjs', 'koa'])

  assert.deepEqual(patterns(await target.routes()), ['GET /users/:id'])
})

function patterns(routes: readonly { method: string; pattern: string }[]): string[] {
  return routes.map(({ method, pattern }) => `${method} ${pattern}`).sort()
}
