/** What stands between the pool and its server is found out, by what can be seen from here. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Pool, type PoolOptions } from 'hasten/pool'
import pg from 'pg'
import { type PgBouncerVersion, startPgBouncer } from '#services/pgbouncer.js'
import { type Postgres, startPostgres } from '#services/postgres.js'
import type { PgClient } from '#src/pool/pg.js'
import { detectPooler, type Pooler, tellsOfPooler } from '#src/pool/pooler.js'
import { service } from '../service.ts'

const postgres = await service(() => startPostgres({ settings: { max_connections: '100' } }))
const { skip } = postgres
/** A user who may not ask PgBouncer. */
const users = { app: 'app-secret' }
if (skip === false) await makeUser(postgres.it)

const session = { mode: 'session', prepare: true, pipeline: true }
const oneAtATime = { mode: 'transaction', prepare: false, pipeline: false }
const unknown = { mode: 'unknown', prepare: false, pipeline: false }
const kept = { mode: 'transaction', prepare: true, pipeline: false }

test('without a pooler everything is allowed', { skip }, async () => {
  const found = await detect(postgres.it.url())

  assert.deepEqual(shown(found), { isPooled: false, ...session })
})

const cases: readonly {
  version: PgBouncerVersion
  mode: 'session' | 'transaction' | 'statement'
  settings?: Record<string, string>
  toAll: object
  toAdmins: object
}[] = [
  { version: '1.18', mode: 'transaction', toAll: unknown, toAdmins: oneAtATime },
  // Nobody can tell by looking that it is not by transaction.
  { version: '1.18', mode: 'session', toAll: unknown, toAdmins: session },
  { version: '1.24', mode: 'transaction', toAll: kept, toAdmins: kept },
  { version: '1.24', mode: 'statement', toAll: kept, toAdmins: kept },
  { version: '1.24', mode: 'session', toAll: unknown, toAdmins: session },
  {
    version: '1.24',
    mode: 'transaction',
    settings: { max_prepared_statements: '0' },
    toAll: unknown,
    toAdmins: oneAtATime,
  },
]

for (const { version, mode, settings = {}, toAll, toAdmins } of cases) {
  const name = `PgBouncer ${version} by ${mode}${Object.keys(settings).length > 0 ? ', keeping no statements' : ''}`
  test(`${name} is seen, and what it bears`, { skip }, async () => {
    await using bouncer = await startPgBouncer({
      server: postgres.it,
      version,
      mode,
      settings,
      users,
    })

    const admin = await detect(bouncer.url())
    const app = await detect(as(bouncer.url()))

    assert.deepEqual(shown(app), { isPooled: true, ...toAll }, app.why)
    assert.deepEqual(shown(admin), { isPooled: true, ...toAdmins }, admin.why)
  })
}

test('what the option says is not looked for, but for what more a pooler bears', {
  skip,
}, async () => {
  await using bouncer = await startPgBouncer({ server: postgres.it, version: '1.24' })

  const told = await detect(bouncer.url(), 'transaction')
  const whole = await detect(bouncer.url(), 'session')
  const none = await detect(bouncer.url(), false)

  assert.deepEqual(shown(told), { isPooled: true, ...kept })
  assert.deepEqual(shown(whole), { isPooled: true, ...session })
  assert.deepEqual(shown(none), { isPooled: false, ...session })
})

test('the probe leaves nothing on the server', { skip }, async () => {
  for (const version of ['1.18', '1.24'] as const) {
    await using bouncer = await startPgBouncer({
      server: postgres.it,
      version,
      settings: { default_pool_size: '1' },
    })
    for (let i = 0; i < 3; i++) await detect(bouncer.url())

    const client = new pg.Client({ connectionString: bouncer.url() })
    await client.connect()
    const { rows } = await client.query<{ name: string }>(
      "SELECT name FROM pg_prepared_statements WHERE name NOT LIKE 'PGBOUNCER%'",
    )
    await client.end()
    assert.deepEqual(rows, [], version)
  }
})

