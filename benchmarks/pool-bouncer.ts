/**
 * Behind PgBouncer, in session and in transaction mode, both of the versions that differ in what a
 * client may send: 1.18 keeps no prepared statements in transaction mode, 1.24 does.
 *
 * One row by key, 64 callers; our pool finds out by itself what is between. PgBouncer may
 * open a server connection for each of the pools' connections.
 */
import { type Postgres, startPostgres } from '#services/postgres.js'
import { type PgBouncerVersion, startPgBouncer } from '#services/pgbouncer.js'
import { type Claim, type Finding, type Scope, type Table } from './claim.ts'
import { CONNECTIONS, fill } from './pool-clients.ts'
import { contest, rates, ratio } from './pool-rounds.ts'
import { table, worker } from './pool-speed.ts'
import type { Sample } from './pool-worker.ts'

type Mode = 'session' | 'transaction'

const MODES: readonly Mode[] = ['session', 'transaction']
const VERSIONS: readonly PgBouncerVersion[] = ['1.18', '1.24']
const perSecond = (sample: Sample): number => sample.perSecond

export async function behindPgBouncer(scope: Scope): Promise<Finding> {
  const claims: Claim[] = []
  const tables: Table[] = []
  await using postgres = await startPostgres({ settings: { max_connections: '200' } })
  await fill(postgres.url())
  for (const mode of MODES) {
    for (const version of VERSIONS) {
      const found = await compared(scope, postgres, mode, version)
      claims.push(found.claim)
      tables.push(found.table)
    }
  }
  return { claims, tables }
}

async function compared(
  { isQuick }: Scope,
  postgres: Postgres,
  mode: Mode,
  version: PgBouncerVersion,
): Promise<{ claim: Claim; table: Table }> {
  await using bouncer = await startPgBouncer({
    server: postgres,
    mode,
    version,
    settings: {
      default_pool_size: String(CONNECTIONS * 4),
      max_client_conn: '200',
      ...(version === '1.24' && mode === 'transaction' ? { max_prepared_statements: '200' } : {}),
    },
  })
  const scope = { isQuick, url: bouncer.url() }
  const result = await contest({
    names: ['hasten', 'hasten-again', 'pg'],
    rounds: isQuick ? 2 : 5,
    warmUps: 1,
    start: (name) => worker(scope, name, { do: 'keys', callers: 64, ms: isQuick ? 200 : 700 }),
  })
  const times = ratio(result, 'hasten', 'pg', perSecond)
  const wrong = (result.samples['hasten'] ?? []).reduce((sum, each) => sum + each.wrong, 0)
  const what = `one row by key, 64 callers, behind PgBouncer ${bouncer.version}, ${mode} mode`
  const claim: Claim = {
    id: version === '1.18' ? `pgbouncer-${mode}` : `pgbouncer-${mode}-${version}`,
    what: `statements per second: ${what}; ${wrong} wrong rows`,
    ...rates(result, 'pg', 'pg.Pool, max 10, through the same PgBouncer'),
    goal: '>= 1 ×',
    met: times >= 1 && wrong === 0,
  }
  return { claim, table: table(what, result) }
}
