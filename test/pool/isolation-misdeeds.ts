/**
 * Misdeeds: what callers do to a pool's connections and do not put back, each a few lines of what one
 * finds in applications. None of them fails for its caller; the harm is to whoever comes next.
 *
 * `by` settles when the borrower is done with it and has released what it had, or has not done even
 * that (a second release, a statement still under way). `breaksPgPool`: pg.Pool lends the connection on
 * though it never answers again, or throws where nobody can catch it, so that a comparison with it
 * leaves this one out.
 */
import { createRequire } from 'node:module'
import type pg from 'pg'

// It has no types of its own.
const Cursor = createRequire(import.meta.url)('pg-cursor') as new (
  text: string,
) => pg.Submittable & { read(rows: number): Promise<unknown[]> }

export interface Scene {
  readonly pool: pg.Pool
  /** A role that is not the pool's user, and may do nothing. */
  readonly stranger: string
  /** A schema with a table `ledger` of its own. */
  readonly elsewhere: string
}

export interface Misdeed {
  readonly name: string
  readonly breaksPgPool?: boolean
  /** `tag` is unique and a valid identifier. */
  by(scene: Scene, tag: string): Promise<void>
}

export const misdeeds: readonly Misdeed[] = [
  borrower('transaction left open', (tag) => ['BEGIN', insert(tag)]),
  borrower('transaction left failed', (tag) => ['BEGIN', insert(tag), '!SELECT 1 / 0']),
  borrower('read-only transaction left open', () => ['BEGIN READ ONLY']),
  borrower('setting', (tag) => [`SET application_name = '${tag}'`]),
  borrower('deadline for statements', () => [`SET statement_timeout = '9s'`]),
  borrower('settings in a committed transaction', () => [
    'BEGIN',
    `SET lock_timeout = '9s'`,
    'COMMIT',
  ]),
  borrower('search path', (_, { elsewhere }) => [`SET search_path = ${elsewhere}`]),
  borrower('read-only by default', () => ['SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY']),
  borrower('role', (_, { stranger }) => [`SET ROLE ${stranger}`]),
  borrower('session authorization', (_, { stranger }) => [`SET SESSION AUTHORIZATION ${stranger}`]),
  borrower('temporary table over a real one', () => ['CREATE TEMP TABLE ledger (tag text)']),
  borrower('temporary table by SELECT INTO', () => ['SELECT 1 AS tag INTO TEMP shape']),
  borrower('LISTEN', (tag) => [`LISTEN ${tag}`]),
  borrower('PREPARE', (tag) => [`PREPARE ${tag} AS SELECT 1`]),
  borrower('advisory lock', () => [`SELECT pg_advisory_lock(${key()})`]),
  borrower('cursor WITH HOLD', (tag) => [
    'BEGIN',
    `DECLARE ${tag} CURSOR WITH HOLD FOR SELECT 1`,
    'COMMIT',
  ]),
  borrower('setting by a function', (tag) => [`SELECT set_config('app.tenant', '${tag}', false)`]),
  borrower('setting by a DO block', (tag) => [
    `DO $$ BEGIN PERFORM set_config('app.tenant', '${tag}', false); END $$`,
  ]),
  borrower('DEALLOCATE ALL', () => ['DEALLOCATE ALL']),
  borrower('DISCARD ALL', () => ['DISCARD ALL']),
  throughPool('BEGIN through the pool', (tag) => ['BEGIN', insert(`${tag}_b`)]),
  throughPool('SET through the pool', (tag) => [`SET application_name = '${tag}'`]),
  throughPool('SET among others through the pool', (tag) => [
    `SELECT 1; SET application_name = '${tag}'; SELECT 2`,
  ]),
  throughPool('open transaction in one text through the pool', () => ['BEGIN; SELECT 1']),
  throughPool('SET ROLE through the pool', (_, { stranger }) => [`SET ROLE ${stranger}`]),
  throughPool('LISTEN through the pool', (tag) => [`LISTEN ${tag}`]),
  throughPool('PREPARE through the pool', (tag) => [`PREPARE ${tag} AS SELECT 1`]),
  throughPool('temporary table through the pool', () => ['CREATE TEMP TABLE ledger (tag text)']),
  throughPool('advisory lock through the pool', () => [`SELECT pg_advisory_lock(${key()})`]),
  throughPool('set_config through the pool', (tag) => [
    `SELECT set_config('app.tenant', '${tag}', false)`,
  ]),
  throughPool('DISCARD ALL through the pool', () => ['DISCARD ALL']),
  throughPool('DEALLOCATE ALL through the pool', () => ['DEALLOCATE ALL']),
  {
    name: 'release twice',
    breaksPgPool: true,
    async by({ pool }) {
      const client = await pool.connect()
      await client.query('SELECT 1')
      client.release()
      // pg-pool throws here, unless somebody else has the client by then.
      await Promise.resolve()
      try {
        client.release()
      } catch {
        // Told, and that is all that may come of it.
      }
    },
  },
  {
    name: 'release with an error in a transaction',
    async by({ pool }, tag) {
      const client = await pool.connect()
      await client.query('BEGIN')
      await client.query(insert(tag))
      client.release(new Error('the request failed'))
    },
  },
  {
    name: 'statement under way at release',
    async by({ pool }, tag) {
      const client = await pool.connect()
      const late = client.query<{ tag: string }>('SELECT $1::text AS tag, pg_sleep(0.02)', [tag])
      client.release()
      const { rows } = await late
      if (rows[0]?.tag !== tag) throw new Error(`got the row of ${rows[0]?.tag}`)
    },
  },
  {
    name: 'BEGIN under way at release',
    async by({ pool }, tag) {
      const client = await pool.connect()
      // What becomes of them is the caller's loss.
      client.query('BEGIN').catch(() => {})
      client.query(insert(tag)).catch(() => {})
      client.release()
      await Promise.resolve()
    },
  },
  {
    name: 'one name for many texts',
    async by({ pool }, tag) {
      const client = await pool.connect()
      try {
        const { rows } = await client.query<{ tag: string }>({
          name: 'mine',
          text: `SELECT '${tag}' AS tag`,
        })
        if (rows[0]?.tag !== tag) throw new Error(`got the row of ${rows[0]?.tag}`)
      } finally {
        client.release()
      }
    },
    // pg refuses the second text of a name on the same connection.
    breaksPgPool: true,
  },
  {
    name: 'cursor neither read to its end nor closed',
    async by({ pool }) {
      const client = await pool.connect()
      await client.query(new Cursor('SELECT * FROM generate_series(1, 1000)')).read(5)
      client.release()
    },
    breaksPgPool: true,
  },
]

function insert(tag: string): string {
  return `INSERT INTO ledger (tag) VALUES ('${tag}')`
}

function key(): number {
  return Math.floor(Math.random() * 2 ** 40)
}

/** A statement that begins with `!` is meant to fail. */
function borrower(
  name: string,
  statements: (tag: string, scene: Scene) => readonly string[],
): Misdeed {
  return {
    name,
    async by(scene, tag) {
      const client = await scene.pool.connect()
      try {
        for (const text of statements(tag, scene)) {
          if (text.startsWith('!')) await client.query(text.slice(1)).catch(() => {})
          else await client.query(text)
        }
      } finally {
        client.release()
      }
    },
  }
}

function throughPool(
  name: string,
  statements: (tag: string, scene: Scene) => readonly string[],
): Misdeed {
  return {
    name,
    async by(scene, tag) {
      for (const text of statements(tag, scene)) await scene.pool.query(text)
    },
  }
}
