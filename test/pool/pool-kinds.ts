/**
 * The pools of which the conformance suite says the same: `pg.Pool` as it is, and ours.
 *
 *   eachPool(postgres, (kind) => { test('…', async (t) => { const pool = kind.open(t) … }) })
 *
 * What a test states, both do. Where `pg.Pool` has a fault that ours mends, the test is skipped for
 * `pg.Pool`, by the fault's number in this list:
 *
 *   1  a release for the second time takes the client from its next user
 *   2  callers who wait when the pool ends never hear of it
 *   3  every SQL error closes a connection
 *   4  a client that dies in a borrower's hands ends the process
 *   5  what a borrower left in the session reaches the next one
 *   6  a statement that is given up goes on in the server
 *   7  a server that refuses for a moment fails callers who could wait
 *   8  the place of a bad client stays empty until its socket is closed
 */
import { describe, type TestContext } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { Pool, type PoolOptions } from 'hasten/pool'
import pg from 'pg'
import type { TestUrl } from '../service.ts'

export type Fault = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8

const WAIT_MS = 20_000
/** A pool with a client out does not end; after a test that failed nobody brings it back. */
const END_MS = 3_000

export class PoolKind {
  readonly name: string
  readonly isOurs: boolean
  readonly Pool: typeof pg.Pool
  readonly #url: string

  constructor(name: string, PoolClass: typeof pg.Pool, url: string) {
    this.name = name
    this.isOurs = PoolClass !== pg.Pool
    this.Pool = PoolClass
    this.#url = url
  }

  /** Ended after the test. */
  open(t: TestContext, config: pg.PoolConfig = {}): pg.Pool {
    const pool = new this.Pool({ connectionString: this.#url, ...config })
    endAfter(t, pool)
    return pool
  }

  /** For `test`'s option `skip`. */
  mended(fault: Fault): string | false {
    return this.isOurs ? false : `fault ${fault} of pg.Pool`
  }
}

export function eachPool(
  postgres: TestUrl,
  define: (kind: PoolKind) => void,
  more: readonly PoolKind[] = [],
): void {
  const kinds = [
    new PoolKind('pg.Pool', pg.Pool, postgres.url),
    new PoolKind('hasten/pool', Pool as unknown as typeof pg.Pool, postgres.url),
    ...more,
  ]
  for (const kind of kinds) {
    describe(kind.name, { skip: postgres.skip }, () => {
      define(kind)
    })
  }
}

/**
 * Ours, where each question by promise has been asked before: its statement is known to be fast, so it
 * shares a connection, and is prepared there.
 */
export function knownPool(postgres: TestUrl): PoolKind {
  class KnownPool extends Pool {
    constructor(config: PoolOptions) {
      super({ ...config, expressMaxMs: 5_000 })
    }

    override query(...asked: unknown[]): never {
      const ask = () => (super.query as (...asked: unknown[]) => unknown).apply(this, asked)
      const isRead = /^\s*SELECT\b/.test(textOf(asked[0]))
      const isPromised = !asked.some((each) => typeof each === 'function')
      if (!isRead || !isPromised) return ask() as never
      return (async () => {
        for (let n = 0; n < 4; n++) await Promise.allSettled([ask()])
        return ask()
      })() as never
    }
  }
  const name = 'hasten/pool, statements known'
  return new PoolKind(name, KnownPool as unknown as typeof pg.Pool, postgres.url)
}

function textOf(asked: unknown): string {
  return String(typeof asked === 'string' ? asked : (asked as { text?: unknown } | null)?.text)
}

/** Ends the pool after the test, and cuts what a failed test left open. */
export function endAfter(t: TestContext, pool: pg.Pool): void {
  const clients = new Set<pg.PoolClient>()
  pool.on('connect', (client) => clients.add(client))
  pool.on('remove', (client) => clients.delete(client))
  t.after(async () => {
    const given = new AbortController()
    const ended = pool.ending ? Promise.resolve() : pool.end()
    await Promise.race([ended, setTimeout(END_MS, undefined, given).catch(() => {})])
    given.abort()
    for (const client of clients) {
      client.on('error', () => {})
      client.connection.stream.destroy()
    }
  })
}

/** Of the same session. Ours lends views of a client, so that one who released it is known by his. */
export function isSame(one: unknown, other: unknown): boolean {
  const [first, second] = [one, other] as pg.PoolClient[]
  return first?.connection !== undefined && first.connection === second?.connection
}

/** The first emission's arguments, or a failure that names the event. */
export async function emitted(pool: pg.Pool, event: string): Promise<unknown[]> {
  return new Promise((resolve, reject) => {
    const limit = globalThis.setTimeout(() => {
      reject(new Error(`no '${event}' within ${WAIT_MS} ms`))
    }, WAIT_MS)
    ;(pool as NodeJS.EventEmitter).once(event, (...args: unknown[]) => {
      clearTimeout(limit)
      resolve(args)
    })
  })
}

/** What a callback is given, once. */
export async function called<A extends unknown[]>(
  run: (callback: (...args: A) => void) => unknown,
): Promise<A> {
  return new Promise<A>((resolve) => {
    run((...args) => {
      resolve(args)
    })
  })
}
