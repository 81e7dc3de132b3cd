/** What `pooledDriver` gives to ORMs: clients that have a connection only while they need one. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import {
  type DriverPool,
  Pool,
  type PooledDriver,
  pooledDriver,
  type SharedClient,
} from 'hasten/pool'
import pg from 'pg'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { testPostgres } from '../service.ts'
import { called, endAfter } from './pool-kinds.ts'
import { until } from './until.ts'

const postgres = await testPostgres()
const { skip } = postgres

test('it looks like pg', { skip }, (t) => {
  const { driver } = open(t)

  assert.equal(driver.types, pg.types)
  assert.equal(driver.DatabaseError, pg.DatabaseError)
  assert.equal(driver.escapeLiteral("it's"), "'it''s'")
  assert.equal(driver.native, null)
})

test('a hundred clients ask through two connections', { skip }, async (t) => {
  const { driver, pool } = open(t, { max: 2 })
  const clients = await Promise.all(
    Array.from({ length: 100 }, async () => new driver.Client({ host: 'nowhere' }).connect()),
  )

  const rows = await Promise.all(
    clients.map(async (client, n) => {
      const asked = (await client.query('SELECT $1::int AS n', [n])) as pg.QueryResult
      return asked.rows[0].n
    }),
  )
  await Promise.all(clients.map((client) => client.end()))

  assert.deepEqual(
    rows,
    clients.map((_, n) => n),
  )
  assert.ok(pool.totalCount <= 2)
})

test('connecting tells what the server says of itself', { skip }, async (t) => {
  const { driver } = open(t)
  const client = new driver.Client()
  const told: Record<string, string> = {}
  client.connection.on('parameterStatus', ({ parameterName, parameterValue }) => {
    told[parameterName] = parameterValue
  })

  const [error] = await called<[Error | undefined]>((cb) => {
    client.connect(cb)
  })
  await client.end()

  assert.equal(error, undefined)
  assert.equal(told['standard_conforming_strings'], 'on')
  assert.match(told['server_version'] ?? '', /^\d/)
})

test('connecting fails where the pool cannot connect', { skip }, async (t) => {
  const url = new URL(postgres.url)
  url.password = 'wrong'
  const { driver } = open(t, { connectionString: url.href })

  await assert.rejects(new driver.Client().connect(), { code: '28P01' })
})

test('a transaction has a connection from BEGIN to its end, and no longer', { skip }, async (t) => {
  const { pool, client } = await lent(t)
  await pool.query('CREATE TABLE moved (n int)')

  await client.query('BEGIN')
  const during = pool.stats().lent
  await client.query('INSERT INTO moved VALUES (1)')
  assert.equal(client.getTransactionStatus(), 'T')
  const seen = (await pool.query('SELECT * FROM moved')).rowCount
  await client.query('COMMIT')
  await until('it is given back', () => pool.stats().lent === 0)

  assert.deepEqual([during, seen], [1, 0])
  assert.equal(client.getTransactionStatus(), 'I')
  assert.deepEqual((await pool.query('SELECT * FROM moved')).rows, [{ n: 1 }])
  client.release()
})

test('a transaction that failed keeps its connection until it is rolled back', {
  skip,
}, async (t) => {
  const { pool, client } = await lent(t)

  await client.query('BEGIN')
  await assert.rejects(client.query('SELECT 1/0') as Promise<unknown>, { code: '22012' })
  await assert.rejects(client.query('SELECT 1') as Promise<unknown>, { code: '25P02' })
  assert.equal(pool.stats().lent, 1)
  await client.query('ROLLBACK')
  await until('it is given back', () => pool.stats().lent === 0)

  assert.equal(((await client.query('SELECT 1')) as pg.QueryResult).rowCount, 1)
  client.release()
})

test('a transaction that is left open is rolled back on release', { skip }, async (t) => {
  const { pool, client } = await lent(t)
  await pool.query('CREATE TABLE left_open (n int)')

  await client.query('BEGIN')
  await client.query('INSERT INTO left_open VALUES (1)')
  client.release()
  await until('it is given back', () => pool.idleCount === pool.totalCount)

  assert.equal((await pool.query('SELECT * FROM left_open')).rowCount, 0)
})

test('a session that is touched stays with its client, and ends with it', { skip }, async (t) => {
  const { pool, client } = await lent(t)

  await client.query("SET application_name = 'its own'")
  await client.query('CREATE TEMP TABLE its_own (n int)')
  await Promise.all(Array.from({ length: 10 }, () => pool.query('SELECT 1')))
  const inside = (await client.query(
    "SELECT current_setting('application_name') AS name, count(*)::int AS n FROM its_own",
  )) as pg.QueryResult
  client.release()

  const outside = await Promise.all(
    Array.from({ length: 8 }, () =>
      pool.query(
        "SELECT current_setting('application_name') = 'its own' AS own, to_regclass('pg_temp.its_own') AS t",
      ),
    ),
  )
  assert.deepEqual(inside.rows, [{ name: 'its own', n: 0 }])
  for (const { rows } of outside) assert.deepEqual(rows, [{ own: false, t: null }])
})

test('what is not awaited runs in its order', { skip }, async (t) => {
  const { pool, client } = await lent(t)
  await pool.query('CREATE TABLE in_order (n serial, what text)')
  const asked: unknown[] = []

  for (const text of [
    "INSERT INTO in_order (what) VALUES ('before')",
    'BEGIN',
    "INSERT INTO in_order (what) VALUES ('taken back')",
    'ROLLBACK',
    "INSERT INTO in_order (what) VALUES ('after')",
    "INSERT INTO in_order (what) VALUES ('last')",
  ]) {
    asked.push(client.query(text))
  }
  await Promise.all(asked)
  client.release()

  const { rows } = await pool.query('SELECT what FROM in_order ORDER BY n')
  assert.deepEqual(
    rows.map(({ what }) => what),
    ['before', 'after', 'last'],
  )
})

test('cursors and streams have a connection for as long as they are open', { skip }, async (t) => {
  const { pool, client } = await lent(t)
  const text = 'SELECT generate_series(1, 50) AS n'
  const got: number[] = []

  const cursor = client.query(new Cursor(text)) as Cursor<{ n: number }>
  const first = await cursor.read(2)
  const during = pool.stats().lent
  await cursor.close()
  const stream = client.query(new QueryStream(text, [], { batchSize: 7 })) as QueryStream
  for await (const { n } of stream) got.push(n)
  const after = (await client.query('SELECT 1 AS n')) as pg.QueryResult
  await until('it is given back', () => pool.stats().lent === 0)
  client.release()

  assert.deepEqual(first, [{ n: 1 }, { n: 2 }])
  assert.equal(during, 1)
  assert.equal(got.length, 50)
  assert.deepEqual(after.rows, [{ n: 1 }])
})

test('notifications reach the client that listens', { skip }, async (t) => {
  const { pool, client } = await lent(t)

  await client.query('LISTEN orm_news')
  const heard = once(client, 'notification')
  await pool.query("NOTIFY orm_news, 'hello'")

  const [{ payload }] = (await heard) as [pg.Notification]
  assert.equal(payload, 'hello')
  client.release()
})

test('types of the library are used, in a transaction and outside', { skip }, async (t) => {
  const { driver } = open(t)
  const types = { getTypeParser: () => (value: string) => `<${value}>` }
  const client = await new driver.Client({ types }).connect()

  const alone = (await client.query('SELECT $1::int AS n', [1])) as pg.QueryResult
  await client.query('BEGIN')
  const inside = (await client.query('SELECT $1::int AS n', [1])) as pg.QueryResult
  await client.query('COMMIT')
  client.setTypeParser(pg.types.builtins.INT4, (value: string) => Number(value) + 1)
  const own = (await client.query('SELECT 1 AS n')) as pg.QueryResult
  await client.end()

  assert.deepEqual(
    [alone.rows, inside.rows, own.rows],
    [[{ n: '<1>' }], [{ n: '<1>' }], [{ n: 2 }]],
  )
})

test('a connection that dies in a transaction takes its client with it', { skip }, async (t) => {
  const { pool, client } = await lent(t)
  await pool.query('CREATE TABLE not_alone (n int)')
  const errors: Error[] = []
  client.on('error', (error) => errors.push(error))
  await client.query('BEGIN')
  const outcome = Promise.allSettled([
    client.query('SELECT pg_sleep(60)') as Promise<unknown>,
    client.query('INSERT INTO not_alone VALUES (1)') as Promise<unknown>,
    client.query('COMMIT') as Promise<unknown>,
  ])

  await terminate(pool, client)
  const [head, ...behind] = await outcome
  const later = client.query('INSERT INTO not_alone VALUES (2)') as Promise<unknown>

  assert.equal((head as PromiseRejectedResult).reason.code, '57P01')
  for (const each of behind) {
    assert.match(String((each as PromiseRejectedResult).reason), /not queryable/)
  }
  await assert.rejects(later, /not queryable/)
  assert.equal(errors.length, 1)
  client.release()
  assert.deepEqual((await pool.query('SELECT * FROM not_alone')).rows, [])
})

test('a connection that dies under a cursor fails the cursor alone', { skip }, async (t) => {
  const { pool, client } = await lent(t)
  client.on('error', () => {})

  const cursor = client.query(new Cursor('SELECT generate_series(1, 50) AS n')) as Cursor
  await cursor.read(1)
  await pool.query('SELECT pg_terminate_backend($1)', [client.processID])
  await assert.rejects(cursor.read(1))

  assert.equal(((await client.query('SELECT 1')) as pg.QueryResult).rowCount, 1)
  client.release()
})

test('released twice, a client throws; after it, and after the end, nothing is asked', {
  skip,
}, async (t) => {
  const { driver, client } = await lent(t)
  client.release()
  assert.throws(() => {
    client.release()
  }, /already been released/)
  await assert.rejects(client.query('SELECT 1') as Promise<unknown>, /not queryable/)

  const other = await new driver.Client().connect()
  const last = other.query('SELECT 1 AS n') as Promise<pg.QueryResult>
  await other.end()
  await assert.rejects(other.query('SELECT 1') as Promise<unknown>, /not queryable/)

  assert.deepEqual((await last).rows, [{ n: 1 }])
})

test('a pool of the library’s ends alone', { skip }, async (t) => {
  const { driver, pool } = open(t)
  const theirs: DriverPool = new driver.Pool({ host: 'nowhere' })

  assert.equal((await theirs.query('SELECT 1')).rowCount, 1)
  const [error, client, release] = await called<[Error | undefined, unknown, () => void]>((cb) => {
    theirs.connect(cb as never)
  })
  assert.equal(error, undefined)
  assert.ok(client !== undefined)
  release()
  await theirs.end()

  await assert.rejects(theirs.connect(), /after calling end on the pool/)
  assert.equal((await pool.query('SELECT 1')).rowCount, 1)
})

/** Once the session runs what it was asked. */
async function terminate(pool: Pool, client: SharedClient): Promise<void> {
  await until('its session is ended', async () => {
    const { rowCount } = await pool.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'active' AND pid = $1",
      [client.processID],
    )
    return rowCount === 1
  })
}

function open(t: TestContext, config: pg.PoolConfig = {}): { pool: Pool; driver: PooledDriver } {
  const pool = new Pool({ connectionString: postgres.url, max: 4, ...config })
  endAfter(t, pool as pg.Pool)
  return { pool, driver: pooledDriver(pool) }
}

async function lent(t: TestContext): Promise<ReturnType<typeof open> & { client: SharedClient }> {
  const { pool, driver } = open(t)
  return { pool, driver, client: await new driver.Pool().connect() }
}
