/**
 * What may go wrong when callers share a connection, on a real server. Each of these breaks
 * `pg.Client` with `pipeline: true`; here nobody but the one concerned may notice.
 *
 * Statements share a connection once they are known to be fast, so each test first makes the ones
 * that it uses known, then asks for many at once.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Pool, type PoolOptions } from 'hasten/pool'
import type pg from 'pg'
import { testPostgres } from '../service.ts'
import { endAfter } from './pool-kinds.ts'
import { until } from './until.ts'

const postgres = await testPostgres()
const { skip } = postgres
// Compiled tests lie in build/test/pool; fixtures run where they were written.
const throwingApp = fileURLToPath(
  new URL('../../../test/pool/fixtures/throwing.app.mjs', import.meta.url),
)
const double = 'SELECT $1::int * 2 AS n'

test('a value that cannot be written fails alone, once, and its statement lives on', {
  skip,
}, async (t) => {
  const pool = open(t)
  const text = 'SELECT $1::jsonb AS it'
  await makeKnown(pool, text, [{}])
  const circular: { self?: unknown } = {}
  circular.self = circular
  const calls: unknown[][] = []

  for (let round = 0; round < 3; round++) {
    const outcomes = Promise.allSettled(
      numbers(20).map((n) => pool.query(text, [n === 7 ? circular : { n }])),
    )
    pool.query(text, [circular], (...args: unknown[]) => calls.push(args))

    for (const [n, outcome] of (await outcomes).entries()) {
      if (n === 7) assert.match(String((outcome as PromiseRejectedResult).reason), /circular/)
      else assert.deepEqual(rowsOf(outcome), [{ it: { n } }])
    }
  }

  await until('three callbacks', () => calls.length === 3)
  assert.ok(calls.every(([error]) => error instanceof TypeError))
})

for (const name of [undefined, 'given by the user']) {
  const whose = name === undefined ? 'a statement' : 'a named statement'
  test(`${whose} that the server cannot read: all who ask for it hear why`, { skip }, async (t) => {
    const pool = open(t)
    await makeKnown(pool, double, [1])
    const wrong = { text: 'SELECT nowhere FROM nothing WHERE n = $1', values: [1] }
    const given = name === undefined ? wrong : { ...wrong, name }

    const outcomes = await Promise.allSettled(
      numbers(40).map((n) => (n % 2 === 0 ? pool.query(double, [n]) : pool.query(given))),
    )

    for (const [n, outcome] of outcomes.entries()) {
      if (n % 2 === 0) assert.deepEqual(rowsOf(outcome), [{ n: n * 2 }])
      else assert.equal((outcome as PromiseRejectedResult).reason.code, '42P01')
    }
  })

  test(`${whose} outlives a change of its table`, { skip }, async (t) => {
    const pool = open(t)
    await fresh(pool, 'widened', 'a int')
    await pool.query('INSERT INTO widened VALUES (1)')
    const given = { text: 'SELECT * FROM widened WHERE a = $1', values: [1] }
    const asked = name === undefined ? given : { ...given, name: `${name}, wide` }
    await makeKnown(pool, asked)

    await pool.query('ALTER TABLE widened ADD COLUMN b int DEFAULT 2')
    const results = await Promise.all(numbers(40).map(() => pool.query(asked)))

    for (const { rows } of results) assert.deepEqual(rows, [{ a: 1, b: 2 }])
  })

  for (const forget of ['DISCARD ALL', 'DEALLOCATE ALL']) {
    test(`${whose} outlives ${forget}`, { skip }, async (t) => {
      const pool = open(t, { max: 2 })
      const given = { text: double, values: [4] }
      const asked = name === undefined ? given : { ...given, name: `${name}, ${forget}` }
      await makeKnown(pool, asked)

      for (let round = 0; round < 3; round++) {
        await Promise.all([pool.query(forget), pool.query(forget)])
        const client = await pool.connect()
        await client.query(forget)
        client.release()
        const results = await Promise.all(numbers(20).map(() => pool.query(asked)))
        for (const { rows } of results) assert.deepEqual(rows, [{ n: 8 }])
      }
    })
  }
}

for (const how of [{}, { queryMode: 'extended' }, { name: 'copy it' }]) {
  const by = Object.entries(how).flat().join(' ') || 'the simple protocol'
  test(`COPY FROM STDIN by mistake (${by}) fails alone`, { skip }, async (t) => {
    const pool = open(t, { max: 2 })
    await fresh(pool, 'copied', 'n int')
    await makeKnown(pool, double, [1])

    const copies = numbers(4).map(() => pool.query({ text: 'COPY copied FROM STDIN', ...how }))
    const outcomes = Promise.allSettled(copies)
    const results = await Promise.all(numbers(50).map((n) => pool.query(double, [n])))
    const refused = await outcomes

    assert.deepEqual(
      results.map(({ rows }) => rows[0].n),
      numbers(50).map((n) => n * 2),
    )
    for (const outcome of refused) assert.equal(outcome.status, 'rejected')
    assert.deepEqual((await pool.query('SELECT count(*)::int AS n FROM copied')).rows, [{ n: 0 }])
  })
}

test('a caller who leaves is let go at once, wherever his statement is', { skip }, async (t) => {
  const pool = open(t, { max: 1 })
  const other = open(t)
  await fresh(other, 'held', 'n int')
  await other.query('INSERT INTO held VALUES (0)')
  const text = 'UPDATE held SET n = n + $1'
  await makeKnown(pool, text, [0])
  await makeKnown(pool, double, [1])
  const holder = await other.connect()
  await holder.query('BEGIN')
  await holder.query('SELECT * FROM held FOR UPDATE')
  const leaving = new AbortController()
  const { signal } = leaving

  const stalled = pool.query(text, [1])
  const behind = pool.query(double, [21])
  const left = numbers(3).map(() => pool.query({ text, values: [100], signal } as pg.QueryConfig))
  leaving.abort(new Error('client gone'))

  // While the row is held: nobody waits for it who has left.
  for (const outcome of await Promise.allSettled(left)) {
    const { code, cause } = (outcome as PromiseRejectedResult).reason
    assert.equal(code, 'STATEMENT_ABORTED')
    assert.equal(cause.message, 'client gone')
  }
  await holder.query('COMMIT')
  holder.release()
  await stalled
  assert.deepEqual((await behind).rows, [{ n: 42 }])
  // What was sent when its caller left may have run. Not twice, and not instead of another.
  const [row] = (await pool.query('SELECT n FROM held')).rows
  assert.ok([1, 101, 201, 301].includes(row.n), `${row.n}`)
})

test('a caller who leaves while he waits for a connection leaves nothing behind', {
  skip,
}, async (t) => {
  const pool = open(t, { max: 1 })
  await fresh(pool, 'unsent', 'n int')
  const text = 'INSERT INTO unsent VALUES ($1)'
  await makeKnown(pool, text, [0])
  const client = await pool.connect()
  const leaving = new AbortController()
  const { signal } = leaving

  const left = numbers(10).map(() => pool.query({ text, values: [1], signal } as pg.QueryConfig))
  leaving.abort()
  const outcomes = await Promise.allSettled(left)
  client.release()
  await pool.query(text, [2])

  assert.ok(outcomes.every(({ status }) => status === 'rejected'))
  const { rows } = await pool.query('SELECT n FROM unsent WHERE n > 0')
  assert.deepEqual(rows, [{ n: 2 }])
})

test('statements that run out of time are not written later', { skip }, async (t) => {
  const pool = open(t, { max: 2 })
  const other = open(t)
  await fresh(other, 'in_time', 'n int')
  const text = 'INSERT INTO in_time VALUES ($1)'
  await makeKnown(pool, text, [0])
  const holder = await other.connect()
  await holder.query('BEGIN')
  await holder.query('LOCK TABLE in_time IN ACCESS EXCLUSIVE MODE')

  const late = await Promise.allSettled(
    [1, 2, 3, 4].map((n) => pool.query({ text, values: [n], timeoutMs: 100 } as pg.QueryConfig)),
  )
  await until('the server has stopped them all', async () => {
    const { rows } = await other.query(
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE state = 'active' AND query = $1",
      [text],
    )
    return rows[0].n === 0
  })
  await holder.query('COMMIT')
  holder.release()
  await pool.query(text, [5])

  for (const outcome of late) {
    assert.equal((outcome as PromiseRejectedResult).reason.code, 'STATEMENT_TIMEOUT')
  }
  const { rows } = await other.query('SELECT n FROM in_time WHERE n > 0')
  assert.deepEqual(rows, [{ n: 5 }])
})

test('a callback that throws disturbs nobody else', { skip }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [throwingApp], {
    env: { ...process.env, DATABASE_URL: postgres.url },
  })

  assert.deepEqual(JSON.parse(stdout), {
    thrown: ['after an answer', 'after an error'],
    right: 60,
    wrong: [],
    after: 1,
  })
})

test('a name given to an empty text and then to a real one is refused, not without rows', {
  skip,
}, async (t) => {
  const pool = open(t, { max: 1 })

  await pool.query({ name: 'empty first', text: '' })
  const second = pool.query({ name: 'empty first', text: 'SELECT 1 AS n' })

  await assert.rejects(second, /Prepared statements must be unique - 'empty first'/)
  assert.deepEqual((await pool.query({ name: 'other', text: 'SELECT 1 AS n' })).rows, [{ n: 1 }])
})

test('a statement that waits for a row holds up no stranger', { skip }, async (t) => {
  // One for the holder, three for those who wait, one for the strangers.
  const pool = open(t, { max: 5 })
  await fresh(pool, 'waited_for', 'n int')
  await pool.query('INSERT INTO waited_for VALUES (0)')
  const add = 'UPDATE waited_for SET n = n + $1'
  await makeKnown(pool, add, [0])
  await makeKnown(pool, double, [1])
  const holder = await pool.connect()
  await holder.query('BEGIN')
  await holder.query('SELECT * FROM waited_for FOR UPDATE')

  const waiting = [1, 10, 100].map((n) => pool.query(add, [n]))
  const strangers = await Promise.all(numbers(200).map((n) => pool.query(double, [n])))
  await holder.query('COMMIT')
  holder.release()
  await Promise.all(waiting)

  assert.ok(strangers.every(({ rows }, n) => rows[0].n === n * 2))
  assert.deepEqual((await pool.query('SELECT n FROM waited_for')).rows, [{ n: 111 }])
})

test('who holds a lock may ask the pool while others wait for it', { skip }, async (t) => {
  const pool = open(t, { max: 3 })
  await fresh(pool, 'owned', 'n int')
  await pool.query('INSERT INTO owned VALUES (0)')
  const add = 'UPDATE owned SET n = n + $1'
  await makeKnown(pool, add, [0])
  await makeKnown(pool, double, [1])
  const owner = await pool.connect()
  await owner.query('BEGIN')
  await owner.query('UPDATE owned SET n = 1000')

  const waiting = pool.query(add, [1])
  const asked: number[] = []
  for (const n of numbers(10)) asked.push((await pool.query(double, [n])).rows[0].n)
  await owner.query('COMMIT')
  owner.release()
  await waiting

  assert.deepEqual(
    asked,
    numbers(10).map((n) => n * 2),
  )
  assert.deepEqual((await pool.query('SELECT n FROM owned')).rows, [{ n: 1001 }])
})

test('what fails only at its end is not taken for done', { skip }, async (t) => {
  const pool = open(t)
  await fresh(pool, 'checked_late', 'n int UNIQUE DEFERRABLE INITIALLY DEFERRED')
  await pool.query('INSERT INTO checked_late VALUES (0)')
  const text = 'INSERT INTO checked_late VALUES ($1)'
  await makeKnown(pool, text, [-1], (n) => [-n - 1])

  const outcomes = await Promise.allSettled(
    numbers(60).map((n) => pool.query(text, [n % 3 === 0 ? 0 : n])),
  )

  for (const [n, outcome] of outcomes.entries()) {
    if (n % 3 === 0) assert.equal((outcome as PromiseRejectedResult).reason.code, '23505')
    else assert.equal(outcome.status, 'fulfilled')
  }
  const { rows } = await pool.query('SELECT count(*)::int AS n FROM checked_late WHERE n > 0')
  assert.deepEqual(rows, [{ n: 40 }])
})

test('of sixty writes under a session that the server ends, what is told is what is there', {
  skip,
}, async (t) => {
  const pool = open(t, { max: 2 })
  // With one connection, which is left out below: it must not end a session of its own.
  const other = open(t, { max: 1 })
  pool.on('error', () => {})
  await fresh(other, 'written', 'n int')
  const text = 'INSERT INTO written VALUES ($1)'
  await makeKnown(pool, text, [-1])

  for (let round = 0; round < 5; round++) {
    await other.query('TRUNCATE written')
    const pids = await other.query(
      "SELECT pid FROM pg_stat_activity WHERE application_name = 'sharing' AND pid <> pg_backend_pid()",
    )
    const writing = Promise.allSettled(numbers(60).map((n) => pool.query(text, [n])))
    await other.query('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) pid', [
      pids.rows.map(({ pid }) => pid),
    ])

    const outcomes = await writing
    const { rows } = await other.query('SELECT n, count(*)::int AS times FROM written GROUP BY n')
    const times = new Map(rows.map((row) => [row.n, row.times]))
    for (const [n, outcome] of outcomes.entries()) {
      const there = times.get(n) ?? 0
      const code = outcome.status === 'rejected' ? outcome.reason.code : 'done'
      if (code === 'done') assert.equal(there, 1, `${n} is done`)
      else if (code === 'STATEMENT_NOT_RUN') assert.equal(there, 0, `${n} was not run`)
      else {
        assert.equal(code, 'STATEMENT_UNCERTAIN')
        assert.ok(there <= 1, `${n} is there ${there} times`)
      }
    }
  }
})

function open(t: TestContext, config: pg.PoolConfig = {}): pg.Pool {
  const options: PoolOptions = {
    connectionString: postgres.url,
    application_name: 'sharing',
    // On a machine that is busy they must not pass for slow.
    expressMaxMs: 100,
    max: 4,
    ...config,
  }
  const pool = new Pool(options) as pg.Pool
  endAfter(t, pool)
  return pool
}

async function fresh(pool: pg.Pool, table: string, columns: string): Promise<void> {
  await pool.query(`DROP TABLE IF EXISTS ${table}`)
  await pool.query(`CREATE TABLE ${table} (${columns})`)
}

/** Asked often enough, one by one, to be known as fast. */
async function makeKnown(
  pool: pg.Pool,
  asked: string | pg.QueryConfig,
  values?: unknown[],
  valuesOf: (n: number) => unknown[] | undefined = () => values,
): Promise<void> {
  for (const n of numbers(30)) await pool.query(asked as string, valuesOf(n) as never)
}

function rowsOf(outcome: PromiseSettledResult<pg.QueryResult> | undefined): unknown {
  if (outcome?.status === 'rejected') throw outcome.reason
  return outcome?.value.rows
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n)
}
