/**
 * The services that a test file needs, asked for once at its top:
 *
 *   const postgres = await testPostgres()
 *   test('…', { skip: postgres.skip }, async () => { new pg.Pool({ connectionString: postgres.url }) })
 *
 * Each file gets a database of its own. In a run of `npm test` they lie in one server
 * (HASTEN_TEST_POSTGRES), a file that is run by hand starts one. Where none can be had the tests are
 * skipped with the reason; in CI the file fails. A test that restarts its server, or needs settings,
 * calls `startPostgres` itself, through `service`.
 */
import { randomBytes } from 'node:crypto'
import { after } from 'node:test'
import pg from 'pg'
import { type Chromium, findChromium } from '#services/chromium.js'
import { serviceOr } from '#services/missing-service.js'
import { type PgBouncer, type PgBouncerOptions, startPgBouncer } from '#services/pgbouncer.js'
import { type Postgres, startPostgres } from '#services/postgres.js'
import { startRedis } from '#services/redis.js'

export interface TestService<T> {
  /** For `test`'s option of the same name: false, or the reason. */
  readonly skip: string | false
  /** Throws where the service is missing. */
  readonly it: T
}

/** `url` is empty where the service is missing. */
export interface TestUrl {
  readonly skip: string | false
  readonly url: string
}

export interface TestPgBouncer extends PgBouncer {
  readonly postgres: Postgres
}

/** Stopped after the file's last test. */
export async function service<T extends { stop(): Promise<void> }>(
  start: () => Promise<T>,
): Promise<TestService<T>> {
  const had = await serviceOr(start)
  if (typeof had !== 'string') after(() => had.stop())
  return serviceOf(had)
}

/** `url` is that of an empty database, which is dropped at the end. */
export async function testPostgres(): Promise<TestUrl> {
  const shared = process.env['HASTEN_TEST_POSTGRES']
  if (shared === undefined || shared === '') {
    const own = await service(() => startPostgres({ settings: { max_connections: '200' } }))
    return { skip: own.skip, url: own.skip === false ? own.it.url() : '' }
  }
  const name = `test_${randomBytes(6).toString('hex')}`
  await administer(shared, `CREATE DATABASE ${name}`)
  after(() => administer(shared, `DROP DATABASE ${name} WITH (FORCE)`))
  const url = new URL(shared)
  url.pathname = `/${name}`
  return { skip: false, url: url.href }
}

/** Empty, and the file's own: it starts in a blink. */
export async function testRedis(): Promise<TestUrl> {
  const own = await service(() => startRedis())
  return { skip: own.skip, url: own.skip === false ? own.it.url : '' }
}

/**
 * In front of a PostgreSQL that is the file's own: `postgres` is its server, to be asked around
 * PgBouncer.
 */
export async function testPgBouncer(
  options: Omit<PgBouncerOptions, 'server'> = {},
): Promise<TestService<TestPgBouncer>> {
  const postgres = await ownPostgres()
  if (postgres.skip !== false) return serviceOf<never>(postgres.skip)
  return service(async () =>
    Object.assign(await startPgBouncer({ ...options, server: postgres.it }), {
      postgres: postgres.it,
    }),
  )
}

let own: Promise<TestService<Postgres>> | undefined

/** One for all of the file's PgBouncers. */
function ownPostgres(): Promise<TestService<Postgres>> {
  own ??= service(() => startPostgres({ settings: { max_connections: '200' } }))
  return own
}

export async function testChromium(): Promise<TestService<Chromium>> {
  return serviceOf(await serviceOr(() => findChromium()))
}

function serviceOf<T>(had: T | string): TestService<T> {
  if (typeof had === 'string') {
    return {
      skip: had,
      get it(): T {
        throw new Error(had)
      },
    }
  }
  return { skip: false, it: had }
}

async function administer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
