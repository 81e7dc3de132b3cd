/**
 * The server behind PgBouncer, as an address tells it: what stands in the file, and what does not.
 *
 * Names go into a file with a syntax of its own, and into a statement for the reader to run. One that
 * would need quoting there is refused: it is rarer than a mistake.
 */
import { HastenError } from '../../core/errors.ts'
import { postgresUrl } from '../postgres-url.ts'

export interface ServerPlace {
  /** Which named it, for messages. */
  readonly option: string
  /** Undefined where none was given: then the rest is PostgreSQL's own default. */
  readonly url: string | undefined
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password: string | undefined
}

export function serverPlace(option: string, url: string | undefined): ServerPlace {
  if (url === undefined) {
    return {
      ...{ option, url, host: '127.0.0.1', port: 5432, database: '*', user: 'app' },
      password: undefined,
    }
  }
  const parsed = parse(option, url)
  const user = decodeURIComponent(parsed.username) || process.env['PGUSER'] || 'postgres'
  const password = decodeURIComponent(parsed.password) || process.env['PGPASSWORD']
  const database = decodeURIComponent(parsed.pathname.slice(1)) || user
  const host = parsed.searchParams.get('host') ?? decodeURIComponent(parsed.hostname)
  assertPlain(option, 'database', database)
  assertPlain(option, 'user', user)
  assertPlain(option, 'host', host || 'localhost')
  return {
    ...{ option, url, user, database },
    host: host.replace(/^\[|\]$/g, '') || '127.0.0.1',
    port: Number(parsed.port) || 5432,
    password: password === '' ? undefined : password,
  }
}

function parse(option: string, url: string): URL {
  const parsed = postgresUrl(url)
  if (parsed !== undefined) return parsed
  // The text may hold a password, and is not repeated.
  throw new HastenError(
    'OPTION_INVALID',
    `${option} must be one address such as postgres://user@host:5432/database`,
  )
}

function assertPlain(option: string, what: string, value: string): void {
  if (/^[\w.:/@+[\]-]+$/.test(value)) return
  throw new HastenError(
    'OPTION_INVALID',
    `the ${what} ${JSON.stringify(value)} of ${option} would need quoting in pgbouncer.ini; write that line by hand, with another ${what} here`,
  )
}
