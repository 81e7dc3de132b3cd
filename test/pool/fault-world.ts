/**
 * A pool under load, on a server to which things happen, and the books about it.
 *
 *   writers ─▶ INSERT of an id, alone or in a transaction ─▶ acknowledged │ not run │ uncertain
 *   readers ─▶ SELECT of a number ─▶ that number, or an error
 *
 * Every id is used once. Afterwards the table tells: what was acknowledged is there, once; what was
 * reported as not run is not there; what is uncertain is there once or not at all.
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import pg from 'pg'
import type { Postgres } from '#services/postgres.js'
import { Pool, type PoolOptions } from 'hasten/pool'
import { until } from './until.ts'

export interface FaultWorldOptions {
  /** Through which the pool goes; another than the server's own for a proxy. */
  readonly url?: string
  readonly pool?: PoolOptions
  /** @default 24 */
  readonly callers?: number
  /** For each statement. @default none */
  readonly timeoutMs?: number
}

interface Books {
  readonly acknowledged: Set<number>
  readonly notRun: Set<number>
  readonly uncertain: Set<number>
}

const PATIENCE_MS = 60_000

/** Refused before anything was sent: by the pool, or because no connection came about. */
const neverSent = new Set([
  'STATEMENT_NOT_RUN',
  'POOL_ACQUIRE_TIMEOUT',
  'POOL_FULL',
  'POOL_ENDED',
  'POOL_NO_HOST',
  'ECONNREFUSED',
  '53300',
  '57P03',
  '28P01',
])

const unhandled: unknown[] = []
process.on('unhandledRejection', (error) => unhandled.push(error))

let worlds = 0
let ids = 0

export class FaultWorld {
  readonly pool: Pool
  readonly errors = new Map<string, number>()
  readonly #server: Postgres
  readonly #name: string = `faults_${++worlds}`
  readonly #options: FaultWorldOptions
  readonly #books: Books = { acknowledged: new Set(), notRun: new Set(), uncertain: new Set() }
  readonly #callers: Promise<void>[] = []
  #isOver = false
  #served = 0
  wrongRows = 0

  private constructor(server: Postgres, options: FaultWorldOptions) {
    this.#server = server
    this.#options = options
    this.pool = new Pool({
      connectionString: options.url ?? server.url(),
      application_name: this.#name,
      min: 4,
      max: 8,
      ...options.pool,
    })
    this.pool.on('error', () => {})
  }

  static async start(
    t: TestContext,
    server: Postgres,
    options: FaultWorldOptions = {},
  ): Promise<FaultWorld> {
    const world = new FaultWorld(server, options)
    t.after(() => world.#stop())
    await world.aside(`CREATE TABLE ${world.#name} (id int NOT NULL)`)
    await world.pool.ready()
    return world
  }

  get served(): number {
    return this.#served
  }

  /** Callers that go on until `settle`. */
  load(): void {
    const { callers = 24 } = this.#options
    for (let i = 0; i < callers; i++) {
      const act =
        i % 4 === 0
          ? () => this.#transaction()
          : i % 4 === 1
            ? () => this.#read()
            : () => this.write()
      this.#callers.push(
        (async () => {
          while (!this.#isOver) {
            const isGood = await act()
            // Whoever is refused at once would ask again at once, for ever.
            if (!isGood) await new Promise((resolve) => setTimeout(resolve, 5))
          }
        })(),
      )
    }
  }

  /** Until so many more were served. */
  async flows(more = 200): Promise<void> {
    const goal = this.#served + more
    await this.until(() => this.#served >= goal, `${more} more served`)
  }

  async write(): Promise<boolean> {
    const id = ++ids
    return this.#note(id, () =>
      this.pool.query({
        text: `INSERT INTO ${this.#name} VALUES ($1)`,
        values: [id],
        timeoutMs: this.#options.timeoutMs,
      }),
    )
  }

  /** Milliseconds from now until a statement is answered and `min` connections are there. */
  async recover(t: TestContext): Promise<number> {
    const start = performance.now()
    for (;;) {
      try {
        await this.pool.query({ text: 'SELECT 1', timeoutMs: 5_000 })
        break
      } catch {
        assert.ok(performance.now() - start < PATIENCE_MS, 'it never served again')
        await new Promise((resolve) => setTimeout(resolve, 2))
      }
    }
    const served = performance.now() - start
    const min = this.#options.pool?.min ?? 4
    await this.until(() => this.pool.totalCount >= min, `${min} connections`)
    const full = performance.now() - start
    t.diagnostic(
      `serves after ${Math.round(served)} ms, ${min} connections after ${Math.round(full)} ms`,
    )
    return served
  }

  /** It serves again, goes on serving, and `settle` finds nothing wrong. */
  async survive(t: TestContext): Promise<void> {
    await this.recover(t)
    await this.flows()
    await this.settle(t)
  }

