/**
 * PgInterceptor: the one place where every query of pg passes on its way in.
 *
 *   application ──▶ Pool.query ──▶ interceptor.poolQuery ──▶ pg-pool ──┐
 *   application ──▶ Client.query ─▶ interceptor.clientQuery ──▶ pg ◀───┘
 *
 * Whoever stands here gets the target, the arguments as the application gave them, and `proceed`,
 * which goes on as if nobody stood here. What it returns is what the application gets: today we
 * watch and proceed; one who answers a call, or replaces it, stands in the same place.
 *
 * A pool's query passes twice, first as the pool's and then as its client's.
 */
import type { PgClient } from './pg-connection.ts'
import type { PgPool } from './pg-pool.ts'

export type QueryArguments = readonly [config: unknown, values?: unknown, callback?: unknown]

export interface PgInterceptor {
  /** Called for each query, `args` as the application gave them. */
  clientQuery(client: PgClient, args: QueryArguments, proceed: Proceed<PgClient>): unknown
  poolQuery(pool: PgPool, args: QueryArguments, proceed: Proceed<PgPool>): unknown
}

export type Proceed<Target> = (this: Target, ...args: unknown[]) => unknown

/** Set once, when the hooks are installed. Until then nothing is in the way. */
export const pgSeam: { interceptor: PgInterceptor } = {
  interceptor: {
    clientQuery: (client, args, proceed) => proceed.apply(client, args as unknown as unknown[]),
    poolQuery: (pool, args, proceed) => proceed.apply(pool, args as unknown as unknown[]),
  },
}
