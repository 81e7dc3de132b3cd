import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Call } from './call.ts'
import { farewellOf, hasNotRun } from './lost-call.ts'
import type { PgError } from './pg.ts'
import type { PooledConnection } from './pooled-connection.ts'

test('what was never written did not run', () => {
  assert.equal(hasNotRun(call({ flush: 3 }), connection({ flushes: 3 })), true)
  assert.equal(hasNotRun(call({ flush: 2 }), connection({ flushes: 3 })), false)
})

test('behind the one to whom the server said goodbye nothing ran, and that one neither', () => {
  const head = call({})
  const gone = connection({ farewell: '57P01', farewellCall: head })

  assert.equal(hasNotRun(call({}), gone), true)
  assert.equal(hasNotRun(head, gone), true)
})

test('one whose CommandComplete had come was committing, and may have run', () => {
  const head = call({ isComplete: true })

  assert.equal(hasNotRun(head, connection({ farewell: '57P01', farewellCall: head })), false)
})

test('a pooler’s goodbye tells nothing of what the server has done', () => {
  const head = call({})
  for (const [code, message] of [
    ['08P01', 'server conn crashed?'],
    ['57P03', 'pooler is shutting down'],
  ] as const) {
    const gone = connection({ farewell: farewellOf(error(code, message)), farewellCall: head })

    assert.equal(hasNotRun(head, gone), false, message)
    assert.equal(hasNotRun(call({}), gone), false, message)
  }
})

test('what a pooler had no server for did not run', () => {
  const head = call({})
  for (const message of ['query_wait_timeout', 'server login has been failing, try again later']) {
    const gone = connection({ farewell: farewellOf(error('08P01', message)), farewellCall: head })

    assert.equal(hasNotRun(head, gone), true, message)
    assert.equal(hasNotRun(call({}), gone), true, message)
  }
})

function call(fields: Partial<Call>): Call {
  return { flush: 0, isComplete: false, ...fields } as Call
}

function connection(fields: Partial<PooledConnection>): PooledConnection {
  return { flushes: 9, farewell: undefined, farewellCall: undefined, ...fields } as PooledConnection
}

function error(code: string, message: string): PgError {
  return Object.assign(new Error(message), { code, severity: 'FATAL' })
}
