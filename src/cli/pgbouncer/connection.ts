/**
 * One connection to a server or to PgBouncer's console, with errors that name the place and never the
 * password.
 */
import { HastenError } from '../../core/errors.ts'
import { postgresUrl } from '../postgres-url.ts'

export type Row = Readonly<Record<string, unknown>>

interface Client {
  readonly processID?: number | null
  connect(): Promise<unknown>
  query(text: string): Promise<{ rows: Row[] }>
  end(): Promise<void>
  on(event: 'error', listener: () => void): void
}

const CONNECT_MS = 5_000
/** Each answer is there at once, but for one that waits in a pooler: that could be for ever. */
const ANSWER_MS = 30_000

export class Connection {
  readonly #client: Client
  readonly #place: string

  private constructor(client: Client, place: string) {
    this.#client = client
    this.#place = place
  }

  /** @throws DATABASE_UNREACHABLE, and OPTION_INVALID for what is no address */
  static async open(option: string, url: string): Promise<Connection> {
    const place = placeOf(option, url)
    const Client = await clientClass(option)
    const client = new Client({
      connectionString: url,
      connectionTimeoutMillis: CONNECT_MS,
      query_timeout: ANSWER_MS,
      application_name: 'hasten pgbouncer',
    })
    client.on('error', () => {})
    const connection = new Connection(client, place)
    try {
      await client.connect()
    } catch (error) {
      // Where a password is missing the socket stays open, and the process with it.
      void connection.close()
      throw connection.#unreachable(error)
    }
    return connection
  }

  /** By the simple protocol, the only one that PgBouncer's console speaks. */
  async rows(text: string): Promise<readonly Row[]> {
    try {
      return (await this.#client.query(text)).rows
    } catch (error) {
      throw this.#unreachable(error)
    }
  }

  /** Whether it goes through a pooler, whose key is no pid of a backend. */
  async isPooled(): Promise<boolean> {
    const [row] = await this.rows('SELECT pg_backend_pid() AS pid')
    return Number(row?.['pid']) !== this.#client.processID
  }

  async close(): Promise<void> {
    await this.#client.end().catch(() => {})
  }

  #unreachable(error: unknown): HastenError {
    const { code, message } = error as { code?: string; message: string }
    return new HastenError(
      'DATABASE_UNREACHABLE',
      `${this.#place} gives no answer: ${message || code}${code === undefined || message === '' ? '' : ` (${code})`}`,
      { cause: error },
    )
  }
}

/** `127.0.0.1:6432/pgbouncer` */
function placeOf(option: string, url: string): string {
  const address = postgresUrl(url)
  if (address !== undefined) return `${option} ${address.host}${address.pathname}`
  // What is no address may still hold a password: it is not repeated.
  throw new HastenError(
    'OPTION_INVALID',
    `${option} must be an address such as postgres://user@host:5432/database`,
  )
}

async function clientClass(option: string): Promise<new (config: object) => Client> {
  try {
    const { default: pg } = await import('pg')
    return pg.Client as unknown as new (
      config: object,
    ) => Client
  } catch {
    throw new HastenError(
      'OPTION_INVALID',
      `${option} needs the package pg, which is not installed: npm i pg, or give --rate and --service-ms`,
    )
  }
}
