/** A pool on a primary and its standby, while the one takes over from the other. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { Pool } from 'hasten/pool'
import { startPostgres } from '#services/postgres.js'
import { startStandby } from '#services/postgres-standby.js'
import { service } from '../service.ts'

const pair = await service(async () => {
  const primary = await startPostgres()
  try {
    const standby = await startStandby(primary)
    return {
      primary,
      standby,
      async stop() {
        await standby.stop()
        await primary.stop()
      },
    }
  } catch (error) {
    await primary.stop()
    throw error
  }
})

test('writes find the new primary, and nothing that was acknowledged is lost', {
  skip: pair.skip,
}, async (t) => {
  const { primary, standby } = pair.it
  const { user, password } = primary
  const pool = new Pool({
    connectionString: `postgres://${user}:${password}@127.0.0.1:${primary.port},127.0.0.1:${standby.port}/postgres?target_session_attrs=read-write`,
    min: 2,
    max: 4,
  })
  pool.on('error', () => {})
  t.after(() => pool.end())
  await pool.query('CREATE TABLE kept (id int NOT NULL)')
  const acknowledged: number[] = []
  let id = 0
  const write = async (): Promise<boolean> => {
    const mine = ++id
    try {
      await pool.query({ text: 'INSERT INTO kept VALUES ($1)', values: [mine], timeoutMs: 5_000 })
      acknowledged.push(mine)
      return true
    } catch {
      return false
    }
  }
  for (let i = 0; i < 50; i++) assert.equal(await write(), true)

  // In order: a server that is told to stop sends all that it has to its standby first.
  const stopping = primary.stop()
  await Promise.all(Array.from({ length: 20 }, write))
  await stopping
  const start = performance.now()
  await ask(standby.url(), 'SELECT pg_promote()')
  while (!(await write())) {
    assert.ok(performance.now() - start < 60_000, 'nothing was written again')
  }

  t.diagnostic(`writes again after ${Math.round(performance.now() - start)} ms`)
  const { rows } = await pool.query<{ id: number }>('SELECT id FROM kept')
  const there = rows.map((row) => row.id)
  assert.deepEqual(
    acknowledged.filter((one) => !there.includes(one)),
    [],
  )
  assert.equal(new Set(there).size, there.length)
})

test('a server that takes no writes any more is left, once it says so', {
  skip: pair.skip,
}, async (t) => {
  const { standby: now } = pair.it
  const other = await startPostgres()
  t.after(() => other.stop())
  await ask(now.url(), 'CREATE TABLE here (id int)')
  await ask(other.url(), 'CREATE TABLE here (id int)')
  await ask(other.url(), `ALTER ROLE postgres PASSWORD '${now.password}'`)
  const pool = new Pool({
    connectionString: `postgres://postgres:${now.password}@127.0.0.1:${now.port},127.0.0.1:${other.port}/postgres?target_session_attrs=read-write`,
    max: 2,
  })
  t.after(() => pool.end())
  const port = async (): Promise<unknown> =>
    (await pool.query<{ port: number }>('SELECT inet_server_port() AS port')).rows[0]?.port
  assert.equal(await port(), now.port)

  await ask(now.url(), 'ALTER SYSTEM SET default_transaction_read_only = on')
  await ask(now.url(), 'SELECT pg_reload_conf()')
  const start = performance.now()
  for (;;) {
    const written = await pool.query('INSERT INTO here VALUES (1)').then(
      () => true,
      () => false,
    )
    if (written && (await port()) === other.port) break
    assert.ok(performance.now() - start < 60_000, 'it stayed with the server that takes no writes')
  }
})

async function ask(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(text)
  } finally {
    await client.end()
  }
}
