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
 * A pool's query passes twice, first as the pool's and then as its client's. What was known the first
 * time is handed over in `passing`, not by a second entry into an asynchronous context.
 */
import type { Scope } from '../timing/index.ts'
import type { PgClient } from './pg-connection.ts'
import type { PgPool } from './pg-pool.ts'

export type QueryArguments = readonly [config: unknown, values?: unknown, callback?: unknown]

export interface PgInterceptor {
  /** Called for each query, `args` as the application gave them. */
  clientQuery(client: PgClient, args: QueryArguments, proceed: Proceed<PgClient>): unknown
  poolQuery(pool: PgPool, args: QueryArguments, proceed: Proceed<PgPool>): unknown
}

/** A query of a pool that is about to pass as its client's. */
export interface Passing {
  /** Of whoever called the pool. */
  readonly scope: Scope | undefined
}

export type Proceed<Target> = (this: Target, ...args: unknown[]) => unknown

/** Set once, when the hooks are installed. Until then nothing is in the way. */
export const pgSeam: { interceptor: PgInterceptor; passing: Passing | undefined } = {
  passing: undefined,
  interceptor: {
    clientQuery: (client, args, proceed) => proceed.apply(client, args as unknown as unknown[]),
    poolQuery: (pool, args, proceed) => proceed.apply(pool, args as unknown as unknown[]),
  },
}
