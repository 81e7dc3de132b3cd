import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HastenError } from '../core/errors.ts'
import { isRefusal, isTransient } from './transient.ts'
import { WrongServer } from './wrong-server.ts'

const transient: readonly Error[] = [
  coded('ECONNREFUSED', 'connect ECONNREFUSED'),
  coded('ECONNREFUSED', '', new AggregateError([])),
  new AggregateError([coded('ETIMEDOUT', '')]),
  coded('EAI_AGAIN', 'getaddrinfo EAI_AGAIN db'),
  fromServer('53300', 'sorry, too many clients already'),
  fromServer('57P03', 'the database system is starting up'),
  fromServer('57P01', 'terminating connection due to administrator command'),
  fromServer('08P01', 'query_wait_timeout'),
  fromServer('08P01', 'no more connections allowed (max_client_conn)'),
  new Error('timeout expired'),
  new Error('Connection terminated unexpectedly'),
  new Error('Connection terminated due to connection timeout'),
  new WrongServer('is read-only'),
  noHost(coded('ECONNREFUSED', ''), new WrongServer('is a standby')),
]

const permanent: readonly unknown[] = [
  fromServer('28P01', 'password authentication failed for user "u"'),
  fromServer('28000', 'no pg_hba.conf entry'),
  fromServer('3D000', 'database "x" does not exist'),
  fromServer('08P01', 'unsupported startup parameter: options'),
  coded('ENOTFOUND', 'getaddrinfo ENOTFOUND db'),
  coded('CERT_HAS_EXPIRED', 'certificate has expired'),
  new Error('The server does not support SSL connections'),
  new TypeError('Password must be a string'),
  new HastenError('POOL_ENDED', 'Cannot use a pool after calling end on the pool'),
  noHost(coded('ECONNREFUSED', ''), fromServer('28P01', 'no')),
  noHost(coded('ENOTFOUND', '')),
  undefined,
  'text',
]

for (const error of transient) {
  test(`may pass by itself: ${nameOf(error)}`, () => {
    assert.equal(isTransient(error), true)
    assert.equal(isRefusal(error), false)
  })
}

for (const error of permanent) {
  test(`does not pass by itself: ${nameOf(error)}`, () => {
    assert.equal(isTransient(error), false)
  })
}

function coded(code: string, message: string, error: Error = new Error(message)): Error {
  return Object.assign(error, { code })
}

function fromServer(code: string, message: string): Error {
  return Object.assign(new Error(message), { code, severity: 'FATAL' })
}

function noHost(...errors: readonly Error[]): Error {
  return Object.assign(new HastenError('POOL_NO_HOST', 'no server'), { errors })
}

function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code } = error as { code?: unknown }
  return `${error.name} ${typeof code === 'string' ? code : ''} ${error.message}`
}
