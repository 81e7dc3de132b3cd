/**
 * Observe PostgreSQL: registers the hooks of `pg` and of the pools around it, for every copy that
 * the application loads.
 *
 *   pg, pg-pool        pg-client.ts, pg-pool.ts; pg's ES entry exports the same classes
 *   tarn (Knex), sequelize-pool    pg-other-pools.ts
 *   postgres           postgres-js.ts
 *   hasten/pool        hasten-pool.ts, by its channels
 */
import { observePostgresJs } from './postgres-js.ts'
import { onModule } from './modules.ts'
import { clientQuery, observeClient } from './pg-client.ts'
import { pgSeam } from './pg-interceptor.ts'
import { observeSequelizePool, observeTarn } from './pg-other-pools.ts'
import { observePool, poolQuery } from './pg-pool.ts'
import { observeHastenPool } from './hasten-pool.ts'
import { poolFacts, resetPools } from './pool-registry.ts'

export { poolFacts as pools, resetPools }

export function observePg(): void {
  pgSeam.interceptor = { clientQuery, poolQuery }
  onModule('pg', (exports) => {
    observeClient(exports.Client)
    observePool(exports.Pool)
  })
  onModule('pg-pool', (exports) => {
    observePool(typeof exports === 'function' ? exports : (exports.default ?? exports.Pool))
  })
  onModule('tarn', (exports) => observeTarn(exports.Pool))
  onModule('sequelize-pool', (exports) => observeSequelizePool(exports.Pool))
  onModule('postgres', observePostgresJs)
  observeHastenPool()
}
