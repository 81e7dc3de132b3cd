/**
 * PgConnection: what is known of one connection to PostgreSQL beside what its client knows.
 *
 * A number, unique in the process; which transaction block it is in; how many bytes have been
 * counted. It hangs on the client, under a symbol, and lives as long as that.
 *
 * Transaction blocks are numbered as statements are *sent*: in a pipeline BEGIN and what follows are
 * on their way before the server has answered anything, so the server's own word (the status in
 * ReadyForQuery) only counts while nothing is under way. It then corrects what the texts did not
 * tell: a block that a function has ended, a COMMIT that was refused.
 *
 * Bytes are what the socket has received since the answer before. In a pipeline, where one read
 * brings many answers, the first of them gets all: exact in sum, not each.
 */
import type { Statement } from '../core/statement.ts'
import { isUnobserved } from './unobserved.ts'

/** The part of `pg`'s Client that the hooks look at. */
export interface PgClient {
  readonly connection?: PgWire
  readonly connectionParameters?: {
    readonly host?: string
    readonly port?: number
    readonly database?: string
  }
  /** Until 8.16; later a getter that warns. */
  readonly queryQueue?: readonly object[]
  readonly _queryQueue?: readonly object[]
  readonly _handleReadyForQuery?: unknown
  /** `undefined` until it has connected and been idle for the first time. */
  readonly readyForQuery?: boolean
  readonly query?: unknown
  readonly _Promise?: unknown
  /** From 8.19: what the last ReadyForQuery said; null before the first. */
  getTransactionStatus?(): string | null
  [connectionOf]?: PgConnection
}

/** The part of `pg`'s Connection that the hooks look at. */
export interface PgWire {
  readonly stream?: { readonly bytesRead?: number }
  readonly parsedStatements?: Readonly<Record<string, string>>
  prependListener?(event: string, listener: (message: ReadyMessage) => void): unknown
}

export interface ReadyMessage {
  /** I: idle, T: in a transaction block, E: in a failed one. */
  readonly status?: string
}

export const connectionOf: unique symbol = Symbol('hasten.connection')

let connections = 0

export class PgConnection {
  readonly number: number = ++connections
  readonly client: PgClient
  /** One of our own inside the application, see unobserved.ts. */
  readonly isUnobserved: boolean
  #transactions = 0
  #transaction: number | undefined
  #underWay = 0
  /** Where the client cannot be asked; unknown where the driver does not tell. */
  #status: string | undefined
  #bytesBefore = 0

  constructor(client: PgClient) {
    this.client = client
    this.isUnobserved = isUnobserved(client)
    // Before 8.2 the client had no method that hears of this.
    if (client._handleReadyForQuery === undefined) {
      client.connection?.prependListener?.('readyForQuery', (message) => this.ready(message))
    }
  }

  static of(client: PgClient): PgConnection {
    return (client[connectionOf] ??= new PgConnection(client))
  }

  /** Returns the number of the transaction block that it belongs to. */
  sent(statement: Statement): number | undefined {
    this.#believeServer()
    this.#underWay += 1
    const { transaction } = statement
    if (transaction === undefined) return this.#transaction
    if (transaction === 'begin') return (this.#transaction ??= ++this.#transactions)
    const ended = this.#transaction
    this.#transaction = undefined
    return ended
  }

  /** Returns the bytes that have come for it. */
  answered(): number {
    this.#underWay -= 1
    this.#believeServer()
    const bytes = this.client.connection?.stream?.bytesRead
    if (bytes === undefined) return 0
    const received = bytes - this.#bytesBefore
    this.#bytesBefore = bytes
    return received
  }

  /** What the connection received for itself is no statement's. */
  connected(): void {
    this.#bytesBefore = this.client.connection?.stream?.bytesRead ?? 0
  }

  ready({ status }: ReadyMessage): void {
    if (status === undefined) return
    this.#status = status
    this.#believeServer()
  }

  #believeServer(): void {
    if (this.#underWay > 0) return
    const { client } = this
    const status =
      client.getTransactionStatus === undefined ? this.#status : client.getTransactionStatus()
    if (typeof status !== 'string') return
    if (status === 'I') this.#transaction = undefined
    else this.#transaction ??= ++this.#transactions
  }
}
