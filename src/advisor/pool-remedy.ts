/**
 * Pool remedy: the code that puts the pool in, for what the application talks to its database with.
 *
 *   pg, Drizzle, Prisma        the pool itself: its face is that of pg.Pool
 *   Kysely, Knex, TypeORM,     clients on the pool by `pooledDriver`: these take a client even for a
 *   Sequelize                  single statement, and so would share nothing
 *   postgres.js                brings a pool of its own: one instance for the process, sized
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

const knex: Form = {
  imports: [`import knex from 'knex'`],
  after: [
    'const shared = new (pooledDriver(pool).Pool)()',
    `export const db = knex({ client: 'pg', connectionPool: shared })`,
  ],
  use: [`const user = await db('users').where({ id }).first()`],
  words: `\`pooledDriver\` gives Knex clients that share the pool's connections, in the place of its own pool.`,
  isDriver: true,
}

const sequelize: Form = {
  imports: [`import { Sequelize } from 'sequelize'`],
  after: [
    'export const db = new Sequelize({',
    `  dialect: 'postgres',`,
    '  dialectModule: pooledDriver(pool),',
    '  // What each client would set for itself, and keep a connection for; say it to the pool.',
    '  keepDefaultTimezone: true,',
    `  dialectOptions: { clientMinMessages: 'ignore' },`,
    '  pool: { max: 100 },',
    '})',
  ],
  use: ['const user = await User.findByPk(id)'],
  words: `Places in Sequelize's own pool cost nothing then: its clients share the connections of ours. Where the server's time zone is not UTC, give the pool \`options: '-c TimeZone=UTC'\`.`,
  isDriver: true,
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
      after: [
        'const shared = new (pooledDriver(pool).Pool)()',
        'export const db = new Kysely({ dialect: new PostgresDialect({ pool: shared }) })',
      ],
      use: [`const user = await db.selectFrom('users').selectAll().executeTakeFirst()`],
      words: `Kysely takes a client for each statement: \`pooledDriver\` gives it some that share the pool's connections.`,
      isDriver: true,
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
  [
    'typeorm',
    {
      imports: [`import { DataSource } from 'typeorm'`],
      after: [
        'export const db = new DataSource({',
        `  type: 'postgres',`,
        '  driver: pooledDriver(pool),',
        '  entities,',
        '})',
      ],
      use: [`const users = await db.query('SELECT …', [id])`],
      words: 'TypeORM makes its pool from `driver`, and the server is that of our pool.',
      isDriver: true,
    },
  ],
  ['knex', knex],
  ['sequelize', sequelize],
]

interface Form {
  readonly imports: readonly string[]
  readonly after: readonly string[]
  readonly use: readonly string[]
  readonly words: string
  /** Makes clients by itself: from `pooledDriver`. */
  readonly isDriver?: boolean
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
  if (own.has('tarn')) return ours(knex, options)
  if (own.has('sequelize-pool')) return ours(sequelize, options)
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
      `import { Pool${form.isDriver === true ? ', pooledDriver' : ''} } from 'hasten/pool'`,
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
