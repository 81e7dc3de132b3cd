import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRepeatable, isRetriedError, isRetriedStatus, retryWaitMs } from './http-retry.ts'

const policy = { max: 3, firstWaitMs: 50, maxWaitMs: 2_000, random: () => 0.5 }

test('idempotent methods are repeated after a reset, others only where nothing was sent', () => {
  const reset = { code: 'ECONNRESET' }
  const refused = { code: 'ECONNREFUSED' }

  for (const method of ['GET', 'HEAD', 'put', 'DELETE', 'OPTIONS']) {
    assert.deepEqual([isRetriedError(method, reset), isRetriedError(method, refused)], [true, true])
    assert.equal(isRetriedStatus(method, 503), true)
  }
  for (const method of ['POST', 'PATCH']) {
    assert.deepEqual(
      [isRetriedError(method, reset), isRetriedError(method, refused)],
      [false, true],
    )
    assert.equal(isRetriedStatus(method, 503), false)
  }
})

test('neither errors of the server nor our own timeouts are repeated', () => {
  assert.equal(isRetriedStatus('GET', 500), false)
  assert.equal(isRetriedStatus('GET', 404), false)
  assert.equal(isRetriedError('GET', { code: 'UND_ERR_HEADERS_TIMEOUT' }), false)
  assert.equal(isRetriedError('GET', { code: 'UND_ERR_BODY_TIMEOUT' }), false)
  assert.equal(isRetriedError('GET', new Error('any')), false)
})

test('what is read only once is not repeated', () => {
  async function* generator() {
    yield 'x'
  }

  assert.deepEqual(
    [undefined, null, 'text', Buffer.from('x'), new Uint8Array(1)].map(isRepeatable),
    [true, true, true, true, true],
  )
  assert.equal(isRepeatable(generator()), false)
  assert.equal(isRepeatable(new ReadableStream()), false)
})

test('the wait doubles up to its bound', () => {
  assert.deepEqual(
    [1, 2, 3, 20].map((tries) => retryWaitMs(policy, tries, {})),
    [25, 50, 100, 1000],
  )
})

test('Retry-After is waited for, in seconds or as a date, unless it asks for too much', () => {
  const soon = new Date(Date.now() + 1_500).toUTCString()

  assert.equal(retryWaitMs(policy, 1, { 'retry-after': '1' }), 1025)
  assert.equal(retryWaitMs(policy, 1, { 'retry-after': '0' }), 25)
  assert.equal(retryWaitMs(policy, 1, { 'retry-after': '3' }), undefined)
  assert.equal(retryWaitMs(policy, 1, { 'retry-after': 'soon' }), 25)
  const wait = retryWaitMs(policy, 1, { 'retry-after': soon })
  assert.ok(wait !== undefined && wait >= 25 && wait <= 1_525, String(wait))
})
