/**
 * Isolation, counted: callers of a small pool at once, every tenth of whom misbehaves, and what each
 * of the others then finds on the connection that it gets.
 *
 *   operation n   n mod 10 = 0   a misdeed (isolation-misdeeds.ts), each in its turn
 *                 else           in turn: look at a session that is lent · look through `pool.query` ·
 *                                write · write in a transaction · read a row of one's own
 *
 * A leak is one operation of a well-behaved caller that found a stranger's state, another's row, failed
 * though nothing of its own was wrong, or whose write was lost; and each write that was never
 * committed and is there. The test asserts 0, the benchmark sets pg.Pool's count beside it.
 */
import type pg from 'pg'
import { type Misdeed, misdeeds } from './isolation-misdeeds.ts'
import { isInTransaction, leftBehind, SESSION, type SessionRow } from './isolation-session.ts'
import type { World } from './isolation-world.ts'

export interface IsolationOptions {
  readonly world: World
  readonly pool: pg.Pool
  /** @default 1000 */
  readonly operations?: number
  /** @default 8 */
  readonly callers?: number
  /** Leave out what pg.Pool never comes back from, or ends the process by. @default false */
  readonly isPgPool?: boolean
  /** Put before each tag, so that one world can be used twice. */
  readonly name: string
}

export interface Isolation {
  readonly operations: number
  readonly misbehaved: number
  readonly leaks: number
  /** The first of them, in words. */
  readonly examples: readonly string[]
}

const OPERATION_MS = 30_000
const EXAMPLES = 20

export async function isolation(options: IsolationOptions): Promise<Isolation> {
  const { world, pool, operations = 1000, callers = 8, isPgPool = false, name } = options
  const chosen = misdeeds.filter(({ breaksPgPool = false }) => !(isPgPool && breaksPgPool))
  const leaks: string[] = []
  let next = 0
  let misbehaved = 0

  async function caller(): Promise<void> {
    for (let n = next++; n < operations; n = next++) {
      const tag = `${name}_${n}`
      if (n % 10 === 0) {
        const misdeed = chosen[misbehaved++ % chosen.length] as Misdeed
        world.undone(tag)
        // With pg.Pool a misdeed may meet another one; that it then fails is not counted.
        const failed = await within(misdeed.by(world.scene(pool), tag), misdeed.name)
        if (failed !== undefined && !isPgPool) leaks.push(`${misdeed.name}: ${failed}`)
        continue
      }
      const found: string[] = []
      const failed = await within(behave(world, pool, n, tag, found), `operation ${n}`)
      if (failed !== undefined) found.push(failed)
      if (found.length > 0) leaks.push(`${tag}: ${found.join(', ')}`)
    }
  }

  await Promise.all(Array.from({ length: callers }, caller))
  leaks.push(...(await world.wrongWrites()))
  return { operations, misbehaved, leaks: leaks.length, examples: leaks.slice(0, EXAMPLES) }
}

async function behave(
  world: World,
  pool: pg.Pool,
  n: number,
  tag: string,
  found: string[],
): Promise<void> {
  switch (n % 5) {
    case 0:
    case 1: {
      const client = await pool.connect()
      try {
        if (await isInTransaction(client)) found.push('an open transaction')
        const { rows } = await client.query<SessionRow & { tag: string }>(SESSION, [tag])
        found.push(...judge(rows, tag, world.user))
      } finally {
        client.release()
      }
      return
    }
    case 2: {
      const { rows } = await pool.query<SessionRow & { tag: string }>(SESSION, [tag])
      found.push(...judge(rows, tag, world.user))
      return
    }
    case 3:
      await pool.query('INSERT INTO ledger (tag) VALUES ($1)', [tag])
      world.written(tag)
      return
    default: {
      const client = await pool.connect()
      try {
        await client.query('BEGIN')
        await client.query('INSERT INTO ledger (tag) VALUES ($1)', [tag])
        const { rows } = await client.query<{ tag: string }>(
          'SELECT tag FROM ledger WHERE tag = $1',
          [tag],
        )
        if (rows[0]?.tag !== tag) found.push(`its own write is not there, but ${rows[0]?.tag}`)
        await client.query('COMMIT')
        world.written(tag)
      } finally {
        client.release()
      }
    }
  }
}

function judge(
  rows: readonly (SessionRow & { tag: string })[],
  tag: string,
  user: string,
): string[] {
  const [row] = rows
  if (row === undefined || row.tag !== tag) return [`the row of ${row?.tag}`]
  return leftBehind(row, user)
}

/** Undefined, or how it failed. */
async function within(work: Promise<void>, what: string): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`${what} did not settle in ${OPERATION_MS} ms`), OPERATION_MS)
  })
  const done = work.then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  )
  const failed = await Promise.race([done, late])
  clearTimeout(timer)
  return failed
}
