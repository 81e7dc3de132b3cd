/** What would break in production: callers, callbacks and sessions that do what they should not. */
import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { Pool, type PoolOptions } from 'hasten/pool'
import { FaultProxy } from '#services/fault-proxy.js'
import { testPostgres } from '../service.ts'
import { until } from './until.ts'

const { skip, url } = await testPostgres()
const real = { skip, timeout: 30_000 }

test('a borrower who asks with a wrong option keeps no place in the line', real, async (t) => {
  const pool = poolOf(t, { max: 1 })
  const holder = await pool.connect()

  await assert.rejects(pool.connect({ timeoutMs: -1 }), { code: 'OPTION_INVALID' })
  holder.release()
  const next = await pool.connect({ timeoutMs: 5_000 })

  assert.equal(pool.stats().lent, 1)
  next.release()
})

test('a borrower whose signal is aborted already gets no client', real, async (t) => {
  const pool = poolOf(t, { max: 1 })
  await pool.query('SELECT 1')

  const signal = AbortSignal.abort()
  await assert.rejects(pool.connect({ signal }), { code: 'STATEMENT_ABORTED' })

  assert.equal(pool.stats().lent, 0)
})

test('a thousand borrowers who time out leave an empty line', real, async (t) => {
  const pool = poolOf(t, { max: 1, acquireTimeoutMs: 300 })
  await pool.ready()
  const holder = await pool.connect()

  const borrowers = Array.from({ length: 3_000 }, () => pool.connect())
  const outcomes = await Promise.allSettled([
    ...borrowers,
    ...Array.from({ length: 3_000 }, () => pool.query('SELECT 2')),
  ])
  holder.release()
  await pool.query('SELECT 3')

  assert.ok(outcomes.every(({ status }) => status === 'rejected'))
  assert.deepEqual(pool.stats().waiting, { express: 0, alone: 0, lent: 0 })
})

test('a new statement is served though one shared connection never rests', real, async (t) => {
  const pool = poolOf(t, { max: 1 })
  const load = await steady(pool, 128)
  t.after(load.stop)

  const { rows } = await pool.query({ text: 'SELECT 41 + 1 AS n', timeoutMs: 10_000 })

  assert.equal(rows[0].n, 42)
})

test('a shared connection under steady load does not outlive its lifetime', real, async (t) => {
  const pool = poolOf(t, { max: 1, maxLifetimeSeconds: 0.3 })
  const load = await steady(pool, 128)
  t.after(load.stop)
  const first = pool.stats().connections[0]?.number

  await soon('another connection', () =>
    pool.stats().connections.some(({ number }) => number !== first),
  )
})

test('a shared connection under steady load is replaced after maxUses', real, async (t) => {
  const pool = poolOf(t, { max: 1, maxUses: 1_000 })
  const load = await steady(pool, 128)
  t.after(load.stop)

  await soon('20,000 answers', () => load.answers() > 20_000)

  for (const { uses } of pool.stats().connections) assert.ok(uses < 1_100, `${uses} uses`)
})

test('validateAfterIdleMs: 0 asks each time, and serves', real, async (t) => {
  const pool = poolOf(t, { max: 1, validateAfterIdleMs: 0 })

  for (let n = 0; n < 5; n++) {
    const { rows } = await pool.query({ text: `SELECT ${n} AS n`, timeoutMs: 5_000 })
    assert.equal(rows[0].n, n)
    await turn()
  }
})

test('a callback of connect that throws spoils nobody else’s answer', real, async (t) => {
  const pool = poolOf(t, { max: 1 })
  await known(pool, 'SELECT $1::int AS n')
  const holder = await pool.connect()
  const caught = uncaught(t)

  pool.connect((_error, _client, release) => {
    release()
    throw new Error('thrown by a caller')
  })
  const others = [1, 2, 3].map((n) => pool.query('SELECT $1::int AS n', [n]))
  holder.release()
  const results = await Promise.all(others)

  assert.deepEqual(
    results.map(({ rows }) => rows[0].n),
    [1, 2, 3],
  )
  await soon('one error that nobody caught', () => caught.length === 1)
  assert.match(String(caught[0]), /thrown by a caller/)
})

test('listeners that throw leave the pool whole', real, async (t) => {
  const pool = poolOf(t, { max: 1 })
  const caught = uncaught(t)
  for (const event of ['acquire', 'release', 'remove'] as const) {
    pool.on(event, () => {
      throw new Error(`thrown on ${event}`)
    })
  }

  const client = await pool.connect()
  await client.query('SELECT 1')
  client.release()
  const { rows } = await pool.query({ text: 'SELECT 2 AS n', timeoutMs: 5_000 })
  await pool.end()

  assert.equal(rows[0].n, 2)
  await soon('five errors that nobody caught', () => caught.length >= 5)
})

test('`verify` that throws fails its caller', real, async (t) => {
  const pool = poolOf(t, {
    max: 1,
    verify: () => {
      throw new Error('not verified')
    },
  } as PoolOptions)

  await assert.rejects(pool.connect(), /not verified/)

  assert.equal(pool.stats().lent, 0)
})

