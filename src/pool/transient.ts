/**
 * Transient errors of connecting: those that may pass by themselves, so that a pool waits and tries
 * again instead of handing them to a caller who could wait.
 *
 * They come in three languages: the kernel's (`ECONNREFUSED` while a server restarts), PostgreSQL's
 * SQLSTATE (`57P03` while it starts up, `53300` while it is full), and the text of `pg` and of
 * poolers, which give many things one code. What is not known here is permanent: a wrong password
 * does not get right by waiting.
 */
import { isHastenError } from '../core/errors.ts'
import { WrongServer } from './wrong-server.ts'

const ofTheKernel = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  // The name server is busy. ENOTFOUND is an answer.
  'EAI_AGAIN',
  // No descriptors, no ports left, just now.
  'EMFILE',
  'ENFILE',
  'EADDRNOTAVAIL',
  // The socket's file, which goes and comes with the server.
  'ENOENT',
])

/** 08 connection, 53 resources. 57P01 to 57P03: shutdown, crash, not yet up; 57P05: idle too long. */
const ofTheServer = /^(?:08(?:000|001|003|006)|53...|57P0[1235])$/

/** PgBouncer says 08P01 for nearly everything. */
const ofPoolers =
  /query_wait_timeout|client_login_timeout|no more connections allowed|cannot connect to server|server login has been failing|server conn(ection)? crashed|shut(ting)? down|pause|max_client_conn/i

const ofTheDriver =
  /^(?:timeout expired|Connection terminated|There was an error establishing an SSL connection|Client has encountered a connection error)/

export function isTransient(error: unknown): boolean {
  if (error instanceof WrongServer) return true
  if (!(error instanceof Error)) return false
  if (isHastenError(error)) {
    const { errors } = error as { errors?: readonly unknown[] }
    if (error.code !== 'POOL_NO_HOST' || errors === undefined) return false
    return errors.some(isTransient) && !errors.some(isRefusal)
  }
  const { code } = error as { code?: unknown }
  if (typeof code === 'string' && code !== '') {
    return (
      ofTheKernel.has(code) ||
      ofTheServer.test(code) ||
      (code === '08P01' && ofPoolers.test(error.message))
    )
  }
  if (error instanceof AggregateError) return error.errors.some(isTransient)
  return ofTheDriver.test(error.message)
}

/** A server let us speak and turned us away for good: other hosts would say the same. */
export function isRefusal(error: unknown): boolean {
  if (!(error instanceof Error) || isTransient(error)) return false
  const { code, severity } = error as { code?: unknown; severity?: unknown }
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && severity !== undefined
}
