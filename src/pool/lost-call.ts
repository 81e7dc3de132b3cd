/**
 * Lost call: what became of a statement whose connection went away, and what its caller is told.
 *
 *   not written to the socket                        did not run
 *   the pooler said that it had no server for it     did not run
 *   the server said goodbye (a FATAL of its own;
 *     a pooler's tells nothing of it), and it was
 *     behind the statement that was under way         did not run: the server never read it
 *     that statement itself, and 57P01                did not run: it was rolled back [1]
 *   anything else                                     may have run
 *
 * What did not run, and what only reads (a function that is no built-in may write), may be run again:
 * nothing of it was delivered, and alone in its transaction it leaves nothing behind. It goes to the
 * end of the line on another connection.
 *
 * [1] Measured: 34 of 34 times neither the statement under way nor any behind it was written. Where its
 *     CommandComplete had come, it was committing, and may have run.
 */
import { HastenError } from '../core/errors.ts'
import type { Call } from './call.ts'
import type { PgError } from './pg.ts'
import type { PooledConnection } from './pooled-connection.ts'

/** By it the server, or a pooler, ends the connection. */
export function isFatal(error: PgError | undefined): boolean {
  return error?.severity === 'FATAL' || error?.severity === 'PANIC'
}

/** The client refused to take the statement: nothing went out. */
export function isRefusal(error: PgError | undefined): boolean {
  return error?.message?.endsWith('not queryable') === true
}

/** PgBouncer's words to a client that waits for a server, each with 08P01. */
const ofNoServer =
  /^(?:query_wait_timeout|server login (?:has been failing|failed)|pgbouncer cannot connect to server)/

/** Of the error by which a connection ended: its code, or a pooler's word that nothing was run. */
export function farewellOf({ code, message }: PgError): string {
  return code === '08P01' && ofNoServer.test(message) ? NO_SERVER : (code ?? '')
}

const NO_SERVER = 'no server'

/** Shutdown, crash, idle for too long, alone or in a transaction. A pooler says 08P01 or 57P03. */
const ofTheServer = /^(?:57P0[125]|25P0[34])$/

export function hasNotRun(call: Call, connection: PooledConnection): boolean {
  if (call.flush >= connection.flushes) return true
  if (connection.farewell === NO_SERVER) return true
  if (connection.farewell === undefined || !ofTheServer.test(connection.farewell)) return false
  if (connection.farewellCall !== call) return true
  return connection.farewell === '57P01' && !call.isComplete
}

export function lostError(isNotRun: boolean, cause: unknown): HastenError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return isNotRun
    ? new HastenError(
        'STATEMENT_NOT_RUN',
        `${reason}; the statement was not run, and may be asked again`,
        { cause },
      )
    : new HastenError(
        'STATEMENT_UNCERTAIN',
        `${reason}; the statement had been sent and may have run, so it was not repeated: look in the database before asking again`,
        { cause },
      )
}