test('types that throw, fail their own statement alone', real, async (t) => {
  const pool = poolOf(t, { max: 1 })
  await known(pool, 'SELECT $1::int AS n')
  const types = {
    getTypeParser: () => {
      throw new Error('no such type')
    },
  }

  const outcomes = await Promise.allSettled([
    pool.query('SELECT $1::int AS n', [1]),
    pool.query({ text: 'SELECT $1::int AS n', values: [2], types }),
    pool.query('SELECT $1::int AS n', [3]),
    pool.query({ text: 'SELECT $1::int AS m', values: [4], types }),
    pool.query({ text: 'SELECT $1::int AS n', values: [5], types: {} as never }),
    pool.query('SELECT $1::int AS n', [6]),
  ])

  const told = outcomes.map((one) =>
    one.status === 'fulfilled' ? one.value.rows[0].n : (one.reason as Error).message,
  )
  assert.deepEqual(
    [told[0], told[1], told[2], told[3], told[5]],
    [1, 'no such type', 3, 'no such type', 6],
  )
  assert.match(String(told[4]), /getTypeParser/)
  assert.equal(pool.totalCount, 1)
})

test('what a `connect` listener sets one after the other lasts', real, async (t) => {
  const pool = poolOf(t, { max: 1 })
  pool.on('connect', async (client) => {
    await client.query("SET statement_timeout = '50s'")
    await client.query("SET lock_timeout = '40s'")
    await client.query("SET application_name = 'listener'")
  })
  const ask = async () => {
    const { rows } = await pool.query(
      "SELECT current_setting('lock_timeout') AS lock, current_setting('application_name') AS name",
    )
    return rows[0]
  }

  const first = await ask()
  const borrower = await pool.connect()
  await borrower.query("SET lock_timeout = '1s'")
  borrower.release()
  const second = await ask()

  assert.deepEqual(first, { lock: '40s', name: 'listener' })
  assert.deepEqual(second, { lock: '40s', name: 'listener' })
})

test(
  'set-up that fails: its caller hears it, `ready` too, and the server is not stormed',
  real,
  async (t) => {
    let setUps = 0
    const pool = poolOf(t, {
      max: 2,
      min: 1,
      onConnect: () => {
        setUps += 1
        throw new Error('set-up failed')
      },
    } as PoolOptions)
    const events: string[] = []
    pool.on('error', () => events.push('error'))

    await assert.rejects(pool.query('SELECT 1'), /set-up failed/)
    await assert.rejects(pool.ready(), /set-up failed/)
    const before = setUps
    await new Promise((resolve) => setTimeout(resolve, 300))

    assert.ok(setUps - before <= 3, `${setUps - before} more within 300 ms`)
    assert.deepEqual(events, [])
  },
)

test('a statement whose last bytes went out by themselves is not run twice', real, async (t) => {
  const proxy = await FaultProxy.start({ host: '127.0.0.1', port: Number(new URL(url).port) })
  t.after(() => proxy.stop())
  const pool = poolOf(t, { max: 1, connectionString: proxy.url(url), idleTimeoutMillis: 60_000 })
  const direct = poolOf(t, { max: 2 })
  await direct.query('DROP TABLE IF EXISTS once')
  await direct.query('CREATE TABLE once (n int)')
  await pool.query('SELECT 1')
  const text = 'INSERT INTO once SELECT length($1::text) FROM pg_sleep(0.5)'
  // Parse and Bind fill the buffer but for the last few bytes, which are those of Execute and Sync.
  const parse = 1 + 4 + 1 + text.length + 1 + 2
  const bind = 1 + 4 + 1 + 1 + 2 + 2 + 2 + 4 + 2 + 2
  const value = 'x'.repeat(64 * 1024 - parse - bind - 4)

  const lost = pool.query(text, [value])
  lost.catch(() => {})
  await soon('it is under way', async () => {
    const { rows } = await direct.query(
      "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'INSERT INTO once%' AND state = 'active'",
    )
    return rows.length > 0
  })
  proxy.reset()
  await proxy.heal()

  await assert.rejects(lost, { code: 'STATEMENT_UNCERTAIN' })
  await soon('it is over', async () => {
    const { rows } = await direct.query(
      "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'INSERT INTO once%' AND state = 'active'",
    )
    return rows.length === 0
  })
  const { rows } = await direct.query('SELECT count(*)::int AS n FROM once')
  assert.ok(rows[0].n <= 1, `${rows[0].n} times`)
})

test(
  'lifetimes and idle times beyond what a timer can count are long, not short',
  real,
  async (t) => {
    const days = 30 * 24 * 3_600
    const pool = poolOf(t, {
      max: 1,
      maxLifetimeSeconds: days,
      idleTimeoutMillis: days * 1_000,
    })
    const warnings: string[] = []
    const onWarning = ({ name }: Error) => warnings.push(name)
    process.on('warning', onWarning)
    t.after(() => process.off('warning', onWarning))

    await pool.query('SELECT 1')
    const first = pool.stats().connections[0]?.number
    await new Promise((resolve) => setTimeout(resolve, 50))

    assert.equal(pool.stats().connections[0]?.number, first)
    assert.deepEqual(warnings, [])
  },
)

