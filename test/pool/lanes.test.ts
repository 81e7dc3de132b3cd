/** What callers notice of lanes, warmth, turns and deadlines, on a real server. */
import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { test, type TestContext } from 'node:test'
import pg from 'pg'
import { Pool, type PoolOptions } from 'hasten/pool'
import { testPostgres } from '../service.ts'
import { until } from './until.ts'

const { skip, url } = await testPostgres()

test('fast statements of 64 callers share at most `express` connections', { skip }, async (t) => {
  const pool = poolOf(t, { max: 10 })
  await known(pool, 'SELECT $1::int AS n', [0])
  const before = pool.stats().counts

  const results = await Promise.all(
    Array.from({ length: 64 }, (_, n) => pool.query('SELECT $1::int AS n', [n])),
  )

  assert.deepEqual(
    results.map(({ rows }) => rows[0].n),
    Array.from({ length: 64 }, (_, n) => n),
  )
  const { counts, total, statements } = pool.stats()
  assert.equal(counts.express - before.express, 64)
  assert.ok(total <= 5, `${total} connections`)
  assert.equal(statements.find(({ text }) => text === 'select $1::int as n')?.lane, 'express')
})

test('slow statements do not stand in front of fast ones', { skip }, async (t) => {
  const pool = poolOf(t, { max: 4 })
  await known(pool, 'SELECT $1::int AS n', [0])
  const order: string[] = []
  const slow = Array.from({ length: 8 }, () =>
    pool.query('SELECT pg_sleep(0.4)').then(() => order.push('slow')),
  )
  await turn()

  for (let i = 0; i < 50; i++) {
    await pool.query('SELECT $1::int AS n', [i])
    order.push('fast')
  }
  await Promise.all(slow)

  const firstSlow = order.indexOf('slow')
  assert.ok(firstSlow === -1 || firstSlow >= 25, `a slow one was number ${firstSlow}`)
  const shape = pool.stats().statements.find(({ text }) => text.startsWith('select pg_sleep'))
  assert.equal(shape?.lane, 'alone')
  assert.match(shape.why, /took/)
})

test('a statement that waits for a lock is taken out of the way, and runs once', {
  skip,
}, async (t) => {
  const pool = poolOf(t, { max: 4, express: 1, expressMaxMs: 100 })
  await pool.query('DROP TABLE IF EXISTS counters')
  await pool.query('CREATE TABLE counters (id int PRIMARY KEY, n int)')
  await pool.query('INSERT INTO counters VALUES (1, 0), (2, 0)')
  const bump = 'UPDATE counters SET n = n + 1 WHERE id = $1'
  await known(pool, bump, [2])
  await known(pool, 'SELECT $1::int AS n', [0])

  const holder = await pool.connect()
  await holder.query('BEGIN')
  await holder.query('UPDATE counters SET n = 100 WHERE id = 1')
  let isDone = false
  const { express } = pool.stats().counts
  const blocked = pool.query(bump, [1]).then(() => {
    isDone = true
  })
  await soon('it shares', () => pool.stats().counts.express === express + 1)
  // Behind it on the same connection, and answered while the lock is held.
  const others = await Promise.all(
    Array.from({ length: 20 }, (_, n) => pool.query('SELECT $1::int AS n', [n])),
  )
  assert.equal(isDone, false)
  assert.equal(others.length, 20)
  await holder.query('COMMIT')
  holder.release()
  await blocked

  const { rows } = await pool.query('SELECT n FROM counters WHERE id = 1')
  assert.equal(rows[0].n, 101)
  assert.ok(pool.stats().counts.preempted >= 1)
})

test('an error in one statement touches none that shares its connection', { skip }, async (t) => {
  const pool = poolOf(t, { max: 4, express: 1 })
  await known(pool, 'SELECT 10 / $1::int AS n', [1])

  const settled = await Promise.allSettled(
    Array.from({ length: 60 }, (_, n) => pool.query('SELECT 10 / $1::int AS n', [n % 3])),
  )

  for (const [n, result] of settled.entries()) {
    if (n % 3 === 0) {
      assert.equal(result.status, 'rejected')
      assert.equal((result.reason as { code: string }).code, '22012')
    } else {
      assert.equal(result.status, 'fulfilled')
      assert.equal(result.value.rows[0].n, n % 3 === 1 ? 10 : 5)
    }
  }
  assert.ok(pool.totalCount <= 4)
})

test('ten thousand statements of one caller do not hold up the next caller', {
  skip,
}, async (t) => {
  const pool = poolOf(t, { max: 4 })
  await known(pool, 'SELECT $1::int AS n', [0])
  let answered = 0
  const many = Promise.all(
    Array.from({ length: 10_000 }, (_, n) =>
      pool.query('SELECT $1::int AS n', [n]).then(() => (answered += 1)),
    ),
  )
  await turn()

  await pool.query('SELECT $1::int AS n', [-1])
  const before = answered
  await many

  assert.ok(before < 2_000, `${before} were answered before`)
})

