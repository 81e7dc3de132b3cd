/**
 * Pooler probe: what a connection shows of the way to its server.
 *
 *   backendPid   the pid of the backend. A server that is reached directly told it on connecting, a
 *                pooler hands out a key of its own (PgBouncer: a random number)
 *   probe        Parse(name) Bind Execute Sync ─▶ under which names the server knows this very statement:
 *                ours, or, where a pooler keeps prepared statements for its clients, `PGBOUNCER_7`
 *                Close(name) Sync              ─▶ and it is gone
 *
 * Close goes with a Sync of its own: a PgBouncer that keeps statements may answer out of order where it
 * shares one with Parse. An old one by transaction may take another server for it, and the statement
 * stays behind, under a name that nobody else uses, until that server's connection ends.
 */
import pg from 'pg'
import type { PgClient } from './pg.ts'

export interface ProbeAnswer {
  /** Under which the server knows our statement, and others that were left of it. */
  readonly names: readonly string[]
  readonly name: string
}

interface Wire {
  parse(message: { text: string; name: string }): void
  bind(message: object): void
  execute(message: object): void
  close(message: object): void
  sync(): void
}

/** Always the same: a pooler that keeps texts keeps one. */
const text = `SELECT array_to_string(array(
  SELECT name FROM pg_catalog.pg_prepared_statements WHERE statement LIKE '%hasten pooler probe%'
), ' ')`

/** Rejects with the server's error, or when the connection goes. */
export async function backendPid(client: PgClient): Promise<number> {
  const [pid] = await run(client, (wire) => {
    wire.parse({ text: 'SELECT pg_catalog.pg_backend_pid()', name: '' })
    wire.bind({ values: [] })
    wire.execute({ portal: '' })
    wire.sync()
  })
  return Number(pid)
}

/** Rejects likewise. */
export async function probe(client: PgClient): Promise<ProbeAnswer> {
  const name = `hasten_probe_${Math.random().toString(36).slice(2, 12)}`
  const [names] = await run(client, (wire) => {
    wire.parse({ text, name })
    wire.bind({ statement: name, values: [] })
    wire.execute({ portal: '' })
    wire.sync()
  })
  await run(client, (wire) => {
    wire.close({ type: 'S', name })
    wire.sync()
  })
  return { names: (names ?? '').split(' ').filter((each) => each !== ''), name }
}

type Fields = readonly (string | null)[]

function run(client: PgClient, write: (wire: Wire) => void): Promise<Fields> {
  return new Promise((resolve, reject) => {
    client.query(new Exchange(write, resolve, reject))
  })
}

/** A query object of `pg`'s: the fields of the last row. */
class Exchange {
  /** There is one, so that `Client.query` adds none. */
  callback: () => void = () => {}
  readonly #write: (wire: Wire) => void
  readonly #resolve: (fields: Fields) => void
  readonly #reject: (error: unknown) => void
  #fields: Fields = []

  constructor(
    write: (wire: Wire) => void,
    resolve: (fields: Fields) => void,
    reject: (error: unknown) => void,
  ) {
    this.#write = write
    this.#resolve = resolve
    this.#reject = reject
  }

  submit(wire: Wire & { readonly stream: { cork?(): void; uncork?(): void } }): null {
    wire.stream.cork?.()
    this.#write(wire)
    wire.stream.uncork?.()
    return null
  }

  handleRowDescription(): void {}

  handleDataRow({ fields }: { fields: Fields }): void {
    this.#fields = fields
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.#resolve(this.#fields)
  }

  handleError(error: unknown): void {
    this.#reject(error)
  }
}
// `Client.query` lets only its own kind of query into a pipeline.
Object.setPrototypeOf(
  Exchange.prototype,
  (pg as unknown as { Query: { prototype: object } }).Query.prototype,
)
