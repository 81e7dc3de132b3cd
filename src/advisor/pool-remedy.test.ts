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
  ['@prisma/adapter-pg', 'export const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })'],
] as const) {
  test(`${name} is handed the pool`, () => {
    const { lines, isOurs } = remedyFor({ packages: ['pg', name] })

    assert.ok(lines.includes(`import { Pool } from 'hasten/pool'`))
    assert.ok(lines.includes(line), lines.join('\n'))
    assert.ok(isOurs)
  })
}

for (const [name, line] of [
  ['kysely', 'const shared = new (pooledDriver(pool).Pool)()'],
  ['typeorm', '  driver: pooledDriver(pool),'],
  ['knex', `export const db = knex({ client: 'pg', connectionPool: shared })`],
  ['sequelize', '  dialectModule: pooledDriver(pool),'],
] as const) {
  test(`${name}, which takes a client for each statement, gets some that share`, () => {
    const { lines, isOurs } = remedyFor({ packages: ['pg', name] })

    assert.ok(lines.includes(`import { Pool, pooledDriver } from 'hasten/pool'`))
    assert.ok(lines.includes(line), lines.join('\n'))
    assert.ok(isOurs)
  })
}

test('a pool at work tells more than a package', () => {
  const knex = remedyFor({ packages: ['pg', 'drizzle-orm'], library: 'tarn' })
  const sequelize = remedyFor({ packages: [], library: 'sequelize-pool' })

  assert.ok(knex.lines.includes(`import knex from 'knex'`))
  assert.ok(sequelize.lines.includes(`import { Sequelize } from 'sequelize'`))
})

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