test('critical callers go first, background ones last', { skip }, async (t) => {
  const pool = poolOf(t, { max: 1 })
  const holder = await pool.connect()
  const order: string[] = []
  const waiting = (['background', 'default', 'critical'] as const).map((priority) =>
    pool.connect({ priority }).then((client) => {
      order.push(priority)
      client.release()
    }),
  )
  await turn()

  holder.release()
  await Promise.all(waiting)

  assert.deepEqual(order, ['critical', 'default', 'background'])
})

test('ready() opens `min`, warm; and they come back when they are lost', { skip }, async (t) => {
  const pool = poolOf(t, { min: 3, max: 5, warm: ['SELECT $1::text AS warm'] })
  await pool.ready()

  assert.equal(pool.totalCount, 3)
  const client = await pool.connect()
  const { rows } = await client.query(
    "SELECT count(*)::int AS n FROM pg_prepared_statements WHERE statement = 'SELECT $1::text AS warm'",
  )
  client.release()
  assert.equal(rows[0].n, 1)

  const pids = pool.stats().connections.map(({ processId }) => processId)
  await outside(`SELECT pg_terminate_backend(p) FROM unnest(ARRAY[${pids.join(',')}]) p`)
  await soon('all three are others', () => {
    const now = pool.stats().connections.map(({ processId }) => processId)
    return now.length === 3 && now.every((pid) => !pids.includes(pid))
  })
  assert.equal((await pool.query('SELECT 1 AS one')).rows[0].one, 1)
})

test('a table that changes under prepared statements changes the rows, and fails nobody', {
  skip,
}, async (t) => {
  const pool = poolOf(t, { max: 2 })
  await pool.query('DROP TABLE IF EXISTS shapes')
  await pool.query('CREATE TABLE shapes (a int)')
  await pool.query('INSERT INTO shapes VALUES (1)')
  await known(pool, 'SELECT * FROM shapes', [])

  await outside('ALTER TABLE shapes ADD COLUMN b text DEFAULT $$new$$')
  const results = await Promise.all(
    Array.from({ length: 40 }, () => pool.query('SELECT * FROM shapes')),
  )

  for (const { rows, fields } of results) {
    assert.deepEqual(rows, [{ a: 1, b: 'new' }])
    assert.deepEqual(
      fields.map(({ name }) => name),
      ['a', 'b'],
    )
  }
})

test('prepared statements are bounded on each connection', { skip }, async (t) => {
  const pool = poolOf(t, { max: 1, maxPrepared: 10 })
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 40; i++) await pool.query(`SELECT ${i}::int AS c${i}, $1::int AS n`, [i])
  }

  const client = await pool.connect()
  const { rows } = await client.query('SELECT count(*)::int AS n FROM pg_prepared_statements')
  client.release()

  assert.ok(rows[0].n <= 10 && rows[0].n > 0, `${rows[0].n} statements`)
})

test('a deadline cancels the statement on the server, and touches nobody else', {
  skip,
}, async (t) => {
  const pool = poolOf(t, { max: 2 })
  await known(pool, 'SELECT $1::int AS n', [0])

  const late = assert.rejects(
    pool.query({ text: "SELECT pg_sleep(60), 'cancel me'", timeoutMs: 100 }),
    { code: 'STATEMENT_TIMEOUT' },
  )
  const others = Array.from({ length: 100 }, (_, n) => pool.query('SELECT $1::int AS n', [n]))
  await late
  assert.deepEqual(
    (await Promise.all(others)).map(({ rows }) => rows[0].n),
    Array.from({ length: 100 }, (_, n) => n),
  )

  await soon('the server has cancelled it', async () => {
    const { rows } = await outside(
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query LIKE '%cancel me%' AND state = 'active' AND pid <> pg_backend_pid()",
    )
    return rows[0].n === 0
  })
})

test('a signal stops whoever waits, at no cost, and whoever runs', { skip }, async (t) => {
  const pool = poolOf(t, { max: 1 })
  const holder = await pool.connect()
  const waiting = new AbortController()
  const refused = assert.rejects(
    pool.query({ text: 'INSERT INTO nowhere VALUES (1)', signal: waiting.signal }),
    { code: 'STATEMENT_ABORTED' },
  )
  const borrower = assert.rejects(pool.connect({ signal: waiting.signal }), {
    code: 'STATEMENT_ABORTED',
  })
  waiting.abort()
  await Promise.all([refused, borrower])
  assert.equal(pool.waitingCount, 0)
  holder.release()

  const running = new AbortController()
  const slow = assert.rejects(pool.query({ text: 'SELECT pg_sleep(60)', signal: running.signal }), {
    code: 'STATEMENT_ABORTED',
  })
  await soon('one is under way', () =>
    pool.stats().connections.some(({ underWay }) => underWay === 1),
  )
  running.abort()
  await slow
  assert.equal((await pool.query('SELECT 1 AS one')).rows[0].one, 1)
})

