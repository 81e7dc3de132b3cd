import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { formats, ObservedProcess } from './observed-process.ts'

const document = 'query Orders($id: ID!) { user(id: $id) { orders { id } } }'

for (const format of formats) {
  for (const fastify of ['fastify', 'fastify4']) {
    describe(`${fastify}, ${format}`, () => {
      test('a request is booked to the pattern of its route', async (t) => {
        const app = await ObservedProcess.start(t, 'fastify', { format, libraries: [fastify] })

        await app.get('/hello')
        await app.get('/users/41?x=1')
        await app.get('/users/ada')
        await app.get('/files/a/b/c.txt')
        await app.get('/api/acme/orders/9')
        await app.get('/broken')
        await app.get('/nowhere/7')
        await app.get('/nowhere/8', { method: 'DELETE' })

        assert.deepEqual(await app.routes(8), [
          'DELETE (unmatched)',
          'GET (unmatched)',
          'GET /api/:tenant/orders/:order',
          'GET /broken',
          'GET /files/*',
          'GET /hello',
          'GET /users/:id',
        ])
      })

      test('a parsed body is handled in the context of its request', async (t) => {
        const app = await ObservedProcess.start(t, 'fastify', { format, libraries: [fastify] })

        const { body } = await app.post('/users', { name: 'Ada' })

        const { got, id } = JSON.parse(body) as { got: unknown; id: unknown }
        assert.deepEqual(got, { name: 'Ada' })
        assert.equal(typeof id, 'number')
      })

      test('the operation of GraphQL is part of the route', async (t) => {
        const app = await ObservedProcess.start(t, 'fastify', { format, libraries: [fastify] })

        await app.post('/graphql', { operationName: 'User', query: 'query User { me { id } }' })
        await app.post('/graphql', { query: document })
        await app.post('/graphql', { query: '{ me { id } }' })

        assert.deepEqual(await app.routes(3), [
          'POST /graphql',
          'POST /graphql Orders',
          'POST /graphql User',
        ])
      })
    })
  }

  for (const express of ['express', 'express4']) {
    describe(`${express}, ${format}`, () => {
      test('a request is booked to the pattern of its route, through routers and apps', async (t) => {
        const app = await ObservedProcess.start(t, 'express', { format, libraries: [express] })

        await app.get('/hello')
        await app.get('/users/41?x=1')
        await app.get('/first')
        await app.get('/second/time')
        await app.get('/abbbc')
        await app.get('/tenants/acme/orders')
        await app.get('/tenants/a%20b/orders/12')
        await app.get('/tenants/zebra/orders/13')
        await app.get('/admin/page/start')
        await app.get('/broken')
        await app.get('/nowhere/7')

        assert.deepEqual(await app.routes(11), [
          'GET (unmatched)',
          'GET /^\\/ab+c$/',
          'GET /admin/page/:name',
          'GET /broken',
          'GET /first',
          'GET /hello',
          'GET /second/:what',
          'GET /tenants/:tenant/orders',
          'GET /tenants/:tenant/orders/:order',
          'GET /users/:id',
        ])
      })

      test('a parsed body is handled in the context of its request', async (t) => {
        const app = await ObservedProcess.start(t, 'express', { format, libraries: [express] })

        const { body } = await app.post('/users', { name: 'Ada' })

        const { got, id } = JSON.parse(body) as { got: unknown; id: unknown }
        assert.deepEqual(got, { name: 'Ada' })
        assert.equal(typeof id, 'number')
      })

      test('the operation of GraphQL is part of the route', async (t) => {
        const app = await ObservedProcess.start(t, 'express', { format, libraries: [express] })

        await app.post('/graphql', { query: document })
        await app.post('/graphql?operationName=Me', { query: '{ me { id } }' })

        assert.deepEqual(await app.routes(2), ['POST /graphql Me', 'POST /graphql Orders'])
      })
    })
  }

  test(`koa with its router, ${format}: a request is booked to the pattern of its route`, async (t) => {
    const app = await ObservedProcess.start(t, 'koa', {
      format,
      libraries: ['koa', '@koa/router'],
    })

    await app.get('/v1/users/41')
    await app.get('/v1/shops/acme/orders/7')
    await app.get('/elsewhere/7')

    assert.deepEqual(await app.routes(3), [
      'GET (unmatched)',
      'GET /v1/shops/:shop/orders/:order',
      'GET /v1/users/:id',
    ])
  })
}

test('two applications of Express have their own patterns for one path', async (t) => {
  const app = await ObservedProcess.start(t, 'express', { libraries: ['express'] })

  await app.get('/tenants/acme/orders')
  await app.get('/tenants/acme/orders', { headers: { other: '1' } })

  assert.deepEqual(await app.routes(2), ['GET /tenants/:tenant/orders', 'GET /tenants/acme/orders'])
})

test('names of operations that callers make up do not fill the table of routes', async (t) => {
  const app = await ObservedProcess.start(t, 'http')

  const names = Array.from({ length: 210 }, (_, i) => `Operation${i}`)
  for (const name of names) await app.get(`/items/graphql?operationName=${name}`)

  const isComplete = ({ routes: all }: { routes: readonly { requests: number }[] }) =>
    all.reduce((sum, { requests }) => sum + requests, 0) === names.length
  const { routes } = await app.facts(isComplete)
  assert.equal(routes.length, 201)
  assert.equal(routes.find(({ route }) => route === '/items/graphql')?.requests, 10)
})
