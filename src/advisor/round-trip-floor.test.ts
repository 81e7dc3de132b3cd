import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RequestFacts, SpanFacts } from '../core/facts.ts'
import { roundTripFloor } from './round-trip-floor.ts'

const [user, orderA, orderB, product, limit] = [1, 2, 3, 4, 5]

test('a page of orders, items and products needs three round trips, not seven', () => {
  const request = deep(
    [user],
    query([user], [user]),
    query([user, limit], [orderA, orderB]),
    query([orderA], [product]),
    query([product], []),
    query([orderB], [product]),
    query([product], []),
  )
  assert.equal(roundTripFloor(request), 3)
})

test('a value known from the request stays free when a result repeats it', () => {
  assert.equal(roundTripFloor(deep([user], query([user], [user]), query([user], [9]))), 1)
})

test('what an outbound call brought is known after what the call needed', () => {
  const call: SpanFacts = { ...query([orderA], [product]), kind: 'http', name: 'GET rates' }
  const request = deep([user], query([user], [orderA]), call, query([product], []))
  assert.equal(roundTripFloor(request), 2)
})

test('transaction statements travel along', () => {
  const begin = { ...query([], []), name: 'BEGIN' }
  assert.equal(roundTripFloor(deep([], begin, query([], []), { ...begin, name: 'COMMIT' })), 1)
})

test('nothing asked, nothing needed; nothing hashed, nothing said', () => {
  assert.equal(roundTripFloor(deep([])), 0)
  assert.equal(roundTripFloor({ ...deep([]), deep: false }), undefined)
})

function query(inputs: number[], outputs: number[]): SpanFacts {
  return { kind: 'query', name: 'SELECT t', startMs: 0, durationMs: 1, inputs, outputs }
}

function deep(inputs: number[], ...spans: SpanFacts[]): RequestFacts {
  return {
    ...{ id: 1, pid: 1, method: 'GET', route: '/', status: 200, aborted: false, startedAt: 0 },
    ...{ durationMs: 10, concurrency: 1, deep: true, droppedSpans: 0 },
    inputs,
    spans: spans.map((span, index) => ({ ...span, startMs: index })),
  }
}
