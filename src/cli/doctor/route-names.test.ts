import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RouteNames } from './route-names.ts'

function get(path: string): { method: string; path: string } {
  return { method: 'GET', path }
}

function ask(
  query: string,
  operationName?: string,
): { method: string; path: string; body: string } {
  return { method: 'POST', path: '/graphql', body: JSON.stringify({ query, operationName }) }
}

test('what the server told explains other paths of the same pattern', () => {
  const names = new RouteNames()
  names.learn(get('/users/first'), '/users/:name')
  assert.equal(names.nameOf(get('/users/first')), '/users/:name')
  assert.equal(names.nameOf(get('/users/second?x=1')), '/users/:name')
  assert.equal(names.nameOf(get('/orders/7')), '/orders/:id')
})

test('operations of GraphQL on one path are routes of their own', () => {
  const names = new RouteNames()
  names.learn(ask('query A { a }', 'A'), '/graphql A')
  names.learn(ask('query B { b }'), '/graphql B')
  assert.equal(names.nameOf(ask('query A { a(id: 7) }', 'A')), '/graphql A')
  assert.equal(names.nameOf(ask('query B { b }')), '/graphql B')
})

test('an operation that was not asked yet is not taken for another', () => {
  const names = new RouteNames()
  names.learn(ask('query A { a }'), '/graphql A')
  assert.equal(names.nameOf(ask('mutation C { c }')), '/graphql C')
  assert.equal(names.nameOf(ask('{ nameless }')), '/graphql')
  assert.equal(names.nameOf(get('/graphql?query=query%20D%20%7Bd%7D')), '/graphql D')
})

test('bodies make no routes elsewhere, nor do those that are no JSON', () => {
  const names = new RouteNames()
  assert.equal(
    names.nameOf({ method: 'POST', path: '/orders', body: '{"operationName":"A"}' }),
    '/orders',
  )
  assert.equal(names.nameOf({ method: 'POST', path: '/graphql', body: '{' }), '/graphql')
})
