/**
 * CancelRequest: asks the server to stop what a connection is doing.
 *
 * The protocol sends it on a connection of its own, and it names a backend, not a statement [1]: a
 * request that comes late stops whatever runs there by then. So the pool takes no new statement on a
 * connection from the moment it asks until this promise settles, and repeats what was hit by mistake.
 * The server closes the connection when it has signalled the backend; the backend sees the signal
 * before it reads its next message.
 *
 * Bounded: after `limitMs` it is given up. Never rejects: whether it worked shows on the statement.
 *
 * [1] https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
 */
import type { Socket } from 'node:net'
import pg from 'pg'
import type { PgClient } from './pg.ts'

interface CancelConnection {
  readonly stream: Socket
  connect(portOrPath: number | string, host?: string): void
  on(event: 'connect' | 'sslconnect' | 'end' | 'error', listener: () => void): void
  requestSsl(): void
  cancel(processId: number, secretKey: number | Buffer): void
}

const Connection = pg.Connection as unknown as new (config: object) => CancelConnection

/** @param stream of the client's own options; a function makes a socket of the same kind */
export function cancelRequest(client: PgClient, stream?: unknown, limitMs = 2_000): Promise<void> {
  const { processID, secretKey, port } = client
  const host = client.host ?? 'localhost'
  if (processID == null || secretKey == null || port === undefined) return Promise.resolve()
  return new Promise((resolve) => {
    let connection: CancelConnection | undefined
    const done = () => {
      clearTimeout(limit)
      connection?.stream.destroy()
      resolve()
    }
    const limit = setTimeout(done, limitMs)
    try {
      const { ssl = false } = client as { ssl?: unknown }
      const own = typeof stream === 'function' ? { stream } : {}
      const made = new Connection({ ssl, ...own })
      connection = made
      made.on('error', done)
      made.on('end', done)
      const ask = () => made.cancel(processID, secretKey)
      made.on('connect', ssl ? () => made.requestSsl() : ask)
      made.on('sslconnect', ask)
      if (host.startsWith('/')) made.connect(`${host}/.s.PGSQL.${port}`)
      else made.connect(port, host)
    } catch {
      done()
    }
  })
}
