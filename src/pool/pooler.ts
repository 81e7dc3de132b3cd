/** What stands between the pool and the server; found out once. */
import type { PgClient } from './pg.ts'
import type { PoolSettings } from './pool-options.ts'

export interface Pooler {
  readonly isPooled: boolean
  readonly mode: 'session' | 'transaction'
  /** Named statements work through it. */
  readonly prepare: boolean
  /** Several statements may be under way at once. */
  readonly pipeline: boolean
}

export async function detectPooler(
  _client: PgClient,
  told: PoolSettings['pgbouncer'],
): Promise<Pooler> {
  if (told === 'transaction') {
    return { isPooled: true, mode: 'transaction', prepare: false, pipeline: false }
  }
  return { isPooled: told === 'session', mode: 'session', prepare: true, pipeline: true }
}