test(
  'a function of the application’s own, lost under way, is not called again',
  real,
  async (t) => {
    const proxy = await FaultProxy.start({ host: '127.0.0.1', port: Number(new URL(url).port) })
    t.after(() => proxy.stop())
    const pool = poolOf(t, { max: 1, connectionString: proxy.url(url) })
    const direct = poolOf(t, { max: 2 })
    await direct.query('DROP TABLE IF EXISTS called')
    await direct.query('CREATE TABLE called (n int)')
    await direct.query(`CREATE OR REPLACE FUNCTION book(n int) RETURNS int LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO called VALUES (n); PERFORM pg_sleep(0.5); RETURN n; END $$`)
    await pool.query('SELECT 1')
    const isUnderWay = async () => {
      const { rows } = await direct.query(
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT book%' AND state = 'active'",
      )
      return rows.length > 0
    }

    const lost = pool.query('SELECT book($1)', [1])
    lost.catch(() => {})
    await soon('it is under way', isUnderWay)
    proxy.reset()
    await proxy.heal()

    await assert.rejects(lost, { code: 'STATEMENT_UNCERTAIN' })
    await soon('it is over', async () => !(await isUnderWay()))
    const { rows } = await direct.query('SELECT count(*)::int AS n FROM called')
    assert.ok(rows[0].n <= 1, `${rows[0].n} times`)
  },
)

test('a server that takes no writes keeps its connections', real, async (t) => {
  const pool = poolOf(t, { max: 2, options: '-c default_transaction_read_only=on' })
  let removed = 0
  pool.on('remove', () => {
    removed += 1
  })
  const write = 'CREATE TABLE never (n int)'
  const insert = 'INSERT INTO pg_catalog.pg_namespace (nspname) VALUES ($1)'
  await assert.rejects(pool.query(write), { code: '25006' })

  for (let n = 0; n < 30; n++) await assert.rejects(pool.query(insert, ['x']), { code: '25006' })

  assert.ok(removed <= 2, `${removed} of 30`)
})

test('a statement is cancelled by the way of the pool’s own sockets', real, async (t) => {
  const { hostname, port } = new URL(url)
  const nowhere = new URL(url)
  nowhere.hostname = '203.0.113.9'
  nowhere.port = '1'
  const pool = poolOf(t, {
    max: 1,
    connectionString: nowhere.href,
    stream: () => {
      const socket = new Socket()
      const connect = socket.connect.bind(socket) as (port: number, host: string) => Socket
      socket.connect = (() => connect(Number(port), hostname)) as Socket['connect']
      return socket
    },
  } as PoolOptions)
  await pool.query('SELECT 1')
  const [before] = pool.stats().connections

  const asked = pool.query({ text: 'SELECT pg_sleep(60)', timeoutMs: 50 })
  await assert.rejects(asked, { code: 'STATEMENT_TIMEOUT' })
  await pool.query('SELECT 2')

  assert.equal(pool.stats().connections[0]?.number, before?.number)
})

test('one signal may stop many statements, without a warning', real, async (t) => {
  const pool = poolOf(t, { max: 2 })
  const warnings: string[] = []
  const onWarning = ({ message }: Error) => warnings.push(message)
  process.on('warning', onWarning)
  t.after(() => process.off('warning', onWarning))
  const { signal } = new AbortController()

  await Promise.all(Array.from({ length: 64 }, () => pool.query({ text: 'SELECT 1', signal })))
  await turn()

  assert.deepEqual(warnings, [])
})

function poolOf(t: TestContext, options: PoolOptions): Pool {
  const pool = new Pool({ connectionString: url, ...options })
  // Not waited for: a test that failed may hold a client.
  t.after(() => void (pool.ending ? undefined : pool.end()))
  return pool
}

async function known(pool: Pool, text: string): Promise<void> {
  for (let i = 0; i < 5; i++) await pool.query(text, [0])
}

/** So many callers, each asking again as soon as it is answered. */
async function steady(
  pool: Pool,
  callers: number,
): Promise<{ stop(): Promise<void>; answers(): number }> {
  const text = 'SELECT $1::int AS n'
  await known(pool, text)
  let isOver = false
  let answers = 0
  const caller = async (): Promise<void> => {
    while (!isOver) {
      await pool.query(text, [1])
      answers += 1
    }
  }
  const all = Promise.all(Array.from({ length: callers }, caller))
  all.catch(() => {})
  await soon('each caller is answered', () => answers > callers)
  return {
    async stop() {
      isOver = true
      await all
    },
    answers: () => answers,
  }
}

/** What nobody caught from here on; the test runner hears nothing of it. */
function uncaught(t: TestContext): unknown[] {
  const caught: unknown[] = []
  const before = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', (error) => caught.push(error))
  t.after(() => {
    process.removeAllListeners('uncaughtException')
    for (const listener of before) process.on('uncaughtException', listener)
  })
  return caught
}

function soon(what: string, isFact: () => boolean | Promise<boolean>): Promise<void> {
  return until(what, isFact, { withinMs: 15_000 })
}
