/** PgBouncer as it is: both versions, both modes, ended and started again. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import pg from 'pg'
import { startPgBouncer } from '#services/pgbouncer.js'
import { testPgBouncer } from '../service.ts'

const old = await testPgBouncer({ mode: 'transaction' })
const newer = await testPgBouncer({ version: '1.24', mode: 'session' })

for (const { bouncer, version, mode } of [
  { bouncer: old, version: '1.18', mode: 'transaction' },
  { bouncer: newer, version: '1.24', mode: 'session' },
]) {
  test(`PgBouncer ${version} hands on in ${mode} mode, and asks for a password`, {
    skip: bouncer.skip,
  }, async () => {
    const { url, postgres, adminUrl } = {
      url: bouncer.it.url(),
      postgres: bouncer.it.postgres,
      adminUrl: bouncer.it.adminUrl,
    }

    const [{ pid } = { pid: 0 }] = await ask(url, 'SELECT pg_backend_pid() AS pid')
    const [seen] = await ask(
      postgres.url(),
      `SELECT 1 AS one FROM pg_stat_activity WHERE pid = ${pid}`,
    )
    const [shown] = await ask(adminUrl, 'SHOW VERSION')
    const pools = await ask(adminUrl, 'SHOW POOLS')

    assert.deepEqual(seen, { one: 1 })
    assert.match(String(shown?.['version']), new RegExp(`^PgBouncer ${version}\\.`))
    assert.equal(pools.find(({ database }) => database === 'postgres')?.['pool_mode'], mode)
    const stranger = new pg.Client({ connectionString: url.replace(postgres.password, 'wrong') })
    // Not 28P01, as PostgreSQL says.
    await assert.rejects(stranger.connect(), {
      code: '08P01',
      message: 'SASL authentication failed',
    })
  })

  test(`PgBouncer ${version} that is killed or restarted drops everybody and keeps its port`, {
    skip: bouncer.skip,
  }, async () => {
    const url = bouncer.it.url()
    for (const end of ['restart', 'kill'] as const) {
      const client = new pg.Client({ connectionString: url })
      await client.connect()
      const lost = once(client, 'error')

      await bouncer.it[end]()
      await lost
      if (end === 'kill') await bouncer.it.restart()

      assert.deepEqual(await ask(url, 'SELECT 2 AS two'), [{ two: 2 }])
    }
  })
}

test('settings reach it, and more of them at a restart', { skip: old.skip }, async () => {
  await using bouncer = await startPgBouncer({
    server: old.it.postgres,
    settings: { default_pool_size: '7' },
  })
  const size = async (): Promise<unknown> =>
    (await ask(bouncer.adminUrl, 'SHOW CONFIG')).find(({ key }) => key === 'default_pool_size')?.[
      'value'
    ]
  assert.equal(await size(), '7')

  await bouncer.restart({ default_pool_size: '9' })

  assert.equal(await size(), '9')
})

test('an ini of the caller’s own runs at our address, with our user list', {
  skip: old.skip,
}, async () => {
  const { host, port } = old.it.postgres
  await using bouncer = await startPgBouncer({
    server: old.it.postgres,
    ini: `[pgbouncer]
listen_port = 6432
auth_type = scram-sha-256
auth_file = /nowhere/userlist.txt
pool_mode = session

[databases]
shop = host=${host} port=${port} dbname=postgres
`,
  })

  assert.deepEqual(await ask(bouncer.url('shop'), 'SELECT 3 AS three'), [{ three: 3 }])
})

test('one that cannot start says why, and leaves no folder', { skip: old.skip }, async () => {
  await assert.rejects(
    startPgBouncer({ server: old.it.postgres, settings: { pool_mode: 'dancing' } }),
    /PgBouncer ended with .*pool_mode/s,
  )
})

test('a stopped one leaves nobody on its port', { skip: old.skip }, async () => {
  const bouncer = await startPgBouncer({ server: old.it.postgres })
  const url = bouncer.url()
  await bouncer.stop()

  await assert.rejects(ask(url, 'SELECT 1'), { code: 'ECONNREFUSED' })
  assert.equal(existsSync('/tmp/.s.PGSQL.' + bouncer.port), false)
})

async function ask(url: string, statement: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows
  } finally {
    await client.end()
  }
}
