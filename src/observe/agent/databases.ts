/**
 * Databases: which ones the application connects to, which of them are away, and a connection of
 * one's own to one of them.
 *
 * Told when it changes: address and name, never a user or a password. Bound: 256 addresses, 1,000
 * changes.
 */
import type { DatabaseFacts, Tell } from '../../core/agent-wire.ts'
import type { SeamClient } from '../agent-seam.ts'
import { onModule } from '../modules.ts'
import { unobserved } from '../unobserved.ts'
import type { ExplainClient } from './explain.ts'
import type { ConnectionParameters } from './statement-samples.ts'

type ClientClass = new (config: object) => ExplainClient

const MAX_DATABASES = 256
const MAX_CHANGES = 1_000
/** Errors of the way to the server, as against what a server answers. */
const awayCodes = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'ENOENT',
])

export class Databases {
  readonly #tell: (message: Tell) => void
  /** Code of the last failure, `''` where it was reached. */
  readonly #states = new Map<string, string>()
  #changes = 0
  #Client: ClientClass | undefined

  constructor(tell: (message: Tell) => void) {
    this.#tell = tell
    onModule('pg', (exports: { Client?: ClientClass; default?: { Client?: ClientClass } }) => {
      this.#Client ??= exports.Client ?? exports.default?.Client
    })
  }

  readonly seeConnect = (client: SeamClient, error?: unknown): void => {
    const facts = addressOf(client)
    if (facts === undefined) return
    const code = error === undefined ? undefined : codeOf(error)
    if (error !== undefined && (code === undefined || !awayCodes.has(code))) return
    const key = JSON.stringify(facts)
    const known = this.#states.get(key)
    if (known === (code ?? '') || this.#changes >= MAX_CHANGES) return
    if (known === undefined && this.#states.size >= MAX_DATABASES) return
    this.#states.set(key, code ?? '')
    this.#changes += 1
    if (code === undefined) this.#tell({ tell: 'database', ...facts })
    else this.#tell({ tell: 'database-away', ...facts, code })
  }

  /** By the first copy of pg that the application has loaded; not yet connected. */
  readonly connectTo = (parameters: ConnectionParameters): ExplainClient | undefined => {
    if (this.#Client === undefined) return undefined
    const { host, port, database, user, password, ssl, options } = parameters
    const client = new this.#Client({
      host,
      port,
      database,
      user,
      password,
      ssl,
      options,
      application_name: 'hasten',
      connectionTimeoutMillis: 2_000,
      query_timeout: 5_000,
    })
    Object.defineProperty(client, unobserved, { value: true })
    return client
  }
}

function addressOf({ connectionParameters }: SeamClient): DatabaseFacts | undefined {
  if (connectionParameters === undefined) return undefined
  const { host = 'localhost', port = 5432, database = '' } = connectionParameters
  return { host: String(host), port: Number(port), database: String(database) }
}

function codeOf(error: unknown): string | undefined {
  const { code, errors } = error as { code?: unknown; errors?: unknown[] }
  if (typeof code === 'string') return code
  // Where a name has several addresses, each has its own error.
  return Array.isArray(errors) && errors.length > 0 ? codeOf(errors[0]) : undefined
}
