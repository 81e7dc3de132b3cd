/**
 * Pool remedy: the code that puts the pool in, for what the application talks to its database with.
 *
 *   pg                         import { Pool } from 'hasten/pool'; its face is that of pg.Pool
 *   Drizzle, Kysely, Prisma    the same, handed to it
 *   TypeORM                    the same, in the place of pg's
 *   Knex, Sequelize            bring a pool of their own: one instance for the process, sized
 *   postgres.js                likewise
 *
 * Which it is tell the packages of the application, and the pools that were seen at work. Where
 * nothing is known, it is `pg`.
 */
import { figure } from './measure.ts'
import type { PoolSize } from './pool-size.ts'
import type { Situation } from './situation.ts'

export interface PoolRemedy {
  /** Lines of a module that makes the pool, or what stands for it, once for the process. */
  readonly lines: readonly string[]
  /** Lines that send a single statement. */
  readonly use: readonly string[]
  /** Sentences. */
  readonly note: string
  /** It is the pool of hasten: false where the application's library brings one of its own. */
  readonly isOurs: boolean
}

export interface PoolRemedyOptions {
  readonly size: PoolSize
  /** Above the pool. */
  readonly comment: string
  /** Further options of the pool, each with its comment: `leakDetectionMs: 100, // …`. */
  readonly options?: readonly string[]
}

/** In this order: an application that has Drizzle and pg talks by Drizzle. */
const forms: readonly (readonly [name: string, form: Form])[] = [
  [
    'drizzle-orm',
    {
      imports: [`import { drizzle } from 'drizzle-orm/node-postgres'`],
      after: ['export const db = drizzle({ client: pool })'],
      use: ['const rows = await db.select().from(users).where(eq(users.id, id))'],
      words: 'Drizzle takes the pool as its client.',
    },
  ],
  [
    'kysely',
    {
      imports: [`import { Kysely, PostgresDialect } from 'kysely'`],
      after: ['export const db = new Kysely({ dialect: new PostgresDialect({ pool }) })'],
      use: [`const user = await db.selectFrom('users').selectAll().executeTakeFirst()`],
      words: 'Kysely takes the pool through its dialect.',
    },
  ],
  [
    '@prisma/adapter-pg',
    {
      imports: [
        `import { PrismaPg } from '@prisma/adapter-pg'`,
        `import { PrismaClient } from './generated/prisma/client.js'`,
      ],
      after: ['export const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })'],
      use: ['const user = await prisma.user.findUnique({ where: { id } })'],
      words: 'Prisma takes the pool through its adapter for pg.',
    },
  ],
]

interface Form {
  readonly imports: readonly string[]
  readonly after: readonly string[]
  readonly use: readonly string[]
  readonly words: string
}

const plain: Form = {
  imports: [],
  after: [],
  use: [`const { rows } = await pool.query('SELECT …', [id])`],
  words:
    'Statements that belong to one transaction share a client: `const client = await pool.connect()`, and `client.release()` in a `finally`.',
}

export function poolRemedy(situation: Situation, options: PoolRemedyOptions): PoolRemedy {
  const { packages, pools } = situation
  const own = new Set(pools.map(({ library }) => library))
  const uses = (name: string, library: string) =>
    own.has(library) || (packages.has(name) && !own.has('pg-pool'))
  if (uses('knex', 'tarn')) return knex(options)
  if (uses('sequelize', 'sequelize-pool')) return sequelize(options)
  if (packages.has('typeorm')) return typeorm(options)
  if (packages.has('postgres') && !packages.has('pg')) return postgresJs(options)
  return ours(forms.find(([name]) => packages.has(name))?.[1] ?? plain, options)
}

function ours(form: Form, { size, comment, options = [] }: PoolRemedyOptions): PoolRemedy {
  const sizes = `min: ${size.min}, max: ${size.max}`
  const connection = 'connectionString: process.env.DATABASE_URL'
  return {
    isOurs: true,
    lines: [
      ...form.imports,
      `import { Pool } from 'hasten/pool'`,
      '',
      `// ${comment}`,
      ...(options.length === 0
        ? [`export const pool = new Pool({ ${connection}, ${sizes} })`]
        : [
            'export const pool = new Pool({',
            ...[`${connection},`, ...sizes.split(', ').map((each) => `${each},`), ...options].map(
              (each) => `  ${each}`,
            ),
            '})',
          ]),
      ...form.after,
    ],
    use: form.use,
    note: `\`Pool\` of hasten has the face of \`pg.Pool\`. ${form.words} ${size.why}`,
  }
}

function typeorm({ size, comment }: PoolRemedyOptions): PoolRemedy {
  return {
    isOurs: true,
    lines: [
      `import pg from 'pg'`,
      `import { Pool } from 'hasten/pool'`,
      `import { DataSource } from 'typeorm'`,
      '',
      `// ${comment}`,
      'export const db = new DataSource({',
      `  type: 'postgres',`,
      '  url: process.env.DATABASE_URL,',
      '  driver: { ...pg, Pool },',
      `  poolSize: ${size.max},`,
      '  entities,',
      '})',
    ],
    use: [`const users = await db.query('SELECT …', [id])`],
    note: `TypeORM makes its pool from \`driver\`. ${size.why}`,
  }
}

function knex({ size, comment }: PoolRemedyOptions): PoolRemedy {
  return {
    isOurs: false,
    lines: [
      `import knex from 'knex'`,
      '',
      `// ${comment}`,
      'export const db = knex({',
      `  client: 'pg',`,
      '  connection: process.env.DATABASE_URL,',
      `  pool: { min: ${size.min}, max: ${size.max} },`,
      '})',
    ],
    use: [`const user = await db('users').where({ id }).first()`],
    note: `Knex brings a pool of its own: one \`knex()\` for the process. ${size.why}`,
  }
}

function sequelize({ size, comment }: PoolRemedyOptions): PoolRemedy {
  return {
    isOurs: false,
    lines: [
      `import { Sequelize } from 'sequelize'`,
      '',
      `// ${comment}`,
      'export const db = new Sequelize(process.env.DATABASE_URL, {',
      `  pool: { min: ${size.min}, max: ${size.max} },`,
      '})',
    ],
    use: ['const user = await User.findByPk(id)'],
    note: `Sequelize brings a pool of its own: one \`new Sequelize()\` for the process. ${size.why}`,
  }
}

function postgresJs({ size, comment }: PoolRemedyOptions): PoolRemedy {
  return {
    isOurs: false,
    lines: [
      `import postgres from 'postgres'`,
      '',
      `// ${comment}`,
      `export const sql = postgres(process.env.DATABASE_URL, { max: ${size.max} })`,
    ],
    use: ['const rows = await sql`SELECT … WHERE id = ${id}`'],
    note: `postgres.js brings a pool of its own: one \`postgres()\` for the process. ${size.why}`,
  }
}

/** A round number below what was seen, so that what was seen is told: 272 ms → 200. */
export function leakThresholdOf(heldMs: number): number {
  let round = 1
  for (let power = 1; power < heldMs; power *= 10) {
    for (const each of [1, 2, 5]) if (each * power < heldMs) round = each * power
  }
  return round
}

export function poolsInWords(situation: Situation): string {
  const max = Math.max(0, ...situation.pools.map((pool) => pool.max))
  return max > 0
    ? `There is a pool already, of at most ${figure(max)}: make it this one, for all of the application.`
    : ''
}
