/**
 * One attempt: a client that connects to one server, within a time, or is destroyed.
 *
 *   new Client ─▶ connect ─▶ is it the server we want? ─▶ handed over
 *        └──── error, end, deadline or abort at any point ────▶ socket destroyed, rejected
 *
 * From the constructor to the hand-over the client has an `error` listener of ours, and keeps it where
 * the attempt fails: errors that come after it (a password function that answers too late) would end
 * the process. A server's last words may come in one packet with its readiness (`FATAL 57P01` behind
 * ReadyForQuery), so the hand-over waits, by way of a promise, until the packet has been read.
 *
 * `connect` is called with a callback, which is what every `Client` of others has; one that fails may
 * have no more than `connect` and `on`.
 */
import type { PgClient, PgClientClass } from './pg.ts'
import type { Reported } from './session-target.ts'
import { WrongServer } from './wrong-server.ts'

export interface ConnectAttempt {
  readonly Client: PgClientClass
  readonly config: object
  /** For connecting and the check together. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** Why this server will not do, if so; `undefined`: whoever answers will. */
  readonly unfit?:
    | ((client: PgClient, reported: Reported) => Promise<string | undefined>)
    | undefined
}

export function attemptConnect(attempt: ConnectAttempt): Promise<PgClient> {
  const { Client, config, timeoutMs, signal, unfit } = attempt
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const client = new Client(config)
    let isSettled = false

    const settle = (): boolean => {
      if (isSettled) return false
      isSettled = true
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      client.removeListener?.('end', onEnd)
      return true
    }
    const fail = (error: unknown): void => {
      if (!settle()) return
      if (error instanceof WrongServer) dismiss(client)
      else destroy(client)
      reject(error as Error)
    }
    const succeed = (): void => {
      if (!settle()) return
      client.removeListener?.('error', fail)
      resolve(client)
    }
    const onAbort = (): void => fail(signal.reason)
    const onEnd = (): void => fail(new Error('Connection terminated unexpectedly'))
    const timer = setTimeout(() => {
      const message = `timeout expired: the server did not let us in within ${timeoutMs} ms`
      fail(Object.assign(new Error(message), { code: 'ETIMEDOUT' }))
    }, timeoutMs)

    client.on('error', fail)
    client.on('end', onEnd)
    signal.addEventListener('abort', onAbort, { once: true })
    const reported = unfit === undefined ? none : listenForReports(client)
    connected(client)
      .then(() => unfit?.(client, reported))
      .then((reason) => {
        if (reason === undefined) succeed()
        else fail(new WrongServer(reason))
      })
      .catch(fail)
  })
}

function connected(client: PgClient): Promise<void> {
  return new Promise((resolve, reject) => {
    client.connect((error) => {
      if (error) reject(error)
      else resolve()
    })
  })
}

const none: Reported = new Map()

/** What the server says of itself while the session starts; `pg` passes it on as events. */
function listenForReports(client: PgClient): Reported {
  const reported = new Map<string, string>()
  client.connection?.on(
    'parameterStatus',
    ({ parameterName, parameterValue }: { parameterName: string; parameterValue: string }) => {
      if (parameterName === 'in_hot_standby' || parameterName === 'default_transaction_read_only') {
        reported.set(parameterName, parameterValue)
      }
    },
  )
  return reported
}

/** In order: the server is told, and forgets the session at once. */
function dismiss(client: PgClient): void {
  client.end(() => {})
  client.connection?.stream.destroySoon?.()
}

/** At once: whoever does not answer is not told either. */
function destroy(client: PgClient): void {
  if (client.connection === undefined) client.end?.(() => {})
  else client.connection.stream.destroy()
}
