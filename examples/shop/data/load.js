/**
 * Makes the shop's data inside PostgreSQL.
 *
 * Every value is arithmetic on the row's number, so each run gives the same rows and nothing is
 * shipped. Rows are made by the server (`generate_series`) in slices, so that a bar can move.
 * The result is marked with a hash of what made it: a database that bears the mark is left alone.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import pg from 'pg'

const read = (name) => readFileSync(new URL(name, import.meta.url), 'utf8')

const SLICE = 50_000

/** [table, rows, SELECT over `i`] in the order in which foreign keys allow them. */
const tables = [
  ['categories', 40, `i, 'Category ' || i`],
  [
    'warehouses',
    12,
    `i, (ARRAY['Oslo','Turin','Lyon','Gent','Graz','Porto'])[1 + i % 6] || ' ' || i`,
  ],
  [
    'users',
    50_000,
    `i, 'user' || i || '@shop.example', 'User ' || i,
     (ARRAY['NO','IT','FR','BE','AT','PT','DE','NL'])[1 + i % 8],
     timestamptz '2023-01-01Z' + i * interval '17 minutes'`,
  ],
  [
    'products',
    2_000,
    `i, 1 + i % 40, 1 + i % 12, 'Product ' || i, repeat('A fine thing to own, number ' || i || '. ', 12),
     199 + (i * 7919) % 20000, (i * 31) % 500`,
  ],
  [
    'orders',
    500_000,
    // One user in five buys often: 30 orders, the others 5.
    `i, 1 + ((i / 2)::bigint * 7919) % (CASE WHEN i % 2 = 0 THEN 50000 ELSE 10000 END), 1 + i % 12,
     (ARRAY['paid','paid','paid','shipped','shipped','returned','open'])[1 + i % 7],
     'T' || upper(substr(md5(i::text), 1, 12)), 500 + (i::bigint * 6007) % 30000,
     timestamptz '2024-01-01Z' + i * interval '90 seconds'`,
  ],
  [
    'order_items',
    1_000_000,
    `i, 1 + (i - 1) / 2, 1 + ((i::bigint * 104729) % 2000) * ((i * 31) % 7 + 1) / 7, 1 + i % 3,
     199 + (i::bigint * 7919) % 20000`,
  ],
  [
    'reviews',
    100_000,
    `i, 1 + (i::bigint * 7907) % 2000, 1 + (i::bigint * 104729) % 50000, 1 + i % 5,
     'Review number ' || i || ': ' || repeat('as described, ', 1 + i % 6),
     timestamptz '2024-02-01Z' + i * interval '5 minutes'`,
  ],
]

/** Hash of everything that decides the rows. */
export const version = createHash('sha256')
  .update(read('schema.sql') + read('indexes.sql') + JSON.stringify(tables))
  .digest('hex')
  .slice(0, 16)

/**
 * @param {string} connectionString of a database that is ours to fill
 * @param {(done: number, what: string) => void} [onProgress] `done` from 0 to 1
 * @returns {Promise<boolean>} whether it had to be made
 */
export async function load(connectionString, onProgress = () => {}) {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    if (await isLoaded(client)) return false
    await client.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public')
    // A crash in mid-load leaves no mark, so the next run starts over: nothing here must survive one.
    await client.query('SET synchronous_commit = off')
    await client.query(read('schema.sql').replaceAll('CREATE TABLE', 'CREATE UNLOGGED TABLE'))
    // Foreign keys are checked row by row on insert; the arithmetic above cannot miss.
    await client.query("SET session_replication_role = 'replica'")
    await insertAll(client, onProgress)
    onProgress(0.8, 'indexes')
    await client.query("SET maintenance_work_mem = '256MB'")
    await client.query(read('indexes.sql'))
    await persist(client, onProgress)
    onProgress(0.97, 'statistics')
    await client.query('VACUUM (ANALYZE)')
    await client.query('CHECKPOINT')
    await client.query(`COMMENT ON TABLE orders IS 'shop ${version}'`)
    onProgress(1, 'ready')
    return true
  } finally {
    await client.end()
  }
}

async function isLoaded(client) {
  const { rows } = await client.query(
    `SELECT obj_description(to_regclass('public.orders'), 'pg_class') AS mark`,
  )
  return rows[0].mark === `shop ${version}`
}

async function insertAll(client, onProgress) {
  const total = tables.reduce((sum, [, rows]) => sum + rows, 0)
  let made = 0
  for (const [table, rows, select] of tables) {
    for (let from = 1; from <= rows; from += SLICE) {
      const to = Math.min(rows, from + SLICE - 1)
      await client.query(
        `INSERT INTO ${table} SELECT ${select} FROM generate_series(${from}, ${to}) AS i`,
      )
      made += to - from + 1
      onProgress((0.8 * made) / total, table)
    }
  }
}

/** Unlogged tables load in half the time and are emptied by a crash: once full, they become lasting. */
async function persist(client, onProgress) {
  let done = 0
  for (const [table] of tables) {
    await client.query(`ALTER TABLE ${table} SET LOGGED`)
    done += 1
    onProgress(0.85 + (0.12 * done) / tables.length, `${table} to disk`)
  }
}
