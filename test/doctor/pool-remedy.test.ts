/** The code that the doctor gives for a pool, run as it stands: for pg and for those who take its pool. */
import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { test, type TestContext } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { advise, type Observation } from 'hasten/advisor'
import { Pool } from 'hasten/pool'
import pg from 'pg'
import { testPostgres } from '../service.ts'

const postgres = await testPostgres()

const asked: Record<string, string> = {
  pg: `export const rows = (await pool.query('SELECT $1::int AS n', [7])).rows
       await pool.end()`,
  'drizzle-orm': `import { sql } from 'drizzle-orm'
       export const rows = (await db.execute(sql\`SELECT \${7}::int AS n\`)).rows
       await pool.end()`,
  kysely: `import { sql } from 'kysely'
       export const { rows } = await sql\`SELECT \${7}::int AS n\`.execute(db)
       await db.destroy()
       await pool.end()`,
  typeorm: `await db.initialize()
       export const rows = await db.query('SELECT $1::int AS n', [7])
       await db.destroy()
       await pool.end()`,
  knex: `export const { rows } = await db.raw('SELECT ?::int AS n', [7])
       await db.destroy()
       await pool.end()`,
  sequelize: `import { QueryTypes } from 'sequelize'
       export const rows = await db.query('SELECT $1::int AS n', { bind: [7], type: QueryTypes.SELECT })
       await db.close()
       await pool.end()`,
}

for (const [name, lines] of Object.entries(asked)) {
  test(`the remedy for ${name} runs, on the pool`, { skip: postgres.skip }, async (t) => {
    const { code = '' } = remedyFor(['pg', name])
    const [made = ''] = code.split('// In the handler')

    const module = await run(t, `const entities = []\n${made}\n${lines}`)

    assert.deepEqual(module.rows, [{ n: 7 }])
    assert.ok(module.pool instanceof Pool && module.pool instanceof pg.Pool)
    assert.equal(module.pool.options.max, 4)
  })
}

function remedyFor(packages: readonly string[]) {
  const route = {
    ...{
      method: 'GET',
      route: '/users/:id',
      requests: 100,
      errors: 0,
      queries: 100,
      connects: 100,
    },
    ...{ totalMs: 900, dbMs: 100, poolWaitMs: 0, connectMs: 600, httpMs: 0, responseBytes: 1000 },
    ...{ p50Ms: 9, p95Ms: 9, p99Ms: 9, statements: [] },
  }
  const phase = { seconds: 10, routes: [route], requests: [], pools: [], processes: [] }
  const none = { seconds: 0, routes: [], requests: [], pools: [], processes: [] }
  const observation: Observation = {
    ...{ solo: none, load: phase, statements: [], blocks: [], plans: [], packages },
  }
  const [finding] = advise(observation)
  assert.equal(finding?.kind, 'connection-per-request')
  return finding.remedy
}

/** Written into the checkout, where its imports are found. */
async function run(
  t: TestContext,
  code: string,
): Promise<{ readonly rows: unknown; readonly pool: pg.Pool }> {
  const file = fileURLToPath(new URL(`remedy-${process.pid}-${runs++}.mjs`, import.meta.url))
  writeFileSync(file, code)
  t.after(() => rmSync(file))
  process.env['DATABASE_URL'] = postgres.url
  return (await import(pathToFileURL(file).href)) as { rows: unknown; pool: pg.Pool }
}

let runs = 0
