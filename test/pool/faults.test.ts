/**
 * The fault table: real servers, real kills. For each fault no caller hangs, no write is lost or
 * doubled, nothing is rejected unheard, `min` connections come back, and the time that takes is printed.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import pg from 'pg'
import { FaultProxy } from '#services/fault-proxy.js'
import { startPostgres } from '#services/postgres.js'
import { service } from '../service.ts'
import { FaultWorld, type FaultWorldOptions } from './fault-world.ts'

const server = await service(() => startPostgres({ settings: { max_connections: '40' } }))
const { skip } = server

for (const mode of ['fast', 'immediate'] as const) {
  test(`PostgreSQL is restarted, ${mode}`, { skip }, async (t) => {
    const world = await served(t)

    for (let i = 0; i < 3; i++) {
      await server.it.restart(mode)
      await world.recover(t)
      await world.flows()
    }

    await world.settle(t)
  })
}

test('backends are terminated in mid-statement', { skip }, async (t) => {
  const world = await FaultWorld.start(t, server.it)
  world.load()

  for (let i = 0; i < 20; i++) {
    await world.flows(50)
    const pids = await world.pids()
    await world.aside(
      `SELECT ${pids.map((pid) => `pg_terminate_backend(${pid})`).join(', ') || '1'}`,
    )
  }

  await world.survive(t)
})

test('a statement that is being run when its backend goes is not run twice', {
  skip,
}, async (t) => {
  const world = await FaultWorld.start(t, server.it)
  await world.aside('CREATE TABLE slow_writes (id int NOT NULL)')
  const writing = world.pool.query(`INSERT INTO slow_writes SELECT 1 FROM pg_sleep(30)`).then(
    () => 'done',
    (error: { code?: string }) => error.code,
  )
  let pid: number | undefined
  while (pid === undefined) {
    const { rows } = await world.aside<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE query LIKE 'INSERT INTO slow_writes%' AND wait_event = 'PgSleep'`,
    )
    pid = rows[0]?.pid
  }

  await world.aside(`SELECT pg_terminate_backend(${pid})`)

  // It may be repeated, for it was rolled back; then it sleeps again, and is ended again.
  let ended: string | undefined
  const ending = writing.then((code) => {
    ended = code
  })
  while (ended === undefined) {
    await world.aside(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'INSERT INTO slow_writes%'`,
    )
    await Promise.race([ending, new Promise((resolve) => setTimeout(resolve, 20))])
  }
  assert.ok(ended === 'STATEMENT_NOT_RUN' || ended === 'STATEMENT_UNCERTAIN', String(ended))
  const { rows } = await world.aside('SELECT * FROM slow_writes')
  assert.deepEqual(rows, [])
  await world.recover(t)
  await world.settle(t)
})

test('packets are late', { skip }, async (t) => {
  const { proxy, world } = await servedThroughProxy(t)

  proxy.delay(40)
  await world.flows(100)
  await proxy.heal()
  await world.recover(t)
  await world.flows()

  assert.deepEqual([...world.errors], [])
  await world.settle(t)
})

test('packets are lost for a while: nothing fails, it is late', { skip }, async (t) => {
  const { proxy, world } = await servedThroughProxy(t)

  proxy.stall()
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  proxy.resume()
  await world.recover(t)
  await world.flows()

  assert.deepEqual([...world.errors], [])
  await world.settle(t)
})

test('packets are lost for good: deadlines are kept, and the connections are replaced', {
  skip,
}, async (t) => {
  const { proxy, world } = await servedThroughProxy(t, {
    timeoutMs: 400,
    pool: { acquireTimeoutMs: 400 },
  })

  proxy.stall()
  const before = world.served
  const start = performance.now()
  await world.until(() => (world.errors.get('STATEMENT_TIMEOUT') ?? 0) >= 5, '5 timeouts')
  t.diagnostic(`5 timeouts after ${Math.round(performance.now() - start)} ms`)
  assert.ok(world.served - before < 50)
  proxy.reset()
  await proxy.heal()

  await world.survive(t)
})

test('connections are half open: the server is gone and nobody said so', { skip }, async (t) => {
  const { proxy, world } = await servedThroughProxy(t, {
    timeoutMs: 500,
    pool: { acquireTimeoutMs: 2_000 },
  })

  proxy.halfOpen()

  await world.survive(t)
})

test('connections are half open and callers have no deadline', { skip }, async (t) => {
  await using proxy = await FaultProxy.start(server.it)
  const world = await FaultWorld.start(t, server.it, {
    url: proxy.url(server.it.url()),
    pool: { min: 4, max: 4 },
  })
  await world.known()
  world.load()
  await world.flows()

  proxy.halfOpen()

  await world.survive(t)
})

test('a statement that is slow is not taken for one that is lost', { skip }, async (t) => {
  const world = await FaultWorld.start(t, server.it)
  await world.known()
  const lent = await world.pool.connect()

  const all = await Promise.all([
    world.pool.query<{ n: number }>('SELECT 1 AS n FROM pg_sleep(7)'),
    lent.query<{ n: number }>('SELECT 2 AS n FROM pg_sleep(7)'),
  ])
  lent.release()

  assert.deepEqual(
    all.map(({ rows }) => rows[0]?.n),
    [1, 2],
  )
  assert.equal(world.pool.stats().counts.repeated, 0)
  await world.settle(t)
})

test('every connection is reset again and again', { skip }, async (t) => {
  await using proxy = await FaultProxy.start(server.it)
  const world = await FaultWorld.start(t, server.it, { url: proxy.url(server.it.url()) })
  world.load()

  for (let i = 0; i < 20; i++) {
    await world.flows(50)
    proxy.reset()
  }

  await world.survive(t)
})

test('answers are cut off in mid-message', { skip }, async (t) => {
  const { proxy, world } = await servedThroughProxy(t)

  proxy.cutAfter(3_001)
  await world.until(() => proxy.accepted > 30, '30 connections cut off')
  await proxy.heal()

  await world.survive(t)
})

test('the server refuses for a while', { skip }, async (t) => {
  const { proxy, world } = await servedThroughProxy(t)

  proxy.refuse()
  proxy.reset()
  await new Promise((resolve) => setTimeout(resolve, 500))
  await proxy.accept()

  await world.survive(t)
})

test('the server is slow to accept', { skip }, async (t) => {
  await using proxy = await FaultProxy.start(server.it)
  proxy.slowAccept(300)
  const world = await served(t, { url: proxy.url(server.it.url()) })

  proxy.reset()
  await world.recover(t)
  await world.flows()
  await proxy.heal()

  await world.settle(t)
})

test('max_connections is reached: callers wait for the connections that there are', {
  skip,
}, async (t) => {
  const world = await FaultWorld.start(t, server.it, { pool: { min: 2, max: 30 } })
  const others: pg.Client[] = []
  try {
    for (;;) {
      const other = new pg.Client({ connectionString: server.it.url() })
      other.on('error', () => {})
      await other.connect()
      others.push(other)
    }
  } catch (error) {
    assert.equal((error as { code?: string }).code, '53300')
  }

  // No room for a look from aside: what is held is given back for that.
  world.load()
  await world.flows(500)
  assert.deepEqual([...world.errors], [])
  await Promise.all(others.map((other) => other.end()))

  await world.survive(t)
})

test('max_connections is reached and all of the pool go', { skip }, async (t) => {
  const world = await served(t, { pool: { acquireTimeoutMs: 300 } })
  const others: pg.Client[] = []
  // Each place that the pool loses is taken by somebody else.
  const pids = await world.pids()
  const killer = new pg.Client({ connectionString: server.it.url() })
  killer.on('error', () => {})
  await killer.connect()
  const occupy = async (): Promise<void> => {
    const other = new pg.Client({ connectionString: server.it.url() })
    other.on('error', () => {})
    await other.connect().then(
      () => others.push(other),
      () => {},
    )
  }
  for (let i = 0; i < 60; i++) await occupy()
  for (const pid of pids) await killer.query('SELECT pg_terminate_backend($1)', [pid])
  for (let i = 0; i < 20; i++) await occupy()
  await new Promise((resolve) => setTimeout(resolve, 400))
  await killer.end()
  await Promise.all(others.map((other) => other.end()))

  await world.survive(t)
})

test('authentication fails: callers are told, and served again when it works', {
  skip,
}, async (t) => {
  await using world2 = await role(server.it.url())
  const world = await served(t, { url: world2.url, pool: { min: 2, max: 4 } })

  await world2.password('another')
  const pids = await world.pids()
  await world.aside(`SELECT ${pids.map((pid) => `pg_terminate_backend(${pid})`).join(', ')}`)
  await world.until(() => (world.errors.get('28P01') ?? 0) >= 20, 'callers told')
  await world2.password('right')

  await world.survive(t)
})

test('a caller never releases: the others go on, and are told who it is', { skip }, async (t) => {
  const world = await FaultWorld.start(t, server.it, {
    pool: { min: 2, max: 2, acquireTimeoutMs: 200, leakDetectionMs: 50 },
  })
  const kept = await world.pool.connect()
  world.load()
  await world.flows()
  assert.equal(world.pool.totalCount, 2)

  const keptToo = await world.pool.connect({ timeoutMs: 30_000, priority: 'critical' })
  const error = await world.pool.query('SELECT 1').then(
    () => undefined,
    (reason: Error & { code?: string; pool?: unknown }) => reason,
  )
  assert.equal(error?.code, 'POOL_ACQUIRE_TIMEOUT')
  assert.match(error.message, /^timeout exceeded when trying to connect/)
  assert.match(JSON.stringify(error.pool) + error.message, /faults\.test/)
  kept.release()
  keptToo.release()

  await world.survive(t)
})

test('a caller releases twice: nobody else loses a connection to it', { skip }, async (t) => {
  const world = await FaultWorld.start(t, server.it)
  world.load()

  for (let i = 0; i < 200; i++) {
    const client = await world.pool.connect()
    await client.query('SELECT 1')
    client.release()
    try {
      client.release()
    } catch {
      // As `pg` does.
    }
  }
  await world.flows()

  assert.deepEqual([...world.errors], [])
  await world.recover(t)
  await world.settle(t)
})

test('10,000 callers on 4 connections, while backends are terminated', { skip }, async (t) => {
  const world = await FaultWorld.start(t, server.it, { pool: { min: 4, max: 4 } })
  const start = performance.now()

  const all = Promise.all(Array.from({ length: 10_000 }, () => world.write()))
  const pids = await world.pids()
  await world.aside(`SELECT pg_terminate_backend(${pids[0]}), pg_terminate_backend(${pids[1]})`)
  const answers = await world.within(all, 'one of 10,000 hangs')

  t.diagnostic(
    `${answers.filter(Boolean).length} written in ${Math.round(performance.now() - start)} ms`,
  )
  await world.recover(t)
  await world.settle(t)
})

test('the clock jumps', { skip }, async (t) => {
  const { now } = Date
  t.after(() => {
    Date.now = now
  })
  const world = await FaultWorld.start(t, server.it, {
    timeoutMs: 20_000,
    pool: { acquireTimeoutMs: 20_000, maxLifetimeSeconds: 600, idleTimeoutMillis: 5_000 },
  })
  world.load()

  for (const hours of [24, -24, 8_760, -8_760, 0]) {
    Date.now = () => now() + hours * 3_600_000
    await world.flows()
  }

  assert.deepEqual([...world.errors], [])
  assert.equal(world.pool.totalCount >= 4, true)
  await world.recover(t)
  await world.settle(t)
})

/** A world whose callers are served. */
async function served(t: TestContext, options: FaultWorldOptions = {}): Promise<FaultWorld> {
  const world = await FaultWorld.start(t, server.it, options)
  world.load()
  await world.flows()
  return world
}

/** The same through a proxy, which is stopped before the pool is. */
async function servedThroughProxy(t: TestContext, options: FaultWorldOptions = {}) {
  const proxy = await FaultProxy.start(server.it)
  t.after(() => proxy.stop())
  const world = await served(t, { ...options, url: proxy.url(server.it.url()) })
  return { proxy, world }
}

/** A role of its own, so that no other test loses its password. */
async function role(adminUrl: string) {
  const admin = new pg.Client({ connectionString: adminUrl })
  await admin.connect()
  const name = 'faulty'
  await admin.query(`CREATE ROLE ${name} SUPERUSER LOGIN PASSWORD 'right'`)
  const url = new URL(adminUrl)
  url.username = name
  url.password = 'right'
  return {
    url: url.href,
    async password(text: string) {
      await admin.query(`ALTER ROLE ${name} PASSWORD '${text}'`)
    },
    async [Symbol.asyncDispose]() {
      await admin.end()
    },
  }
}