  /** No caller hangs, the books agree with the table, and the connections with the server's. */
  async settle(t: TestContext): Promise<void> {
    this.#isOver = true
    await this.within(Promise.all(this.#callers), 'a caller hangs')
    await this.until(
      () => this.pool.waitingCount === 0 && this.pool.idleCount === this.pool.totalCount,
      'all connections idle',
    )
    const { acknowledged, notRun, uncertain } = this.#books
    const { rows } = await this.aside<{ id: number; times: number }>(
      `SELECT id, count(*)::int AS times FROM ${this.#name} GROUP BY id`,
    )
    const written = new Map(rows.map(({ id, times }) => [id, times]))
    const told = [...this.errors].map(([code, count]) => `${count} ${code}`).join(', ')
    t.diagnostic(
      `${this.#served} served; writes: ${acknowledged.size} acknowledged, ${notRun.size} not run, ${uncertain.size} uncertain; errors: ${told || 'none'}`,
    )
    const idsWhere = (all: Set<number>, isWrong: (times: number) => boolean): number[] =>
      [...all].filter((id) => isWrong(written.get(id) ?? 0))
    assert.deepEqual(
      idsWhere(acknowledged, (times) => times === 0),
      [],
      'lost writes',
    )
    assert.deepEqual(
      idsWhere(acknowledged, (times) => times > 1),
      [],
      'doubled writes',
    )
    assert.deepEqual(
      idsWhere(notRun, (times) => times > 0),
      [],
      'reported as not run, and were',
    )
    assert.deepEqual(
      idsWhere(uncertain, (times) => times > 1),
      [],
      'doubled uncertain writes',
    )
    assert.equal(this.wrongRows, 0, 'rows of somebody else')
    assert.deepEqual(unhandled, [])
    await this.sessionsAre(() => this.pool.totalCount)
  }

  /** Sessions that the server counts. */
  async sessionsAre(expected: () => number): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS
    for (;;) {
      const pids = await this.pids()
      if (pids.length === expected()) return
      assert.ok(
        performance.now() < deadline,
        `the server has ${pids.length} sessions, the pool ${expected()}`,
      )
    }
  }

  /** Each connection has been asked for its server: nothing else is asked by that text. */
  async known(): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS
    for (;;) {
      const { rows } = await this.aside<{ known: boolean }>(
        `SELECT bool_and(query LIKE '%postmaster_start_time%') OR count(*) = 0 AS known FROM pg_stat_activity WHERE application_name = '${this.#name}' AND state = 'idle'`,
      )
      if (rows[0]?.known) return
      assert.ok(performance.now() < deadline, 'the connections were never asked for their server')
    }
  }

  async pids(): Promise<number[]> {
    const { rows } = await this.aside<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE application_name = '${this.#name}'`,
    )
    return rows.map(({ pid }) => pid)
  }

  /** By a connection that is none of the pool's. */
  async aside<Row extends pg.QueryResultRow>(text: string): Promise<pg.QueryResult<Row>> {
    const client = new pg.Client({ connectionString: this.#server.url() })
    client.on('error', () => {})
    await client.connect()
    try {
      return await client.query<Row>(text)
    } finally {
      await client.end()
    }
  }

  async until(isSo: () => boolean, what: string): Promise<void> {
    await until(what, isSo, {
      seen: () => ({
        waiting: this.pool.stats().waiting,
        connections: this.pool.totalCount,
        errors: [...this.errors],
      }),
      withinMs: PATIENCE_MS,
      pauseMs: 2,
    })
  }

  async within<T>(promise: Promise<T>, what: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(what)), PATIENCE_MS)
    })
    try {
      return await Promise.race([promise, late])
    } finally {
      clearTimeout(timer)
    }
  }

  async #transaction(): Promise<boolean> {
    const id = ++ids
    const query_timeout = this.#options.timeoutMs
    let isCommitting = false
    return this.#note(
      id,
      async () => {
        const client = await this.pool.connect({ timeoutMs: this.#options.timeoutMs })
        // Without one, a client that dies between two statements ends the process, as with `pg`.
        const ignore = (): void => {}
        client.on('error', ignore)
        const ask = (text: string, values?: unknown[]): Promise<unknown> =>
          client.query({ text, values, ...(query_timeout && { query_timeout }) } as pg.QueryConfig)
        try {
          await ask('BEGIN')
          await ask(`INSERT INTO ${this.#name} VALUES ($1)`, [id])
          isCommitting = true
          await ask('COMMIT')
        } catch (error) {
          client.off('error', ignore)
          client.release(error as Error)
          throw error
        }
        client.off('error', ignore)
        client.release()
      },
      () => !isCommitting,
    )
  }

  async #read(): Promise<boolean> {
    const number = ++ids
    try {
      const { rows } = await this.pool.query<{ number: number }>({
        text: 'SELECT $1::int AS number',
        values: [number],
        timeoutMs: this.#options.timeoutMs,
      })
      if (rows[0]?.number !== number) this.wrongRows++
      this.#served++
      return true
    } catch (error) {
      this.#count(error)
      return false
    }
  }

  async #note(
    id: number,
    act: () => Promise<unknown>,
    isNotRun: () => boolean = () => false,
  ): Promise<boolean> {
    try {
      await act()
      this.#books.acknowledged.add(id)
      this.#served++
      return true
    } catch (error) {
      const code = this.#count(error)
      const book = isNotRun() || neverSent.has(code) ? 'notRun' : 'uncertain'
      this.#books[book].add(id)
      return false
    }
  }

  #count(error: unknown): string {
    const { code, message } = error as { code?: string; message: string }
    const name = code ?? message
    this.errors.set(name, (this.errors.get(name) ?? 0) + 1)
    return name
  }

  async #stop(): Promise<void> {
    this.#isOver = true
    await this.within(this.pool.end(), 'the pool does not end')
  }
}
