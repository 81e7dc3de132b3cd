/**
 * Pooled driver: a look-alike of the module `pg` whose clients live on one pool of ours, for ORMs and
 * query builders that make clients or a pool by themselves.
 *
 *   Sequelize  { dialectModule: pooledDriver(pool) }                       makes a Client for each place
 *   TypeORM    { driver: pooledDriver(pool) }                              makes a Pool
 *   Knex       { connectionPool: new (pooledDriver(pool).Pool)() }         takes a Pool
 *   Kysely     new PostgresDialect({ pool: new (pooledDriver(pool).Pool)() })
 *
 * Each client it gives is a `SharedClient`: statements outside transactions share connections, which
 * is what such libraries lose on a plain pool, since they take a client for each. Places in a pool of
 * the library's own cost nothing here, so give it many (`pool: { max: 100 }`). The server is the
 * pool's: host, password and the like that the library hands over are not looked at, `types` are.
 *
 * `end` ends what was made here and leaves the pool to its owner.
 */
import { EventEmitter } from 'node:events'
import pg from 'pg'
import type { Pool } from './pool.ts'
import { SharedClient } from './shared-client.ts'

/** What a library needs of the pool that it makes or is given. */
export interface DriverPool extends EventEmitter {
  connect(): Promise<SharedClient>
  connect(
    callback: (
      error: Error | undefined,
      client: SharedClient | undefined,
      release: (error?: unknown) => void,
    ) => void,
  ): void
  readonly query: Pool['query']
  end(): Promise<void>
  end(callback: () => void): void
  readonly totalCount: number
  readonly idleCount: number
  readonly waitingCount: number
}

export type PooledDriver = Omit<typeof pg, 'Client' | 'Pool' | 'native'> & {
  readonly Client: new (config?: unknown) => SharedClient
  readonly Pool: new (config?: unknown) => DriverPool
  readonly native: null
}

/** Parameters that a server reports by itself when a session begins, and clients listen for. */
const REPORTED = ['server_version', 'standard_conforming_strings'] as const

export function pooledDriver(pool: Pool): PooledDriver {
  let reported: Promise<ReadonlyMap<string, string>> | undefined
  const greet = (): Promise<ReadonlyMap<string, string>> => {
    reported ??= askReported(pool).catch((error: unknown) => {
      reported = undefined
      throw error
    })
    return reported
  }

  class Client extends SharedClient {
    constructor(config?: unknown) {
      super(pool, typesOf(config), greet)
    }
  }

  class ClientPool extends EventEmitter {
    readonly options: unknown
    ending = false
    readonly #types: unknown

    constructor(config?: unknown) {
      super()
      this.options = pool.options
      this.#types = typesOf(config)
    }

    connect(callback?: (...given: unknown[]) => void): Promise<SharedClient> | undefined {
      const refused = this.ending
        ? new Error('Cannot use a pool after calling end on the pool')
        : undefined
      const client = new SharedClient(pool, this.#types)
      if (callback === undefined) {
        return refused === undefined ? Promise.resolve(client) : Promise.reject(refused)
      }
      process.nextTick(
        callback,
        refused,
        refused === undefined ? client : undefined,
        (error?: unknown) => client.release(error),
      )
      return undefined
    }

    query(...given: unknown[]): unknown {
      return (pool.query as (...given: unknown[]) => unknown).apply(pool, given)
    }

    end(callback?: () => void): Promise<void> | undefined {
      this.ending = true
      if (callback === undefined) return Promise.resolve()
      process.nextTick(callback)
      return undefined
    }

    get totalCount(): number {
      return pool.totalCount
    }

    get idleCount(): number {
      return pool.idleCount
    }

    get waitingCount(): number {
      return pool.waitingCount
    }
  }

  return {
    ...pg,
    native: null,
    Client,
    Pool: ClientPool as unknown as PooledDriver['Pool'],
  } as PooledDriver
}

async function askReported(pool: Pool): Promise<ReadonlyMap<string, string>> {
  const { rows } = await pool.query<{ name: string; setting: string }>(
    'SELECT name, setting FROM pg_settings WHERE name = ANY($1)',
    [REPORTED],
  )
  return new Map(rows.map(({ name, setting }) => [name, setting]))
}

function typesOf(config: unknown): unknown {
  return (config as { types?: unknown } | null | undefined)?.types
}
