/**
 * Session: what a borrower can leave behind on a connection, as one statement that looks at all of it.
 *
 *   connection ──▶ settings · roles · temporary relations · LISTEN · PREPARE · advisory locks · cursors
 *
 * Settings by `source = 'session'`: whatever is not from the start of the connection or the server. Of
 * prepared statements those that came by SQL: what the driver prepares is the pool's own affair. An open
 * transaction cannot be seen by a SELECT without writing; `isInTransaction` asks for a savepoint, which
 * the server refuses outside of a transaction (25P01).
 *
 * Limits: a sequence's `currval`, planner statistics and caches of the backend are not looked at.
 */
import type pg from 'pg'

export interface SessionRow {
  readonly role: string
  readonly login: string
  readonly settings: string[]
  readonly tenant: string
  readonly temporary: string[]
  readonly channels: string[]
  readonly prepared: string[]
  readonly locks: number
  readonly cursors: string[]
}

/** One row, a {@link SessionRow}. `$1` comes back as `tag`. */
export const SESSION = `SELECT $1::text AS tag, current_user::text AS role, session_user::text AS login,
  ARRAY(SELECT name || '=' || setting FROM pg_catalog.pg_settings WHERE source = 'session') AS settings,
  coalesce(pg_catalog.current_setting('app.tenant', true), '') AS tenant,
  ARRAY(SELECT relname::text FROM pg_catalog.pg_class
    WHERE relnamespace = pg_catalog.pg_my_temp_schema() AND relkind = 'r') AS temporary,
  ARRAY(SELECT pg_catalog.pg_listening_channels()) AS channels,
  ARRAY(SELECT name FROM pg_catalog.pg_prepared_statements WHERE from_sql) AS prepared,
  (SELECT count(*)::int FROM pg_catalog.pg_locks
    WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid()) AS locks,
  ARRAY(SELECT name FROM pg_catalog.pg_cursors WHERE name <> '') AS cursors`

/** What a stranger left there, in words; empty where the session is as it was when it began. */
export function leftBehind(row: SessionRow, user: string): string[] {
  const left: string[] = []
  if (row.role !== user) left.push(`role ${row.role}`)
  if (row.login !== user) left.push(`session authorization ${row.login}`)
  if (row.tenant !== '') left.push(`app.tenant ${row.tenant}`)
  if (row.locks !== 0) left.push(`${row.locks} advisory locks`)
  for (const each of row.settings) left.push(`setting ${each}`)
  for (const each of row.temporary) left.push(`temporary table ${each}`)
  for (const each of row.channels) left.push(`LISTEN ${each}`)
  for (const each of row.prepared) left.push(`PREPARE ${each}`)
  for (const each of row.cursors) left.push(`cursor ${each}`)
  return left
}

export async function isInTransaction(client: pg.ClientBase): Promise<boolean> {
  try {
    await client.query('SAVEPOINT session_probe')
    return true
  } catch (error) {
    return (error as { code?: string }).code !== '25P01'
  }
}
