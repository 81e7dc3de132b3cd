/**
 * What `pg.Pool` itself gets wrong (the numbers are those of pool-kinds.ts), on a real server: here
 * it does not happen.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Pool } from 'hasten/pool'
import pg from 'pg'
import { startPostgres } from '#services/postgres.js'
import { service, testPostgres } from '../service.ts'
import { endAfter } from './pool-kinds.ts'
import { until } from './until.ts'

const postgres = await testPostgres()
const { skip } = postgres
const small = await service(() =>
  startPostgres({
    settings: {
      max_connections: '8',
      superuser_reserved_connections: '0',
      max_wal_senders: '0',
      autovacuum_worker_slots: '1',
    },
  }),
)
// Compiled tests lie in build/test/pool; fixtures run where they were written.
const dyingApp = fileURLToPath(
  new URL('../../../test/pool/fixtures/dying.app.mjs', import.meta.url),
)

/** Fault 1. */
test('a client that is released twice stays with its next user', { skip }, async (t) => {
  const pool = open(t, { max: 1 })
  await pool.query('CREATE TABLE alone (who text)')
  const first = await pool.connect()
  const second = pool.connect()
  let hasThird = false
  const third = pool.connect().then((client) => {
    hasThird = true
    return client
  })
  const strangers = Array.from({ length: 15 }, () =>
    pool.query('SELECT count(*)::int AS n, pg_current_xact_id_if_assigned() AS xact FROM alone'),
  )

  first.release()
  const client = await second
  await client.query('BEGIN')
  await client.query("INSERT INTO alone VALUES ('second')")
  assert.throws(() => {
    first.release()
  }, /already been released/)
  await client.query("INSERT INTO alone VALUES ('second')")
  assert.equal(hasThird, false)
  await client.query('ROLLBACK')
  client.release()
  ;(await third).release()

  for (const { rows } of await Promise.all(strangers)) {
    assert.deepEqual(rows, [{ n: 0, xact: null }])
  }
})

/** Fault 1, the other way: what is done with a client after its release reaches nobody. */
test('a statement after the release does not run in the transaction of the next', {
  skip,
}, async (t) => {
  const pool = open(t, { max: 1 })
  await pool.query('CREATE TABLE after_release (who text)')
  const first = await pool.connect()
  first.release()
  const second = await pool.connect()
  await second.query('BEGIN')

  const late = await settled(() => first.query("INSERT INTO after_release VALUES ('first')"))
  await second.query('ROLLBACK')
  second.release()

  assert.equal(late.status, 'rejected')
  assert.deepEqual((await pool.query('SELECT * FROM after_release')).rows, [])
})

/** Fault 2. */
test('who waits when the pool ends hears of it', { skip }, async (t) => {
  const pool = open(t, { max: 1 })
  const client = await pool.connect()
  const waiting = Array.from({ length: 10 }, (_, n) =>
    n % 2 === 0 ? pool.query('SELECT 1') : pool.connect().then((lent) => lent.release()),
  )

  const end = pool.end()
  const isEnding = await settled(() => pool.connect())
  client.release()
  await Promise.allSettled(waiting)
  await end

  assert.equal(isEnding.status, 'rejected')
  assert.equal(pool.totalCount, 0)
})

/** Fault 3. */
test('two hundred unique violations need no new connection', { skip }, async (t) => {
  const pool = open(t, { max: 4 })
  await pool.query('CREATE TABLE unique_ones (n int PRIMARY KEY)')
  await pool.query('INSERT INTO unique_ones VALUES (1)')
  let connects = 0
  pool.on('connect', () => {
    connects++
  })

  const outcomes = await Promise.allSettled(
    Array.from({ length: 200 }, () => pool.query('INSERT INTO unique_ones VALUES ($1)', [1])),
  )

  for (const outcome of outcomes) {
    assert.equal((outcome as PromiseRejectedResult).reason.code, '23505')
  }
  assert.ok(connects <= 4, `${connects} connections`)
})

/** Fault 4. */
test('a client that dies between two statements does not end the process', { skip }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [dyingApp], {
    env: { ...process.env, DATABASE_URL: postgres.url },
  })

  assert.deepEqual(JSON.parse(stdout), { afterwards: 'rejected', next: 1 })
})

