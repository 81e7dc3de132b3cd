import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ObservationBuilder } from './observation-builder.test.support.ts'
import { leakThresholdOf, type PoolRemedy, poolRemedy } from './pool-remedy.ts'
import { situationOf } from './situation.ts'

const size = { min: 2, max: 7, why: 'Because of that.' }

test('pg gets the pool with its size, and why', () => {
  const { lines, use, note, isOurs } = remedyFor({ packages: ['pg', 'fastify'] })

  assert.deepEqual(lines, [
    `import { Pool } from 'hasten/pool'`,
    '',
    '// Once.',
    'export const pool = new Pool({ connectionString: process.env.DATABASE_URL, min: 2, max: 7 })',
  ])
  assert.deepEqual(use, [`const { rows } = await pool.query('SELECT …', [id])`])
  assert.match(note, /Because of that\.$/)
  assert.ok(isOurs)
})

for (const [name, line] of [
  ['drizzle-orm', 'export const db = drizzle({ client: pool })'],
  ['kysely', 'export const db = new Kysely({ dialect: new PostgresDialect({ pool }) })'],
  ['@prisma/adapter-pg', 'export const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })'],
  ['typeorm', '  driver: { ...pg, Pool },'],
] as const) {
  test(`${name} is handed the pool`, () => {
    const { lines, isOurs } = remedyFor({ packages: ['pg', name] })

    assert.ok(lines.includes(`import { Pool } from 'hasten/pool'`))
    assert.ok(lines.includes(line), lines.join('\n'))
    assert.ok(isOurs)
  })
}

for (const [name, library, line] of [
  ['knex', 'tarn', '  pool: { min: 2, max: 7 },'],
  ['sequelize', 'sequelize-pool', '  pool: { min: 2, max: 7 },'],
] as const) {
  test(`${name} has a pool of its own: it is sized, and ours is not pressed on it`, () => {
    for (const given of [{ packages: ['pg', name] }, { packages: ['pg'], library }]) {
      const { lines, isOurs } = remedyFor(given)

      assert.ok(lines.includes(line), lines.join('\n'))
      assert.ok(!isOurs && !lines.join('\n').includes('hasten'))
    }
  })

  test(`an application that has ${name} and a pool of pg is told of pg`, () => {
    assert.ok(remedyFor({ packages: ['pg', name], library: 'pg-pool' }).isOurs)
  })
}

test('postgres.js is told of postgres.js, unless pg is there as well', () => {
  const sql = 'export const sql = postgres(process.env.DATABASE_URL, { max: 7 })'

  assert.ok(remedyFor({ packages: ['postgres'] }).lines.includes(sql))
  assert.ok(remedyFor({ packages: ['postgres', 'pg'] }).isOurs)
})

test('further options stand on lines of their own', () => {
  const { lines } = poolRemedy(situationOf(new ObservationBuilder().observation()), {
    ...{ size, comment: 'Once.' },
    options: ['leakDetectionMs: 100, // warns'],
  })

  assert.deepEqual(lines.slice(3), [
    'export const pool = new Pool({',
    '  connectionString: process.env.DATABASE_URL,',
    '  min: 2,',
    '  max: 7,',
    '  leakDetectionMs: 100, // warns',
    '})',
  ])
})

test('the threshold is a round number below what was seen', () => {
  assert.deepEqual(
    [0.4, 1, 1.5, 9, 100, 151, 272, 999, 2000].map(leakThresholdOf),
    [1, 1, 1, 5, 50, 100, 200, 500, 1000],
  )
})

function remedyFor({
  packages,
  library,
}: {
  readonly packages: readonly string[]
  readonly library?: string
}): PoolRemedy {
  const app = new ObservationBuilder()
  if (library !== undefined) app.pool({ library })
  const situation = situationOf({ ...app.observation(), packages })
  return poolRemedy(situation, { size, comment: 'Once.' })
}
