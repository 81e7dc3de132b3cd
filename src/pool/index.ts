/** Pool: a drop-in for `pg.Pool` with warm, shared, prepared connections. Needs `pg`. */
export type { DnsStats, LookupAll } from './dns-cache.ts'
export type { HttpDnsOptions, HttpPoolOptions, HttpRetryOptions } from './http-options.ts'
export type { HttpOriginStats } from './http-origin.ts'
export { type HttpPool, type HttpPoolStats, httpPool } from './http-pool.ts'
export { type CallOptions, Pool } from './pool.ts'
export type { PoolOptions, Priority } from './pool-options.ts'
export type { ConnectionStats, PoolStats, StatementStats } from './pool-stats.ts'
