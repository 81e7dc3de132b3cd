import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OpenApi, readOpenApi, servesOpenApi } from './openapi.ts'
import { RoutePattern } from './route-pattern.ts'

const document = {
  openapi: '3.1.0',
  servers: [{ url: 'https://api.test/v1/' }],
  paths: {
    '/users/{id}': {
      parameters: [{ $ref: '#/components/parameters/Id' }],
      get: {
        parameters: [
          { name: 'view', in: 'query', required: true, schema: { enum: ['full', 'short'] } },
        ],
      },
    },
    '/tags/{tag}': {
      get: {
        parameters: [
          {
            name: 'tag',
            in: 'path',
            required: true,
            examples: { a: { value: 'red' }, b: { value: 'blue' } },
          },
        ],
      },
    },
    '/search': { get: { parameters: [{ name: 'q', in: 'query', required: true, schema: {} }] } },
    '/orders': { post: {} },
  },
  components: {
    parameters: {
      Id: { name: 'id', in: 'path', required: true, schema: { $ref: '#/components/schemas/Id' } },
    },
    schemas: { Id: { type: 'integer', examples: [42, 43], default: 1 } },
  },
}

test('examples, defaults and enums fill parameters, by place and not by name', () => {
  const api = OpenApi.of(document)

  assert.deepEqual(api?.pathExamples(new RoutePattern('/users/:userId'), 0), ['42', '43', '1'])
  assert.deepEqual(api?.pathExamples(new RoutePattern('/v1/users/:id'), 0), ['42', '43', '1'])
  assert.deepEqual(api?.pathExamples(new RoutePattern('/tags/:t'), 0), ['red', 'blue'])
  assert.deepEqual(api?.pathExamples(new RoutePattern('/other/:t'), 0), [])
})

test('a query string that is required is there, or its absence named', () => {
  const api = OpenApi.of(document)

  assert.deepEqual(api?.query(new RoutePattern('/users/:id')), { query: 'view=full' })
  assert.deepEqual(api?.query(new RoutePattern('/search')), { missing: 'q' })
  assert.deepEqual(api?.query(new RoutePattern('/tags/:t')), { query: '' })
})

test('Swagger 2 stands on its own base path', () => {
  const api = OpenApi.of({
    swagger: '2.0',
    basePath: '/api',
    paths: { '/pets/{id}': { get: { parameters: [{ name: 'id', in: 'path', default: 5 }] } } },
  })
  assert.deepEqual(api?.pathExamples(new RoutePattern('/api/pets/:id'), 0), ['5'])
})

test('a document that refers to itself ends', () => {
  const loop = { openapi: '3.0.0', paths: { '/a/{b}': { $ref: '#/paths/~1a~1{b}' } } }
  assert.deepEqual(OpenApi.of(loop)?.patterns(), [])
})

for (const pattern of [
  '/openapi.json',
  '/documentation/json',
  '/swagger.json',
  '/api-docs',
  '/docs-json',
  '/v1/openapi',
]) {
  test(`${pattern} serves a description`, () => assert.ok(servesOpenApi(pattern)))
}

for (const pattern of [
  '/docs',
  '/documentation',
  '/api',
  '/reports/json',
  '/documents/json-export',
]) {
  test(`${pattern} does not`, () => assert.ok(!servesOpenApi(pattern)))
}

test('what is no OpenAPI document is refused with its path', async () => {
  await assert.rejects(readOpenApi('/nonexistent'), {
    code: 'OPENAPI_INVALID',
    message: /^\/nonexistent cannot be read \(ENOENT\)/,
  })
  await assert.rejects(readOpenApi(new URL(import.meta.url).pathname), {
    code: 'OPENAPI_INVALID',
    message: /is not JSON/,
  })
})
