/**
 * Silence watch: finds connections whose other end is gone and where nobody said so.
 *
 *   something under way, and not a byte for SILENT_MS
 *        └─▶ over a fresh connection to the same server: is that session there, and what does it do?
 *               works                       it is slow: leave it alone
 *               is not there                its answer will never come: close the connection
 *               idle, for a while already   its answer was sent and got lost: the same
 *
 * A firewall that forgot the connection, a relay or a host in between that lost power: the kernel needs
 * up to a quarter of an hour to notice, and until then callers without a deadline hang. How long a
 * statement may take nobody knows; whether it is being run the server does. What is closed is dealt
 * with as any lost connection: reads are repeated, writes are uncertain.
 *
 * Rules:
 *   1. Behind one address there may be several servers, and the fresh connection may reach another.
 *      So each connection is asked once who its server is, at a moment when it is free; without that, or
 *      where the fresh one says something else, nothing is closed. (One that is never free is shared
 *      by many, and the dispatcher sees that its first holds the others up.)
 *   2. Behind a pooler process ids are the pooler's own: nothing is asked. One that was not recognised
 *      shows by the id that the server gives.
 *   3. A byte that comes meanwhile ends the suspicion.
 *   4. Of borrowers' connections only those are closed whose session is not there: what a query object
 *      of theirs has yet to send cannot be seen.
 *   5. One question at a time. Where the server cannot be reached nothing is closed: a network that is
 *      away may come back with everything that it holds.
 *
 * Costs a look at each connection every `TICK_MS`, by a timer that keeps no process alive.
 */
import type { ConnectionSet } from './connection-set.ts'
import type { Connector } from './connector.ts'
import type { PooledConnection } from './pooled-connection.ts'

const TICK_MS = 1_000
const SILENT_MS = 4_000
const ANSWER_MS = 5_000

/** The moment of its start, to the microsecond, tells one server from another. */
const identity = `SELECT pg_catalog.pg_backend_pid() AS pid,
  extract(epoch FROM pg_catalog.pg_postmaster_start_time())::text AS server`

/** A session that is idle for less may have its answer on the way. */
const sessions = `SELECT pid, extract(epoch FROM pg_catalog.pg_postmaster_start_time())::text AS server,
  coalesce(state LIKE 'idle%' AND clock_timestamp() - state_change > interval '2 seconds', false) AS idle
  FROM pg_catalog.pg_stat_activity WHERE pid = ANY ($1) OR pid = pg_catalog.pg_backend_pid()`

interface Silence {
  readonly bytes: number
  readonly sinceMs: number
}

interface Session {
  readonly pid: number
  readonly server: string
  readonly idle: boolean
}

export class SilenceWatch {
  readonly #set: ConnectionSet
  readonly #connector: Connector
  readonly #now: () => number
  readonly #silent = new WeakMap<PooledConnection, Silence>()
  /** Of each connection that was asked; empty while it has not answered, and where it never counts. */
  readonly #servers = new WeakMap<PooledConnection, string>()
  #timer: NodeJS.Timeout | undefined
  #isAsking = false

  constructor(set: ConnectionSet, connector: Connector, now: () => number) {
    this.#set = set
    this.#connector = connector
    this.#now = now
  }

  start(): void {
    if (this.#timer !== undefined) return
    this.#timer = setInterval(() => this.#look(), TICK_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #look(): void {
    if (this.#set.isPooled) return
    const now = this.#now()
    const suspects: PooledConnection[] = []
    for (const connection of [...this.#set.all()]) {
      const bytes = connection.client.connection?.stream.bytesRead
      if (bytes === undefined) continue
      const server = this.#servers.get(connection)
      if (server === undefined) this.#identify(connection)
      if (!isBusy(connection)) {
        this.#silent.delete(connection)
        continue
      }
      const known = this.#silent.get(connection)
      if (known?.bytes !== bytes) this.#silent.set(connection, { bytes, sinceMs: now })
      else if (server && now - known.sinceMs >= SILENT_MS) suspects.push(connection)
    }
    if (suspects.length === 0 || this.#isAsking) return
    const done = (): void => {
      this.#isAsking = false
    }
    this.#isAsking = true
    this.#judge(suspects).then(done, done)
  }

  #identify(connection: PooledConnection): void {
    const { client, mode } = connection
    if (mode !== 'free') return
    const answer = (result: unknown): void => {
      const [row] = (result as { rows: Session[] }).rows
      if (row !== undefined && row.pid === client.processID)
        this.#servers.set(connection, row.server)
    }
    this.#servers.set(connection, '')
    this.#set.askFree(connection, identity, answer)
  }

  async #judge(suspects: readonly PooledConnection[]): Promise<void> {
    const pids = suspects.map(({ client }) => client.processID ?? 0)
    const found = new Map((await this.#sessions(pids)).map((session) => [session.pid, session]))
    const [any] = found.values()
    for (const connection of suspects) {
      if (connection.isLost || !isBusy(connection)) continue
      if (any === undefined || any.server !== this.#servers.get(connection)) continue
      const bytes = connection.client.connection?.stream.bytesRead
      if (this.#silent.get(connection)?.bytes !== bytes) continue
      const session = found.get(connection.client.processID ?? 0)
      if (session === undefined || (session.idle && connection.mode !== 'lent')) {
        const message =
          'Connection terminated unexpectedly: the server knows nothing of it any more'
        this.#set.destroy(connection, new Error(message))
      }
    }
  }

  /** Those of `pids` that there are, and that of the connection itself. */
  async #sessions(pids: readonly number[]): Promise<readonly Session[]> {
    const signal = AbortSignal.timeout(ANSWER_MS)
    const client = await this.#connector.connect({ signal })
    client.on('error', () => {})
    try {
      return await new Promise<readonly Session[]>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
        const told = (error: Error | null | undefined, result: { rows: Session[] }): void => {
          if (error) reject(error)
          else resolve(result.rows)
        }
        client.query(sessions, [pids], told)
      })
    } finally {
      client.end(() => {})
      if (signal.aborted) client.connection?.stream.destroy()
    }
  }
}

function isBusy({ calls, client, mode }: PooledConnection): boolean {
  return calls.length > 0 || (mode === 'lent' && client._activeQuery != null)
}
