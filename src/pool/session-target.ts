/**
 * Session target: which servers will do, `target_session_attrs` of libpq [1].
 *
 *   any              whoever answers
 *   read-write       sessions may write: not in recovery, not read-only by default
 *   read-only        the opposite
 *   primary          not in recovery
 *   standby          in recovery
 *   prefer-standby   a standby, or whoever answers where there is none
 *
 * PostgreSQL 14 and later say both by themselves while a session starts (`in_hot_standby`,
 * `default_transaction_read_only`): no round trip. Older ones are asked, and so is everyone for whom
 * what was said may be old: a pooler between us and the server repeats what its first server said.
 *
 * [1] https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNECT-TARGET-SESSION-ATTRS
 */
import type { PgClient } from './pg.ts'

export const targetsOfSession = [
  'any',
  'read-write',
  'read-only',
  'primary',
  'standby',
  'prefer-standby',
] as const

export type TargetSessionAttrs = (typeof targetsOfSession)[number]

/** What the server said of itself: name to value. */
export type Reported = ReadonlyMap<string, string>

/**
 * Why this server will not do, or `undefined` where it will.
 *
 * @param ask ask the server, whatever it reported
 */
export async function unfit(
  client: PgClient,
  target: TargetSessionAttrs,
  reported: Reported,
  ask: boolean,
): Promise<string | undefined> {
  switch (target) {
    case 'any':
      return undefined
    case 'read-write':
      return (await isReadOnly(client, reported, ask)) ? 'is read-only' : undefined
    case 'read-only':
      return (await isReadOnly(client, reported, ask)) ? undefined : 'is not read-only'
    case 'primary':
      return (await isStandby(client, reported, ask)) ? 'is a standby' : undefined
    case 'standby':
    case 'prefer-standby':
      return (await isStandby(client, reported, ask)) ? undefined : 'is not a standby'
  }
}

async function isReadOnly(client: PgClient, reported: Reported, ask: boolean): Promise<boolean> {
  const standby = reported.get('in_hot_standby')
  const readOnly = reported.get('default_transaction_read_only')
  if (ask || standby === undefined || readOnly === undefined) {
    return (await firstValue(client, 'SHOW transaction_read_only')) === 'on'
  }
  return standby === 'on' || readOnly === 'on'
}

async function isStandby(client: PgClient, reported: Reported, ask: boolean): Promise<boolean> {
  const standby = reported.get('in_hot_standby')
  if (!ask && standby !== undefined) return standby === 'on'
  return (await firstValue(client, 'SELECT pg_catalog.pg_is_in_recovery()::text')) === 'true'
}

function firstValue(client: PgClient, text: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    client.query(
      { text, rowMode: 'array' },
      (error: Error | null | undefined, result?: { rows: unknown[][] }) => {
        if (error) reject(error)
        else resolve(result?.rows[0]?.[0])
      },
    )
  })
}
