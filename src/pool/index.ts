/** Pool: a drop-in for `pg.Pool` with warm, shared, prepared connections. Needs `pg`. */
export { type CallOptions, Pool } from './pool.ts'
export type { PoolOptions, Priority } from './pool-options.ts'
export type { ConnectionStats, PoolStats, StatementStats } from './pool-stats.ts'
