/**
 * Pooler console: what PgBouncer tells of itself to users who may ask.
 *
 * Its database `pgbouncer` answers SHOW to `stats_users` and `admin_users`, and refuses all others at
 * the door. Asked on a connection of its own, once per pool, and only where nothing else tells the
 * mode; whoever says the mode by option is never asked about.
 */
import type { PgClient, PgClientClass } from './pg.ts'

export interface PoolerConsole {
  /** `1.18.0` */
  readonly version: string
  /** Of every pool for the database; undefined where they differ, or there is none. */
  readonly mode: string | undefined
}

const LIMIT_MS = 1_000

/** Undefined where it may not be asked, or is no PgBouncer. */
export async function askConsole(client: PgClient): Promise<PoolerConsole | undefined> {
  const { host, port, user, password, database, ssl } = client as PgClient & Login
  // A password that a function gives has been asked for by now and stands here as a text.
  if (typeof password === 'function') return undefined
  const Client = client.constructor as PgClientClass
  const console = new Client({
    ...{ host, port, user, password, ssl, database: 'pgbouncer' },
    connectionTimeoutMillis: LIMIT_MS,
  })
  console.on('error', () => {})
  const limit = setTimeout(() => console.connection?.stream.destroy(), 2 * LIMIT_MS)
  try {
    await console.connect()
    const [version] = await show(console, 'VERSION')
    const pools = await show(console, 'POOLS')
    const modes = new Set(
      pools.filter((pool) => pool['database'] === database).map((pool) => pool['pool_mode']),
    )
    const [mode] = modes
    return {
      version: /(\d+\.\d+\.\d+)/.exec(String(version?.['version']))?.[1] ?? '',
      mode: modes.size === 1 && typeof mode === 'string' ? mode : undefined,
    }
  } catch {
    return undefined
  } finally {
    clearTimeout(limit)
    // Nobody waits for it.
    console.end(() => {})
  }
}

interface Login {
  readonly user?: string
  readonly password?: unknown
  readonly database?: string
  readonly ssl?: unknown
}

/** By the simple protocol, the only one that the console speaks. */
async function show(client: PgClient, what: string): Promise<Record<string, unknown>[]> {
  const { rows } = (await client.query(`SHOW ${what}`)) as { rows: Record<string, unknown>[] }
  return rows
}