/** Fault 5. */
const leftBehind: readonly (readonly [what: string, doing: string | string[], clean: string])[] = [
  ['an open transaction', 'BEGIN', 'SELECT pg_current_xact_id_if_assigned() IS NULL AS clean'],
  [
    'a transaction that wrote',
    ['BEGIN', 'CREATE TABLE never_there (n int)'],
    "SELECT to_regclass('never_there') IS NULL AS clean",
  ],
  ['a transaction that failed', ['BEGIN', 'SELECT 1/0'], 'SELECT true AS clean'],
  [
    'a setting',
    "SET search_path = 'nowhere'",
    "SELECT current_setting('search_path') <> 'nowhere' AS clean",
  ],
  [
    'a setting by function',
    "SELECT set_config('statement_timeout', '1s', false)",
    "SELECT current_setting('statement_timeout') = '0' AS clean",
  ],
  [
    'a setting of its own kind',
    "SET my.tenant = '7'",
    "SELECT coalesce(current_setting('my.tenant', true), '') = '' AS clean",
  ],
  ['a role', 'SET ROLE pg_monitor', 'SELECT current_user = session_user AS clean'],
  [
    'an identity',
    'SET SESSION AUTHORIZATION pg_monitor',
    "SELECT session_user <> 'pg_monitor' AS clean",
  ],
  [
    'characteristics',
    'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY',
    "SELECT current_setting('transaction_read_only') = 'off' AS clean",
  ],
  [
    'a temporary table',
    'CREATE TEMP TABLE mine (n int)',
    "SELECT to_regclass('pg_temp.mine') IS NULL AS clean",
  ],
  [
    'a table made temporary by AS',
    'SELECT 1 AS n INTO TEMP mine_too',
    "SELECT to_regclass('pg_temp.mine_too') IS NULL AS clean",
  ],
  ['a subscription', 'LISTEN gossip', 'SELECT count(*) = 0 AS clean FROM pg_listening_channels()'],
  [
    'an advisory lock',
    'SELECT pg_advisory_lock(77)',
    "SELECT count(*) = 0 AS clean FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
  ],
  [
    'a prepared statement',
    'PREPARE mine AS SELECT 1',
    "SELECT count(*) = 0 AS clean FROM pg_prepared_statements WHERE name = 'mine'",
  ],
  [
    'a cursor',
    ['BEGIN', 'DECLARE mine CURSOR WITH HOLD FOR SELECT 1', 'COMMIT'],
    "SELECT count(*) = 0 AS clean FROM pg_cursors WHERE name = 'mine'",
  ],
  [
    'all at once',
    ["SET my.a = '1'; BEGIN; SET LOCAL my.b = '2'; CREATE TEMP TABLE much (n int)"],
    "SELECT to_regclass('pg_temp.much') IS NULL AND coalesce(current_setting('my.a', true), '') = '' AS clean",
  ],
]

for (const [what, doing, clean] of leftBehind) {
  for (const by of ['a borrower', 'a query of the pool']) {
    test(`${what} left by ${by} reaches nobody`, { skip }, async (t) => {
      const pool = open(t, { max: 1 })
      const texts = typeof doing === 'string' ? [doing] : doing
      if (by === 'a borrower') {
        const client = await pool.connect()
        for (const text of texts) await settled(() => client.query(text))
        client.release()
      } else await settled(() => pool.query(texts.join('; ')))

      const byPool = await pool.query(clean)
      const client = await pool.connect()
      const byBorrower = await client.query(clean)
      const status = client.getTransactionStatus()
      client.release()

      assert.deepEqual(
        [byPool.rows, byBorrower.rows, status],
        [[{ clean: true }], [{ clean: true }], 'I'],
      )
    })
  }
}

