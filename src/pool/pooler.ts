/**
 * Pooler: what stands between the pool and the server, and what may be sent through it.
 *
 *                                                        prepare   pipeline
 *   nothing                                              yes       yes
 *   a pooler that gives whole sessions                   yes       yes
 *   PgBouncer ≥ 1.21 by transaction, which keeps
 *     prepared statements (`max_prepared_statements`)    yes       no [1]
 *   PgBouncer by transaction, which keeps none           no        no [2]
 *   something, nobody knows what                         no        no
 *
 * Found out once, on the pool's first connection. A key that is the backend's pid, as told on
 * connecting, means that nothing is between: one round trip. Else the probe shows whether statements
 * get names of the pooler's own. Where they do not, it may be an old one by transaction or any one by
 * session, and nothing that a client can do tells them apart for certain: a lone client gets the same
 * server again in either. So PgBouncer itself is asked, where the user may; else it is taken for the
 * more delicate of the two. `pgbouncer: 'session'` says otherwise. What borrowers leave in a session is
 * put back all the same: it may be one that lasts.
 *
 * [1] 1.24.1 bore it in every trial of ours, but reports stand open against several statements under
 *     way by transaction: a server that stalls behind a Parse which arrived in two pieces
 *     (pgbouncer#1532), answers out of order where Parse and Close share a Sync (#1555, so nothing is
 *     closed there either), a race at ReadyForQuery (#759).
 * [2] Measured on 1.18.0: with messages of some kB, bytes of one statement get into another: 08P01,
 *     22021, 34000, or no answer ever.
 */
import type { PgClient } from './pg.ts'
import type { PoolSettings } from './pool-options.ts'
import { askConsole, type PoolerConsole } from './pooler-console.ts'
import { backendPid, probe } from './pooler-probe.ts'

export interface Pooler {
  readonly isPooled: boolean
  /** How long a client keeps a server connection. `unknown`: one of the two. */
  readonly mode: 'session' | 'transaction' | 'unknown'
  /** Named statements work through it. */
  readonly prepare: boolean
  /** Several statements may be under way at once. */
  readonly pipeline: boolean
  /** How that is known, for `stats()`. */
  readonly why: string
}

/** Linux gives no larger one, and others far smaller ones. */
const MAX_PID = 2 ** 22

/** SQLSTATEs, and the kernel's codes: the connection goes, and what it goes to is not known. */
const ofTheConnection = /^(?:08|53|57|58|XX|E[A-Z])/

export async function detectPooler(
  client: PgClient,
  told: PoolSettings['pgbouncer'],
): Promise<Pooler> {
  if (told === false) return direct('option pgbouncer: false')
  if (told === 'session') return whole('option pgbouncer: session')
  // `pg-native` has no protocol to look at, and neither pipelines nor prepares for us.
  if (client.connection === undefined) return direct('not looked for: the client shows no protocol')
  try {
    return await lookFor(client, told)
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: string }
    if (typeof code !== 'string' || ofTheConnection.test(code)) throw error
    return unknown(`the probe was refused (${code}: ${message})`)
  }
}

/**
 * Whether the number that was told on connecting cannot be a process: a pooler's, then. False proves
 * nothing, since one random number in a thousand could be one.
 */
export function tellsOfPooler({ processID }: PgClient): boolean {
  return typeof processID === 'number' && (processID <= 0 || processID > MAX_PID)
}

async function lookFor(client: PgClient, told: 'auto' | 'transaction'): Promise<Pooler> {
  if (
    told === 'auto' &&
    !tellsOfPooler(client) &&
    (await backendPid(client)) === client.processID
  ) {
    return direct('the backend’s pid is the one told on connecting')
  }
  const { name, names } = await probe(client)
  if (!names.includes(name) && names.some((each) => /^PGBOUNCER_\d+$/.test(each))) {
    return byTransaction(true, 'it keeps prepared statements, under names of its own')
  }
  const console = await askConsole(client)
  if (console === undefined) {
    return told === 'transaction'
      ? byTransaction(false, 'option pgbouncer: transaction')
      : unknown('a pooler whose mode is not known; say pgbouncer: session where it is')
  }
  return fromConsole(console, told)
}

function fromConsole({ version, mode }: PoolerConsole, told: 'auto' | 'transaction'): Pooler {
  const why = `PgBouncer ${version} says so`
  if (told === 'auto' && mode === 'session') return whole(why)
  // Did it keep prepared statements, it would have shown names of its own.
  return byTransaction(false, why)
}

function direct(why: string): Pooler {
  return { isPooled: false, mode: 'session', prepare: true, pipeline: true, why }
}

function whole(why: string): Pooler {
  return { isPooled: true, mode: 'session', prepare: true, pipeline: true, why }
}

function byTransaction(prepare: boolean, why: string): Pooler {
  return { isPooled: true, mode: 'transaction', prepare, pipeline: false, why }
}

function unknown(why: string): Pooler {
  return { ...byTransaction(false, why), mode: 'unknown' }
}
