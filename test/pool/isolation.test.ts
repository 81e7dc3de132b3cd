/**
 * What one caller did to a session never reaches another caller: 1,000 operations of which every tenth
 * leaves something behind. That the judge sees it is shown on pg.Pool, which puts nothing back.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { Pool } from 'hasten/pool'
import { testPostgres } from '../service.ts'
import { misdeeds } from './isolation-misdeeds.ts'
import { isolation } from './isolation-run.ts'
import { isInTransaction, leftBehind, SESSION, type SessionRow } from './isolation-session.ts'
import { World } from './isolation-world.ts'

const { skip, url } = await testPostgres()

test('of 1,000 operations with every tenth caller misbehaving none leaks', { skip }, async () => {
  await using world = await World.create(url)
  const pool = new Pool({ connectionString: url, max: 4 })

  const { misbehaved, leaks, examples } = await isolation({ world, pool, name: 'ours' })
  await pool.end()

  assert.equal(misbehaved, 100)
  assert.deepEqual(examples, [])
  assert.equal(leaks, 0)
})

test('the same callers on pg.Pool harm each other', { skip }, async () => {
  await using world = await World.create(url)
  const pool = new pg.Pool({ connectionString: url, max: 4 })
  // It loses sight of a client now and then, which nobody ends.
  pool.on('connect', (client) => client.on('error', () => {}))
  pool.on('error', () => {})

  const { leaks } = await isolation({ world, pool, name: 'theirs', isPgPool: true })
  await pool.end()

  assert.ok(leaks > 0, 'the judge sees no leak where nothing is put back')
})

for (const misdeed of misdeeds) {
  test(`${misdeed.name}: the next borrower finds a session as new`, {
    skip,
    timeout: 60_000,
  }, async () => {
    await using world = await World.create(url)
    const pool = new Pool({ connectionString: url, max: 1 })
    const tag = 'before_0'
    world.undone(tag)

    await misdeed.by(world.scene(pool), tag)

    const client = await pool.connect()
    assert.equal(await isInTransaction(client), false)
    const { rows } = await client.query<SessionRow & { tag: string }>(SESSION, ['after'])
    client.release()
    const shared = await pool.query<SessionRow & { tag: string }>(SESSION, ['shared'])
    await pool.end()
    assert.deepEqual([rows[0]?.tag, shared.rows[0]?.tag], ['after', 'shared'])
    assert.deepEqual(leftBehind(rows[0] as SessionRow, world.user), [])
    assert.deepEqual(leftBehind(shared.rows[0] as SessionRow, world.user), [])
    assert.deepEqual(await world.wrongWrites(), [])
  })
}