/** Fault 5, what it costs most. */
test('a write that is reported as done stays, whoever left a transaction open', {
  skip,
}, async (t) => {
  const pool = open(t, { max: 2 })
  await pool.query('CREATE TABLE kept (n int)')
  const insert = 'INSERT INTO kept VALUES ($1)'
  const done: number[] = []

  await Promise.all(
    Array.from({ length: 300 }, async (_, n) => {
      if (n % 10 === 0) await settled(() => pool.query('BEGIN'))
      else if (n % 10 === 5) {
        const client = await pool.connect()
        await client.query('BEGIN')
        await client.query(insert, [-n])
        client.release()
      } else {
        await pool.query(insert, [n])
        done.push(n)
      }
    }),
  )

  const { rows } = await pool.query('SELECT n FROM kept ORDER BY n')
  assert.deepEqual(
    rows.map(({ n }) => n),
    done.sort((a, b) => a - b),
  )
})

/** Fault 6. */
for (const limit of [{ query_timeout: 100 }, { timeoutMs: 100 }]) {
  test(`what is given up (${Object.keys(limit)[0]}) does not happen after all`, {
    skip,
  }, async (t) => {
    const pool = open(t, { max: 2 })
    const table = `given_up_by_${Object.keys(limit)[0]?.toLowerCase()}`
    await pool.query(`CREATE TABLE ${table} (n int)`)
    const text = `INSERT INTO ${table} SELECT 1 FROM pg_sleep(1.5)`

    await assert.rejects(pool.query({ text, ...limit } as pg.QueryConfig), /time/)
    await until('the server has stopped', async () => {
      const { rows } = await pool.query(
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE state = 'active' AND query = $1",
        [text],
      )
      return rows[0].n === 0
    })

    assert.deepEqual((await pool.query(`SELECT * FROM ${table}`)).rows, [])
  })
}

/** Fault 7. */
test('a server that takes no more connections fails nobody who can wait', {
  skip: small.skip,
}, async (t) => {
  const connectionString = small.it.url()
  const others = await Promise.all(
    Array.from({ length: 5 }, async () => {
      const client = new pg.Client({ connectionString })
      await client.connect()
      t.after(() => client.end())
      return client
    }),
  )
  assert.equal(others.length, 5)
  const pool = open(t, { connectionString, max: 10, connectionTimeoutMillis: 20_000 })

  const results = await Promise.all(
    Array.from({ length: 40 }, async (_, n) => {
      if (n % 2 === 0) return (await pool.query('SELECT $1::int AS n', [n])).rows[0].n
      const client = await pool.connect()
      try {
        return (await client.query('SELECT $1::int AS n', [n])).rows[0].n
      } finally {
        client.release()
      }
    }),
  )

  assert.deepEqual(
    results,
    Array.from({ length: 40 }, (_, n) => n),
  )
})

test('a server that starts anew fails nobody who can wait', { skip: small.skip }, async (t) => {
  const pool = open(t, {
    connectionString: small.it.url(),
    max: 3,
    connectionTimeoutMillis: 30_000,
  })
  pool.on('error', () => {})
  await pool.query('SELECT 1')

  const restart = small.it.restart('fast')
  await until('the server is gone', async () => pool.idleCount === 0)
  const results = Promise.all(Array.from({ length: 20 }, () => pool.query('SELECT 1 AS n')))
  await restart

  for (const { rows } of await results) assert.deepEqual(rows, [{ n: 1 }])
})

/** Fault 8. */
test('the place of a bad client is free before its socket is closed', { skip }, async (t) => {
  const pool = open(t, { max: 1 })
  const client = await pool.connect()
  const { stream } = client.connection
  let isClosed = false
  stream.once('close', () => {
    isClosed = true
  })
  // Nothing goes out any more, so the server never closes it.
  stream.end = () => stream

  client.release(new Error('bad'))
  const { rows } = await pool.query('SELECT 1 AS n')
  const wasClosed = isClosed
  stream.destroy()

  assert.deepEqual(rows, [{ n: 1 }])
  assert.equal(wasClosed, false)
})

function open(t: TestContext, config: pg.PoolConfig = {}): pg.Pool {
  const pool = new Pool({ connectionString: postgres.url, ...config }) as pg.Pool
  endAfter(t, pool)
  return pool
}

/** Also of what throws at once. */
async function settled(run: () => unknown): Promise<PromiseSettledResult<unknown>> {
  const [outcome] = await Promise.allSettled([(async () => run())()])
  return outcome
}