test('whoever waits too long is told who holds the connections, and from where', {
  skip,
}, async (t) => {
  const pool = poolOf(t, { max: 1, acquireTimeoutMs: 300, leakDetectionMs: 60_000 })
  await pool.ready()
  const holder = await pool.connect()

  const error = (await pool.query('SELECT 1').then(
    () => undefined,
    (reason: unknown) => reason,
  )) as Error & { code: string; pool: { holders: { stack: string }[] } }
  holder.release()

  assert.equal(error.code, 'POOL_ACQUIRE_TIMEOUT')
  assert.match(error.message, /^timeout exceeded when trying to connect/)
  assert.match(error.message, /1 of 1 connections open, 1 lent/)
  assert.match(error.pool.holders[0]?.stack ?? '', /lanes\.test/)
})

test('the waiting line is bounded', { skip }, async (t) => {
  const pool = poolOf(t, { max: 1, maxWaiting: 2 })
  const holder = await pool.connect()
  const served = [pool.query('SELECT 1'), pool.query('SELECT 1')]

  await assert.rejects(pool.query('SELECT 1'), { code: 'POOL_FULL' })
  await assert.rejects(pool.connect(), { code: 'POOL_FULL' })
  holder.release()

  await Promise.all(served)
})

test('what a listener of `connect` set stays, whatever borrowers do', { skip }, async (t) => {
  const pool = poolOf(t, { max: 1 })
  pool.on('connect', (client) => {
    void client.query("SET application_name = 'mine'")
  })
  const client = await pool.connect()
  await client.query("SET application_name = 'borrowed'")
  client.release()

  const { rows } = await pool.query('SHOW application_name')

  assert.equal(rows[0].application_name, 'mine')
})

test('a type parser that comes late counts from then on', { skip }, async (t) => {
  const pool = poolOf(t, { max: 1 })
  const { getTypeParser, setTypeParser } = pg.types as unknown as TypeParsers
  const original = getTypeParser(MONEY)
  t.after(() => setTypeParser(MONEY, original))
  await known(pool, "SELECT '12'::money AS m", [])

  setTypeParser(MONEY, () => 'parsed')

  assert.equal((await pool.query("SELECT '12'::money AS m")).rows[0].m, 'parsed')
})

test('all `max` connections can be lent at once, also while others share one', {
  skip,
}, async (t) => {
  const pool = poolOf(t, { max: 3 })
  await known(pool, 'SELECT $1::int AS n', [0])
  let isOver = false
  const flow = (async () => {
    while (!isOver) await pool.query('SELECT $1::int AS n', [1])
  })()

  const clients = await Promise.all([pool.connect(), pool.connect(), pool.connect()])
  for (const client of clients) client.release()
  isOver = true
  await flow
})

test('bad options are refused by name, rule and value', () => {
  const wrong: readonly (readonly [options: PoolOptions, message: RegExp])[] = [
    [{ acquireTimeoutMs: 5, connectionTimeoutMillis: 6 }, /acquireTimeoutMs \(5\).*\(6\)/],
    [{ acquireTimeoutMs: -1 }, /acquireTimeoutMs must be milliseconds.*-1/],
    [{ maxWaiting: 1.5 }, /maxWaiting must be a whole number.*1\.5/],
    [{ expressMaxMs: 0 }, /expressMaxMs must be .*above 0.*0/],
    [{ express: -1 }, /express must be/],
    [{ warm: 'SELECT 1' as never }, /warm must be an array/],
    [{ pgbouncer: 'yes' as never }, /pgbouncer must be 'auto'/],
    [{ repeat: 'no' as never }, /repeat must be true or false/],
  ]

  for (const [options, message] of wrong) {
    assert.throws(() => new Pool(options), { code: 'OPTION_INVALID', message })
  }
  assert.ok(new Pool({ acquireTimeoutMs: 5, connectionTimeoutMillis: 5 }))
})

/** Not among the types that `pg` names. */
const MONEY = 790

interface TypeParsers {
  getTypeParser(oid: number): (text: string) => unknown
  setTypeParser(oid: number, parse: (text: string) => unknown): void
}

function poolOf(t: TestContext, options: PoolOptions): Pool {
  const pool = new Pool({ connectionString: url, ...options })
  // Not waited for: a test that failed may hold a client.
  t.after(() => void (pool.ending ? undefined : pool.end()))
  return pool
}

/** Runs it until the pool has learned that it is fast. */
async function known(pool: Pool, text: string, values: unknown[]): Promise<void> {
  await soon('it is known to be fast', async () => {
    await pool.query(text, values)
    const known = pool.stats().statements.filter(({ lane }) => lane === 'express')
    return known.length > 0 && (await isExpress(pool, text, values))
  })
}

async function isExpress(pool: Pool, text: string, values: unknown[]): Promise<boolean> {
  const before = pool.stats().counts.express
  await pool.query(text, values)
  return pool.stats().counts.express > before
}

async function outside(sql: string): Promise<pg.QueryResult> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await client.query(sql)
  } finally {
    await client.end()
  }
}

/** Looks at each turn: what is under way may be over in a millisecond. */
function soon(what: string, isFact: () => boolean | Promise<boolean>): Promise<void> {
  return until(what, isFact, { pauseMs: 0 })
}