test('a number that is no process tells of a pooler, one that could be tells nothing', () => {
  const of = (processID: number | null): boolean => tellsOfPooler({ processID } as PgClient)

  assert.deepEqual([-1, 2 ** 22 + 1, 2 ** 31 - 1].map(of), [true, true, true])
  assert.deepEqual([1, 4_711, 2 ** 22, null].map(of), [false, false, false, false])
})

test('a connection that goes during the probe is an error, not a pooler', { skip }, async () => {
  const client = new pg.Client({ connectionString: postgres.it.url() })
  client.on('error', () => {})
  await client.connect()

  const found = detectPooler(client as unknown as PgClient, 'auto')
  client.connection.stream.destroy()

  await assert.rejects(found, /terminated/)
})

test('a server that ends during the probe is an error; one that refuses it is not known', async () => {
  const answering = (code: string): PgClient =>
    ({
      connection: {},
      processID: -1,
      query: (asked: { handleError(error: Error): void }) =>
        asked.handleError(Object.assign(new Error('no'), { code, severity: 'FATAL' })),
    }) as unknown as PgClient

  for (const code of ['57P01', '08P01', 'ECONNRESET']) {
    await assert.rejects(detectPooler(answering(code), 'auto'), { code })
  }
  const found = await detectPooler(answering('42501'), 'auto')
  assert.deepEqual(shown(found), { isPooled: true, ...unknown })
  assert.match(found.why, /42501/)
})

test('the pool tells what it found, and keeps to it', { skip }, async () => {
  await using bouncer = await startPgBouncer({ server: postgres.it, users })
  await using old = await usePool({ connectionString: as(bouncer.url()), max: 3 })
  await using direct = await usePool({ connectionString: postgres.it.url(), max: 3 })
  for (const { pool } of [old, direct]) {
    for (let i = 0; i < 5; i++) await pool.query('SELECT $1::int AS n', [i])
  }

  const prepared = ({ pool }: { pool: Pool }): number =>
    pool.stats().connections.reduce((sum, connection) => sum + connection.prepared, 0)

  assert.equal(old.pool.stats().pooler?.mode, 'unknown')
  assert.match(old.pool.stats().pooler?.why ?? '', /say pgbouncer: session/)
  assert.equal(prepared(old), 0)
  assert.equal(old.pool.stats().counts.express, 0)
  assert.equal(direct.pool.stats().pooler?.isPooled, false)
  assert.equal(prepared(direct), 1)
})

test('by session, a pool larger than PgBouncer’s serves with what it gets', { skip }, async () => {
  await using bouncer = await startPgBouncer({
    server: postgres.it,
    mode: 'session',
    settings: { default_pool_size: '2' },
  })
  await using used = await usePool({ connectionString: bouncer.url(), max: 6 })
  await used.pool.ready()

  const rows = await Promise.all(
    Array.from({ length: 60 }, (_, n) =>
      used.pool.query('SELECT $1::int AS n, pg_sleep(0.02)', [n]).then(({ rows: [row] }) => row.n),
    ),
  )

  assert.deepEqual(
    rows,
    Array.from({ length: 60 }, (_, n) => n),
  )
  assert.ok(used.pool.stats().total <= 6)
})

async function makeUser(server: Postgres): Promise<void> {
  const client = new pg.Client({ connectionString: server.url() })
  await client.connect()
  await client.query(`CREATE USER app PASSWORD '${users.app}'`)
  await client.end()
}

function as(url: string): string {
  const own = new URL(url)
  own.username = 'app'
  own.password = users.app
  return own.href
}

async function detect(
  url: string,
  told: 'auto' | 'session' | 'transaction' | false = 'auto',
): Promise<Pooler> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return await detectPooler(client as unknown as PgClient, told)
  } finally {
    await client.end()
  }
}

function shown({ isPooled, mode, prepare, pipeline }: Pooler): object {
  return { isPooled, mode, prepare, pipeline }
}

async function usePool(options: PoolOptions): Promise<{ pool: Pool } & AsyncDisposable> {
  const pool = new Pool(options)
  pool.on('error', () => {})
  return { pool, [Symbol.asyncDispose]: () => pool.end() }
}
