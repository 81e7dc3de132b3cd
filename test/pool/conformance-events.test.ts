/** What a `pg.Pool` tells those who listen. */
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { type TestContext, test } from 'node:test'
import type pg from 'pg'
import { testPostgres } from '../service.ts'
import { eachPool, emitted, isSame, type PoolKind } from './pool-kinds.ts'
import { until } from './until.ts'

const postgres = await testPostgres()

eachPool(postgres, (kind) => {
  test('a pool is an emitter', (t) => {
    const pool = kind.open(t)
    const listener = () => {}

    pool.on('connect', listener)
    assert.ok(pool instanceof EventEmitter)
    assert.ok(pool.listeners('connect').includes(listener))
    pool.off('connect', listener)

    assert.ok(!pool.listeners('connect').includes(listener))
  })

  test('the life of a client', async (t) => {
    const { pool, events } = observed(t, kind)

    const client = await pool.connect()
    events.push('lent')
    client.release()
    const again = await pool.connect()
    const removed = emitted(pool, 'remove')
    again.release(true)
    await removed

    assert.deepEqual(events, [
      'connect',
      'acquire',
      'lent',
      'release undefined',
      'acquire',
      'release true',
      'remove',
    ])
  })

  test('the error that a client was released with', async (t) => {
    const { pool, events } = observed(t, kind)

    const client = await pool.connect()
    const removed = emitted(pool, 'remove')
    client.release(new Error('bad'))
    await removed

    assert.deepEqual(events, ['connect', 'acquire', 'release Error: bad', 'remove'])
  })

  test('a query of the pool acquires and releases too', async (t) => {
    const { pool, events } = observed(t, kind)

    await pool.query('SELECT 1')
    await pool.query('SELECT 2')
    // Without an error it is null here, undefined where a borrower releases.
    await until(
      'two releases',
      () => count(events, 'release null') + count(events, 'release undefined') === 2,
      { seen: () => events },
    )

    assert.equal(count(events, 'acquire'), 2)
  })

  test('each event carries the client that it is about', async (t) => {
    const pool = kind.open(t)
    const clients: unknown[] = []
    pool.on('connect', (client) => clients.push(client))
    pool.on('acquire', (client) => clients.push(client))
    pool.on('release', (_error, client) => clients.push(client))

    const client = await pool.connect()
    client.release()
    const [removed] = await Promise.all([emitted(pool, 'remove'), pool.end()])

    assert.deepEqual(
      [...clients, ...removed].map((each) => isSame(each, client)),
      [true, true, true, true],
    )
  })

  test('`connect` comes before anybody uses the client', async (t) => {
    const pool = kind.open(t)
    const seen: unknown[] = []
    pool.on('connect', (client) => {
      client.query("SET application_name = 'by the listener'").catch(() => {})
    })

    const client = await pool.connect()
    const { rows } = await client.query("SELECT current_setting('application_name') AS name")
    client.release()
    seen.push(rows[0].name)

    assert.deepEqual(seen, ['by the listener'])
  })

  test('no `connect` where none came about', async (t) => {
    const url = new URL(postgres.url)
    url.password = 'wrong'
    const { pool, events } = observed(t, kind, { connectionString: url.href })

    await assert.rejects(pool.connect())

    assert.deepEqual(events, [])
  })

  test('an idle client that errs is an error of the pool', async (t) => {
    const pool = kind.open(t)
    const client = await pool.connect()
    client.release()

    const told = emitted(pool, 'error')
    client.emit('error', new Error('from below'))
    const [error, of] = await told

    assert.equal((error as Error).message, 'from below')
    assert.ok(isSame(of, client))
    assert.deepEqual([pool.totalCount, pool.idleCount], [0, 0])
  })

  test('a lent client that errs is its borrower’s', async (t) => {
    const { pool, events } = observed(t, kind)
    const client = await pool.connect()
    const errors: Error[] = []
    client.on('error', (error) => errors.push(error))

    client.connection.stream.destroy(new Error('from below'))
    await until('it has erred', () => errors.length > 0)

    assert.equal(errors[0]?.message, 'from below')
    assert.ok(!events.includes('error'))
    client.release()
    assert.deepEqual([pool.totalCount, pool.idleCount], [0, 0])
    assert.equal((await pool.query('SELECT 1')).rowCount, 1)
  })

  test('a lent client that dies ends nothing else', { skip: kind.mended(4) }, async (t) => {
    const pool = kind.open(t, { max: 1 })
    const client = await pool.connect()
    pool.on('error', () => {})

    client.connection.stream.destroy(new Error('cut'))
    await assert.rejects(client.query('SELECT 1'))
    client.release()

    assert.equal((await pool.query('SELECT 1')).rowCount, 1)
  })
})

/** A pool and the names of its events as they come. */
function observed(
  t: TestContext,
  kind: PoolKind,
  config?: pg.PoolConfig,
): { pool: pg.Pool; events: string[] } {
  const pool = kind.open(t, config)
  const events: string[] = []
  for (const name of ['connect', 'acquire', 'remove', 'error'] as const) {
    ;(pool as EventEmitter).on(name, () => events.push(name))
  }
  pool.on('release', (error: unknown) => events.push(`release ${String(error)}`))
  return { pool, events }
}

function count(events: readonly string[], name: string): number {
  return events.filter((event) => event === name).length
}
