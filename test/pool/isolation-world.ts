/**
 * World: a database where callers of one pool can harm each other, and the ledger that says what must
 * be written in the end.
 *
 *   ledger (tag)          what callers write; `taken` is there from the beginning
 *   child → ledger        a foreign key that is checked when the transaction ends
 *   shape (id, tag, …)    its columns come and go while it is read
 *   elsewhere.ledger      the trap on a search path that was left behind
 *
 * The obvious model of the ledger: a write that was reported done must be there, one that was reported
 * undone must not, one whose caller was told "cancelled" may.
 */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import type { Scene } from './isolation-misdeeds.ts'

const SHAPES = 50

export class World {
  readonly admin: pg.Pool
  readonly url: string
  readonly user: string
  readonly stranger: string
  readonly elsewhere = 'elsewhere'
  readonly shapes: number = SHAPES
  readonly #written = new Set<string>()
  readonly #undone = new Set<string>()

  private constructor(url: string, user: string) {
    this.url = url
    this.user = user
    this.stranger = `stranger_${randomBytes(6).toString('hex')}`
    this.admin = new pg.Pool({ connectionString: url, max: 1, application_name: 'world' })
  }

  static async create(url: string): Promise<World> {
    const world = new World(url, new URL(url).username)
    await world.admin.query(`CREATE ROLE ${world.stranger};
      CREATE SCHEMA elsewhere;
      CREATE TABLE elsewhere.ledger (tag text PRIMARY KEY);
      CREATE TABLE ledger (tag text PRIMARY KEY);
      INSERT INTO ledger VALUES ('taken');
      CREATE TABLE child (tag text PRIMARY KEY, parent text
        REFERENCES ledger DEFERRABLE INITIALLY DEFERRED);
      CREATE TABLE shape AS SELECT id, 'shape ' || id AS tag FROM generate_series(1, ${SHAPES}) AS id;
      ALTER TABLE shape ADD PRIMARY KEY (id)`)
    return world
  }

  /** What a misdeed needs to know. */
  scene(pool: pg.Pool): Scene {
    return { pool, stranger: this.stranger, elsewhere: this.elsewhere }
  }

  written(tag: string): void {
    this.#written.add(tag)
  }

  undone(tag: string): void {
    this.#undone.add(tag)
  }

  /** What the ledger has and should not, or lacks. */
  async wrongWrites(): Promise<string[]> {
    const { rows } = await this.admin.query<{ tag: string }>(
      'SELECT tag FROM public.ledger UNION ALL SELECT tag FROM child',
    )
    const there = new Set(rows.map(({ tag }) => tag))
    const trapped = await this.admin.query<{ tag: string }>('SELECT tag FROM elsewhere.ledger')
    return [
      ...[...this.#written].filter((tag) => !there.has(tag)).map((tag) => `lost write of ${tag}`),
      ...[...this.#undone].filter((tag) => there.has(tag)).map((tag) => `undone write of ${tag}`),
      ...trapped.rows
        .filter(({ tag }) => this.#written.has(tag))
        .map(({ tag }) => `write of ${tag} to a stranger's schema`),
    ]
  }

  /** What the server still holds for connections other than the world's. */
  async open(): Promise<{
    sessions: number
    transactions: number
    running: number
    locks: number
  }> {
    const { rows } = await this.admin.query<{
      sessions: number
      transactions: number
      running: number
      locks: number
    }>(`SELECT count(*)::int AS sessions,
        (count(*) FILTER (WHERE state LIKE 'idle in transaction%'))::int AS transactions,
        (count(*) FILTER (WHERE state = 'active'))::int AS running,
        (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory'
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS locks
      FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'
        AND pid <> pg_backend_pid()`)
    return rows[0] as { sessions: number; transactions: number; running: number; locks: number }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.admin.query(`DROP TABLE child; DROP TABLE ledger; DROP TABLE shape;
      DROP SCHEMA elsewhere CASCADE; DROP ROLE ${this.stranger}`)
    await this.admin.end()
  }
}
