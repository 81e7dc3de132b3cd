/**
 * What the pool uses of `pg`, seen through small interfaces.
 *
 * The protocol is `pg.Client`'s. Its types do not tell everything that a pool needs (`_queryable`,
 * `_txStatus`, the socket under the connection), and users bring clients of their own (`Client` in
 * the options, `pg-native`): what such a client does not have is optional here.
 */
import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'

export interface PgClient extends EventEmitter {
  connect(): Promise<unknown>
  connect(callback: (error: Error | null | undefined) => void): void
  /** As `pg.Client.query`: text, config or submittable; values; callback. */
  query(text: unknown, values?: unknown, callback?: unknown): unknown
  end(): Promise<void>
  end(callback: (error?: Error) => void): void
  ref?(): void
  unref?(): void
  /** `pg-native` has none. */
  readonly connection?: PgConnection
  readonly host?: string | null
  readonly port?: number
  readonly processID?: number | null
  /** Four bytes as a number; as bytes where the server speaks protocol 3.2. */
  readonly secretKey?: number | Buffer | null
  /** Several statements under way at once; may be switched while nothing is. */
  pipeline?: boolean
  /** False once the socket failed. */
  readonly _queryable?: boolean
  readonly _ending?: boolean
  readonly _ended?: boolean
  readonly _connected?: boolean
  /** Of the last ReadyForQuery: `I` idle, `T` in a transaction, `E` in one that failed. */
  readonly _txStatus?: 'I' | 'T' | 'E' | null
  /** False from a statement's sending to the server's readiness for the next. */
  readonly readyForQuery?: boolean
  readonly _activeQuery?: unknown
  readonly _queryQueue?: unknown[]
  readonly _sentQueryQueue?: unknown[]
}

/** Emits what the server sends: `parameterStatus`, `readyForQuery`, `errorMessage` … */
export interface PgConnection extends EventEmitter {
  readonly stream: Socket
  readonly parsedStatements: Record<string, string>
  readonly submittedNamedStatements?: Record<string, string>
}

export type PgClientClass = new (config: object) => PgClient

/** The fields by which PostgreSQL tells of an error. */
export interface PgError extends Error {
  readonly code?: string
  readonly severity?: string
  readonly routine?: string
}
