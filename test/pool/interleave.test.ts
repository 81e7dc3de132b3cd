/**
 * Thousands of statements, errors, cancels, transactions and misdeeds of many callers at once on a
 * small pool: each gets its own rows and a clean session, and nothing remains. A seeded short form of
 * the search; the benchmark `pool` goes on where it ends.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { Pool } from 'hasten/pool'
import { testPostgres } from '../service.ts'
import { isOrderly } from './interleave-operations.ts'
import { search } from './interleave-search.ts'

const SEED = 20_260_801
const RUNS = 12
const { skip, url } = await testPostgres()

test('callers at once get their own rows and a clean session', { skip }, async () => {
  const { statements, violations } = await search({
    url,
    seed: SEED,
    runs: RUNS,
    create: (options) => new Pool(options),
  })

  assert.deepEqual(violations, [])
  assert.ok(statements > 5_000, `only ${statements} statements`)
})

test('the judge has nothing against orderly callers on pg.Pool', { skip }, async () => {
  const { violations } = await search({
    url,
    seed: SEED,
    runs: 3,
    create: theirs,
    isAllowed: isOrderly,
  })

  assert.deepEqual(violations, [])
})

test('the judge sees what transactions left open on pg.Pool do to others', { skip }, async () => {
  const { violations } = await search({
    url,
    seed: SEED,
    runs: 1,
    create: theirs,
    isAllowed: ({ do: what }) => ['transaction', 'session', 'write'].includes(what),
  })

  assert.notDeepEqual(violations, [])
})

/** It loses sight of a client now and then, which nobody ends or listens to. */
function theirs(options: pg.PoolConfig): pg.Pool {
  const pool = new pg.Pool(options)
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}
