/**
 * Session: what has been touched on a connection, and the statements that put it back.
 *
 *   borrower: SET search_path …; BEGIN; …          touched: settings, status: T
 *   release  ─▶  ROLLBACK; RESET ALL               one round trip; none where nothing was touched
 *            ─▶  what `connect` listeners had set   again, since RESET ALL took that too
 *
 * The reset is by what was seen in the texts, and by the transaction status that the server tells with
 * every answer. Prepared statements made by SQL go with DEALLOCATE ALL, which takes the pool's own.
 */
import { sessionEffect } from '../core/session-effects.ts'
import { statementOf } from '../core/statement.ts'

export interface SetupStatement {
  readonly text: string
  readonly values: unknown
}

const { settings, role, temporary, listen, prepared, cursor, locks, unknown } = sessionEffect

/** Effects after which what was set up on connecting must be set up again. */
const UNDOES_SETUP = settings | role | temporary | listen | prepared | unknown

const MAX_SETUP = 50

export class Session {
  /** Bits of `sessionEffect` since it was last clean. */
  touched = 0
  readonly setup: SetupStatement[] = []
  isSettingUp = false
  /** Of statements that this borrower has named. */
  readonly names: Set<string> = new Set()
  /** Set up by something that cannot be said again. */
  isUnrepeatable = false

  /** Returns the effects of this one. */
  asked(text: unknown, values: unknown): number {
    if (typeof text !== 'string') return 0
    const { sessionEffects } = statementOf(text)
    if (!this.isSettingUp) {
      this.touched |= sessionEffects
      return sessionEffects
    }
    if (sessionEffects === 0) return 0
    if (this.setup.length >= MAX_SETUP) this.isUnrepeatable = true
    else this.setup.push({ text, values })
    return sessionEffects
  }

  /** Whether DEALLOCATE ALL is among what puts it back. */
  get forgetsPrepared(): boolean {
    return (this.touched & (prepared | unknown)) !== 0
  }

  get mustSetUpAgain(): boolean {
    return this.setup.length > 0 && (this.touched & UNDOES_SETUP) !== 0
  }

  /** One text that puts everything back; empty where there is nothing to do. */
  resetSql(status: string | null | undefined): string {
    const { touched } = this
    if (touched === 0 && status !== 'T' && status !== 'E') return ''
    const parts: string[] = []
    const has = (effect: number) => (touched & (effect | unknown)) !== 0
    if (status === 'T' || status === 'E') parts.push('ROLLBACK')
    if (has(cursor)) parts.push('CLOSE ALL')
    if (has(role)) parts.push('RESET SESSION AUTHORIZATION', 'RESET ROLE')
    if (has(settings)) parts.push('RESET ALL')
    if (has(listen)) parts.push('UNLISTEN *')
    if (has(prepared)) parts.push('DEALLOCATE ALL')
    if (has(locks)) parts.push('SELECT pg_catalog.pg_advisory_unlock_all()')
    if (has(temporary)) parts.push('DISCARD TEMP')
    if ((touched & unknown) !== 0) parts.push('DISCARD SEQUENCES')
    return parts.join('; ')
  }

  cleaned(): void {
    this.touched = 0
    if (this.names.size > 0) this.names.clear()
  }
}
