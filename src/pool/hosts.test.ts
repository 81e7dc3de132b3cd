import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostsOf } from './hosts.ts'

const none = {}

test('one host is handed on as it is, the very object', () => {
  for (const config of [
    {},
    { host: 'db', port: 5433, password: 'p' },
    { connectionString: 'postgres://u:p@db:5433/shop?sslmode=disable' },
    { connectionString: '/var/run/postgresql shop' },
    { connectionString: 'socket:/tmp/socket?db=shop' },
    { connectionString: 'postgres://u:p,w@db/shop' },
    { connectionString: 'no url at all' },
  ]) {
    const { list, target, isShuffled } = hostsOf(config, none)

    assert.equal(list.length, 1)
    assert.equal(list[0]?.config, config)
    assert.deepEqual([target, isShuffled], ['any', false])
  }
})

test('each host of a connection string gets one of its own', () => {
  const connectionString =
    'postgresql://u:p%2Cw@h1:5432,h2,[::1]:5434/shop?application_name=a%20b&target_session_attrs=read-write&load_balance_hosts=random&connect_timeout=3'
  const config = Object.freeze({ connectionString, max: 4 })

  const { list, target, isShuffled, timeoutMs } = hostsOf(config, none)

  const rest =
    '/shop?application_name=a+b&target_session_attrs=read-write&load_balance_hosts=random&connect_timeout=3'
  assert.deepEqual(
    list.map(({ name, config: one }) => [name, { ...one }]),
    [
      ['h1:5432', { connectionString: `postgresql://u:p%2Cw@h1:5432${rest}`, max: 4 }],
      ['h2:5432', { connectionString: `postgresql://u:p%2Cw@h2:5432${rest}`, max: 4 }],
      ['[::1]:5434', { connectionString: `postgresql://u:p%2Cw@[::1]:5434${rest}`, max: 4 }],
    ],
  )
  assert.deepEqual([target, isShuffled, timeoutMs], ['read-write', true, 3000])
})

test('hosts in the query beat those before it, sockets among them', () => {
  const connectionString = 'postgres://u:p@h0:1/shop?host=h1,/run/pg&port=5432,5433'

  const { list } = hostsOf({ connectionString }, none)

  assert.deepEqual(
    list.map(({ name, config }) => [name, { ...config }]),
    [
      ['h1:5432', { connectionString: 'postgres://u:p@h1:5432/shop' }],
      ['/run/pg/.s.PGSQL.5433', { connectionString: 'postgres://u:p@%2Frun%2Fpg:5433/shop' }],
    ],
  )
})

test('hosts by option: one port for all, or as many as there are hosts', () => {
  const one = hostsOf({ host: 'h1, h2', port: 5433 }, none).list
  const two = hostsOf({ host: 'h1,h2', port: '5432,5433' }, none).list

  assert.deepEqual(
    one.map(({ config }) => ({ ...config })),
    [
      { host: 'h1', port: 5433 },
      { host: 'h2', port: 5433 },
    ],
  )
  assert.deepEqual(
    two.map(({ config }) => ({ ...config })),
    [
      { host: 'h1', port: 5432 },
      { host: 'h2', port: 5433 },
    ],
  )
})

test('a password hidden from enumeration is not lost, nor is a function called', () => {
  const password = () => assert.fail('called')
  const config = Object.defineProperty({ host: 'h1,h2' }, 'password', {
    value: password,
    enumerable: false,
  })

  for (const { config: one } of hostsOf(config, none).list) {
    assert.equal((one as { password?: unknown }).password, password)
    assert.equal(Object.keys(one).includes('password'), false)
  }
})

test('the environment counts where nothing else is said', () => {
  const env = { PGHOST: 'h1,h2', PGPORT: '5433', PGTARGETSESSIONATTRS: 'primary' }

  const told = hostsOf({}, env)
  const overridden = hostsOf({ host: 'h3', targetSessionAttrs: 'any' }, env)

  assert.deepEqual(
    told.list.map(({ name }) => name),
    ['h1:5433', 'h2:5433'],
  )
  assert.equal(told.target, 'primary')
  assert.deepEqual(
    overridden.list.map(({ name }) => name),
    ['h3:5433'],
  )
  assert.equal(overridden.target, 'any')
  assert.deepEqual(
    hostsOf({ connectionString: 'postgres:///shop' }, env).list.map(({ name }) => name),
    ['h1:5433', 'h2:5433'],
  )
})

for (const [why, config] of Object.entries({
  'two ports for three hosts': { host: 'a,b,c', port: '1,2' },
  'a port that is none': { connectionString: 'postgres://u:secret@h1:5432,h2:x/db' },
  'a stray slash in a list': { connectionString: 'postgres://u:secret,1/x@h1,h2/db' },
  'an unknown target': { connectionString: 'postgres://h1,h2/db?target_session_attrs=master' },
  'an unknown balance': { host: 'a,b', loadBalanceHosts: 'round' },
  'two targets': {
    connectionString: 'postgres://h1,h2/db?target_session_attrs=any',
    targetSessionAttrs: 'primary',
  },
})) {
  test(`refuses ${why}, and quotes no password`, () => {
    assert.throws(
      () => hostsOf(config, none),
      (error: Error & { code: string }) => {
        assert.equal(error.code, 'OPTION_INVALID')
        assert.doesNotMatch(error.message, /secret/)
        return true
      },
    )
  })
}
