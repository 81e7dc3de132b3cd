/**
 * What the pool must never get wrong, counted by the same code that its tests assert with.
 *
 *   isolation      1,000 operations, every tenth caller misbehaves: leaks, pg.Pool's beside them
 *   interleave     the search of test/pool/interleave.test.ts, longer and with other seeds
 *   same-results   rows, fields and counts of the same statements, compared with pg.Pool's
 */
import { inspect } from 'node:util'
import { Pool } from 'hasten/pool'
import pg from 'pg'
import { search } from '../test/pool/interleave-search.ts'
import { isolation } from '../test/pool/isolation-run.ts'
import { World } from '../test/pool/isolation-world.ts'
import { type Claim, count, type Finding, type Scope } from './claim.ts'

const OPERATIONS = 1_000
const SEED = 1

export async function isolationClaim({ url }: Scope): Promise<Finding> {
  const leaks = async (pool: pg.Pool, name: string, isPgPool: boolean): Promise<number> => {
    await using world = await World.create(url)
    const found = await isolation({ world, pool, name, isPgPool, operations: OPERATIONS })
    await pool.end()
    for (const example of isPgPool ? [] : found.examples) process.stderr.write(`${example}\n`)
    return found.leaks
  }
  const theirs = new pg.Pool({ connectionString: url, max: 4 })
  // It loses sight of a client now and then, which nobody ends.
  theirs.on('connect', (client) => client.on('error', () => {}))
  theirs.on('error', () => {})
  const peerMeasured = await leaks(theirs, 'theirs', true)
  const ours = await leaks(new Pool({ connectionString: url, max: 4 }), 'ours', false)
  const what = `leaks in ${OPERATIONS} operations of which 10 % misbehave`
  const claim: Claim = {
    ...count('isolation', what, ours, 'leaks'),
    peer: 'pg.Pool, without the misdeeds that it does not survive',
    peerMeasured,
  }
  return { claims: [claim], tables: [] }
}

export async function interleaveClaim({ url, isQuick }: Scope): Promise<Finding> {
  const searched = await search({
    url,
    seed: SEED,
    runs: 1_000,
    withinMs: isQuick ? 4_000 : 70_000,
    create: (options) => new Pool(options),
  })
  for (const violation of searched.violations) process.stderr.write(`${violation}\n`)
  const what = `violations in ${searched.statements} interleaved statements on ${searched.runs} pools`
  return {
    claims: [count('interleave', what, searched.violations.length, 'violations')],
    tables: [],
  }
}

const STATEMENTS: readonly (readonly [string, (readonly unknown[])?])[] = [
  ['SELECT id, name, price FROM product WHERE id = $1', [7]],
  ['SELECT * FROM product ORDER BY id LIMIT 20'],
  ['SELECT * FROM product WHERE id = $1', [-1]],
  [`SELECT 1::int8 AS big, 1.50::numeric AS exact, 2.5::float8 AS float, true AS yes, NULL AS nil`],
  [
    `SELECT now()::date = current_date AS today, '2026-01-02'::date AS day, '1 day'::interval AS span`,
  ],
  [`SELECT '{"a": [1, null]}'::jsonb AS doc, ARRAY[1, 2] AS list, '\\x0102'::bytea AS bytes`],
  [
    'SELECT $1::text[] AS texts, $2::jsonb AS doc, $3::timestamptz AS at',
    [['a', 'b'], { a: 1 }, new Date(0)],
  ],
  ['SELECT 1 AS same, 2 AS same'],
  ['UPDATE product SET price = price WHERE id < $1', [4]],
  ['UPDATE product SET price = price WHERE id < $1 RETURNING id, price', [3]],
  ['INSERT INTO taken (id) VALUES ($1) ON CONFLICT DO NOTHING', [1]],
  ['SELECT 1 AS one; SELECT 2 AS two'],
  [''],
]

export async function sameResults({ url }: Scope): Promise<Finding> {
  const ours = new Pool({ connectionString: url, max: 4 })
  const theirs = new pg.Pool({ connectionString: url, max: 4 })
  let differing = 0
  let compared = 0
  // Several times: unknown to the pool, prepared, and known to be fast.
  for (let time = 0; time < 5; time++) {
    for (const [text, values] of STATEMENTS) {
      for (const config of [{}, { rowMode: 'array' }]) {
        const query = { text, ...(values === undefined ? {} : { values: [...values] }), ...config }
        const [own, other] = await Promise.all([ours.query(query), theirs.query(query)])
        compared++
        if (told(own) === told(other)) continue
        differing++
        process.stderr.write(`${text} gives ${told(own)} where pg.Pool gives ${told(other)}\n`)
      }
    }
  }
  await Promise.all([ours.end(), theirs.end()])
  const what = `of ${compared} results, rows, fields and counts differ from pg.Pool's`
  return { claims: [count('same-results', what, differing, 'results')], tables: [] }
}

/** With every class's name: the two may come from two copies of `pg-types`. */
function told(result: pg.QueryResult | readonly pg.QueryResult[]): string {
  const all = Array.isArray(result) ? result : [result as pg.QueryResult]
  const plain = all.map(({ command, rowCount, oid, rows, fields }: pg.QueryResult) => ({
    command,
    rowCount,
    oid,
    rows,
    fields,
  }))
  return inspect(plain, { depth: 8, maxArrayLength: null, maxStringLength: null })
}
