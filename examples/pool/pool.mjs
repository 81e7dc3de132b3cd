/**
 * What changes when `pg.Pool` becomes the pool of hasten: the import. What one gets for it, in six
 * scenes, each of which says what it saw.
 */
import { Pool } from 'hasten/pool'

export async function main() {
  const pool = new Pool({
    connectionString: process.env.DATABASE_URL,
    min: 2,
    max: 4,
    warm: ['SELECT name FROM pool_example WHERE id = $1'],
  })
  try {
    await pool.query(
      `CREATE TABLE IF NOT EXISTS pool_example AS
         SELECT id, 'thing ' || id AS name FROM generate_series(1, 1000) AS id`,
    )
    await warm(pool)
    await shared(pool)
    await slowNeighbour(pool)
    await deadline(pool)
    await untidyBorrower(pool)
    await lineTooLong()
  } finally {
    await pool.query('DROP TABLE IF EXISTS pool_example')
    await pool.end()
  }
}

async function warm(pool) {
  await pool.ready()
  say('warm', `${pool.totalCount} connections are open before anybody asks`)
}

/** Sixty-four callers, four connections: statements are prepared and share them. */
async function shared(pool) {
  const caller = async (_, first) => {
    for (let i = 0; i < 50; i++) {
      const id = 1 + ((first * 50 + i) % 1000)
      const { rows } = await pool.query('SELECT name FROM pool_example WHERE id = $1', [id])
      if (rows[0].name !== `thing ${id}`) throw new Error(`${id} got ${rows[0].name}`)
    }
  }
  await Promise.all(Array.from({ length: 64 }, caller))
  const { counts, total } = pool.stats()
  say('shared', `3,200 statements on ${total} connections, ${counts.express} of them side by side`)
}

/** It is found out once, and has a connection for itself from then on. */
async function slowNeighbour(pool) {
  const text = 'SELECT pg_sleep(0.05)'
  for (let i = 0; i < 3; i++) await pool.query(text)
  const found = pool.stats().statements.find((statement) => statement.text.includes('pg_sleep'))
  say('slow', `${found?.text} goes ${found?.lane}: ${found?.why}`)
}

/** The caller is told in time, and the server is told to stop. */
async function deadline(pool) {
  const text = 'SELECT pg_sleep(60) AS forgotten'
  const error = await pool.query({ text, timeoutMs: 100 }).catch((reason) => reason)
  const running = `SELECT count(*)::int AS count, pg_sleep(0.01) FROM pg_stat_activity
     WHERE state = 'active' AND query LIKE '%forgotten%' AND pid <> pg_backend_pid()`
  let count = 1
  // The cancellation travels on a connection of its own, so it arrives when it does.
  for (let i = 0; i < 500 && count > 0; i++) count = (await pool.query(running)).rows[0].count
  say('deadline', `${error.code} after 100 ms; still running on the server: ${count}`)
}

/** What one borrower left in the session, the next does not find. */
async function untidyBorrower(pool) {
  const client = await pool.connect()
  await client.query('BEGIN')
  await client.query("SET statement_timeout = '1s'")
  await client.query('CREATE TEMPORARY TABLE basket (id int)')
  client.release()
  const found = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const next = await pool.connect()
      const { rows } = await next.query(
        `SELECT current_setting('statement_timeout') AS timeout, to_regclass('basket') AS basket`,
      )
      next.release()
      return rows[0]
    }),
  )
  const clean = found.filter(({ timeout, basket }) => timeout === '0' && basket === null)
  say('tidy', `${clean.length} of 4 connections are as new after a borrower forgot to clean up`)
}

/** Who waits in vain is told who has the connections, since when and from where. */
async function lineTooLong() {
  const connectionString = process.env.DATABASE_URL
  const small = new Pool({
    connectionString,
    max: 1,
    acquireTimeoutMs: 200,
    leakDetectionMs: 5_000,
  })
  const client = await small.connect()
  const error = await small.connect().catch((reason) => reason)
  client.release()
  await small.end()
  const [holder] = error.pool.holders
  say(
    'line',
    `${error.code}; held for ${Math.round(holder.heldMs)} ms from ${placeOf(holder.stack)}`,
  )
}

/** Of a stack, the line that is ours. */
function placeOf(stack = '') {
  return /pool\.mjs:\d+/.exec(stack)?.[0] ?? 'elsewhere'
}

function say(scene, words) {
  console.log(`${scene.padEnd(9)} ${words}`)
}
