/**
 * Configured database: where the environment says that the database is, before anybody connects.
 *
 * Many applications connect when they are asked first, and that first request would already be one
 * too many for a database that is not ours to load. What the environment does not tell (a file that
 * the application reads) is seen at its first connection.
 */
import { isLocalDatabase } from '../local-database.ts'
import { postgresUrl } from '../postgres-url.ts'

const urls = ['DATABASE_URL', 'POSTGRES_URL', 'PG_CONNECTION_STRING', 'DB_CONNECTION_URL']
const hosts = ['PGHOST', 'POSTGRES_HOST']

export interface ConfiguredDatabase {
  readonly variable: string
  readonly host: string
}

/** The first that is not on this machine. */
export function remoteDatabaseOf(env: NodeJS.ProcessEnv): ConfiguredDatabase | undefined {
  for (const variable of urls) {
    const host = hostOf(env[variable] ?? '')
    if (host !== undefined && !isLocalDatabase(host)) return { variable, host }
  }
  for (const variable of hosts) {
    const host = env[variable] ?? ''
    if (!isLocalDatabase(host)) return { variable, host }
  }
  return undefined
}

function hostOf(url: string): string | undefined {
  const address = postgresUrl(url)
  if (address === undefined) return undefined
  try {
    return decodeURIComponent(address.hostname)
  } catch {
    return undefined
  }
}
