/**
 * Operations: what one caller may do with a pool, as plain data for a search, and what must come of it.
 *
 * Each carries a tag of its own into the server and looks for it in what comes back: in the rows, and in
 * the error's text where it fails. What an operation finds wrong it throws; what it wrote it tells the
 * world's ledger (isolation-world.ts).
 */
import fc from 'fast-check'
import pg from 'pg'
import { type Misdeed, misdeeds } from './isolation-misdeeds.ts'
import { isInTransaction, leftBehind, SESSION, type SessionRow } from './isolation-session.ts'
import type { World } from './isolation-world.ts'

export type Operation =
  | { readonly do: 'read'; readonly rows: number; readonly how: (typeof READS)[number] }
  | { readonly do: 'fail'; readonly how: (typeof FAILURES)[number]; readonly on: Through }
  | { readonly do: 'write'; readonly on: Through }
  | { readonly do: 'transaction'; readonly writes: number; readonly end: (typeof ENDS)[number] }
  | {
      readonly do: 'cancel'
      readonly by: 'timeout' | 'signal'
      readonly afterMs: number
      readonly sleepMs: number
      readonly isWrite: boolean
    }
  | { readonly do: 'misdeed'; readonly which: number }
  | { readonly do: 'session'; readonly on: Through }
  | { readonly do: 'shape'; readonly id: number }
  | { readonly do: 'alter'; readonly how: (typeof CHANGES)[number] }
  | { readonly do: 'several' }
  | { readonly do: 'burst'; readonly count: number }
  | { readonly do: 'borrow'; readonly by: 'timeout' | 'signal'; readonly afterMs: number }

export interface Caller {
  readonly world: World
  readonly pool: pg.Pool
  readonly tag: string
}

type Through = 'pool' | 'client'

const READS = ['values', 'text', 'named', 'array', 'callback'] as const
const CHANGES = ['add', 'drop', 'varchar', 'text'] as const
const ENDS = ['commit', 'rollback', 'fail', 'left open', 'left failed', 'thrown away'] as const
const FAILURES = [
  ...['unique', 'division', 'syntax', 'type', 'table', 'raise', 'deferred', 'count'],
  ...['circular', 'null byte', 'copy', 'empty'],
] as const
const TOO_LONG_MS = 1_000

export const operations: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: is('read'), rows: rowCounts(), how: one(READS) }) },
  { weight: 6, arbitrary: fc.record({ do: is('fail'), how: one(FAILURES), on: through() }) },
  { weight: 4, arbitrary: fc.record({ do: is('write'), on: through() }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: is('transaction'), writes: fc.nat({ max: 3 }), end: one(ENDS) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: is('cancel'),
      by: one(['timeout', 'signal'] as const),
      afterMs: fc.nat({ max: 12 }),
      sleepMs: fc.oneof(fc.nat({ max: 12 }), fc.constant(TOO_LONG_MS)),
      isWrite: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: is('misdeed'), which: fc.nat({ max: misdeeds.length - 1 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: is('session'), on: through() }) },
  { weight: 2, arbitrary: fc.record({ do: is('shape'), id: fc.integer({ min: 1, max: 50 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: is('alter'), how: one(CHANGES) }),
  },
  { weight: 1, arbitrary: fc.record({ do: is('several') }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: is('burst'), count: fc.integer({ min: 2, max: 40 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: is('borrow'),
      by: one(['timeout', 'signal'] as const),
      afterMs: fc.nat({ max: 12 }),
    }),
  },
)

/** Leaves nothing behind, and asks for nothing that pg.Pool has not or answers twice. */
export function isOrderly(operation: Operation): boolean {
  if (['misdeed', 'cancel', 'borrow'].includes(operation.do)) return false
  if (operation.do === 'fail') return operation.how !== 'circular'
  return operation.do !== 'transaction' || !operation.end.startsWith('left')
}

/** How many statements it sent. */
export async function perform(operation: Operation, caller: Caller): Promise<number> {
  const { pool, world, tag } = caller
  switch (operation.do) {
    case 'read':
      await read(pool, tag, operation.rows, operation.how)
      return 1
    case 'fail':
      await using(pool, operation.on, (on) => fail(on, world, tag, operation.how))
      return 1
    case 'write':
      await using(pool, operation.on, (on) =>
        on.query('INSERT INTO ledger (tag) VALUES ($1)', [tag]),
      )
      world.written(tag)
      return 1
    case 'transaction':
      return transaction(caller, operation.writes, operation.end)
    case 'cancel':
      await cancel(caller, operation)
      return 1
    case 'misdeed': {
      const misdeed = misdeeds[operation.which] as Misdeed
      world.undone(tag)
      await misdeed.by(world.scene(pool), tag)
      return 2
    }
    case 'session':
      await session(caller, operation.on)
      return 1
    case 'shape': {
      const { rows } = await pool.query<{ id: number; tag: string }>(
        'SELECT * FROM public.shape WHERE id = $1',
        [operation.id],
      )
      expect(
        `${rows.length} ${rows[0]?.id} ${rows[0]?.tag}`,
        `1 ${operation.id} shape ${operation.id}`,
      )
      return 1
    }
    case 'alter':
      await alter(pool, operation.how)
      return 1
    case 'burst':
      await burst(pool, tag, operation.count)
      return operation.count
    case 'borrow':
      await borrow(caller, operation)
      return 1
    case 'several': {
      const results = (await pool.query(
        `SELECT '${tag}' AS tag; SELECT 2 AS two; SELECT '${tag}!' AS tag`,
      )) as unknown as pg.QueryResult<Record<string, unknown>>[]
      expect(
        JSON.stringify(results.map(({ rows }) => rows)),
        JSON.stringify([[{ tag }], [{ two: 2 }], [{ tag: `${tag}!` }]]),
      )
      return 1
    }
  }
}

type On = Pick<pg.ClientBase, 'query'>

async function using<T>(pool: pg.Pool, on: Through, work: (on: On) => Promise<T>): Promise<T> {
  if (on === 'pool') return work(pool as unknown as On)
  const client = await pool.connect()
  try {
    return await work(client)
  } finally {
    client.release()
  }
}

async function read(
  pool: pg.Pool | pg.PoolClient,
  tag: string,
  count: number,
  how: (typeof READS)[number],
): Promise<void> {
  const text = 'SELECT $1::text AS tag, g AS n FROM generate_series(1, $2::int) AS g'
  const values = [tag, count]
  const rows = await ask()
  const expected = Array.from({ length: count }, (_, i) => [tag, i + 1])
  expect(JSON.stringify(rows), JSON.stringify(expected))

  async function ask(): Promise<unknown[][]> {
    type Row = { tag: string; n: number }
    const pairs = (all: readonly Row[]): unknown[][] => all.map((row) => [row.tag, row.n])
    switch (how) {
      case 'values':
        return pairs((await pool.query<Row>(text, values)).rows)
      case 'text':
        return pairs(
          (
            await pool.query<Row>(
              `SELECT '${tag}' AS tag, g AS n FROM generate_series(1, ${count}) AS g`,
            )
          ).rows,
        )
      case 'named':
        return pairs((await pool.query<Row>({ name: 'series', text, values })).rows)
      case 'array':
        return (await pool.query<unknown[]>({ text, values, rowMode: 'array' })).rows
      case 'callback':
        return new Promise((resolve, reject) => {
          pool.query<Row>(text, values, (error, result) => {
            if (error as Error | undefined) reject(error)
            else resolve(pairs(result.rows))
          })
        })
    }
  }
}

/** Fails as it must, with the caller's own tag where the server repeats it. */
async function fail(
  on: On,
  world: World,
  tag: string,
  how: (typeof FAILURES)[number],
): Promise<void> {
  const circular: { self?: unknown } = {}
  circular.self = circular
  world.undone(tag)
  switch (how) {
    case 'unique':
      return refused('23505', 'taken', () =>
        on.query(`INSERT INTO ledger (tag) VALUES ($1), ('taken')`, [tag]),
      )
    case 'division':
      return refused('22012', 'division by zero', () =>
        on.query('SELECT $1::text, 1 / $2::int', [tag, 0]),
      )
    case 'syntax':
      return refused('42601', tag, () => on.query(`SELEC_${tag} $1`, [tag]))
    case 'type':
      return refused('22P02', `${tag}!`, () => on.query(`SELECT ($1::text || '!')::int`, [tag]))
    case 'table':
      return refused('42P01', tag, () => on.query(`SELECT * FROM absent_${tag}`))
    case 'raise':
      return refused('P0001', tag, () =>
        on.query(`DO $$ BEGIN INSERT INTO ledger VALUES ('${tag}'); RAISE '${tag}'; END $$`),
      )
    case 'deferred':
      // Refused when the transaction ends, after the statement itself has succeeded.
      return refused('23503', `absent ${tag}`, () =>
        on.query('INSERT INTO child (tag, parent) VALUES ($1, $2)', [tag, `absent ${tag}`]),
      )
    case 'count':
      return refused('08P01', 'bind message supplies', () =>
        on.query('SELECT $1::text', [tag, 'one too many']),
      )
    case 'circular':
      return refused(undefined, 'circular', () =>
        on.query('INSERT INTO ledger (tag) VALUES ($1)', [circular]),
      )
    case 'null byte':
      return refused('22021', 'invalid byte sequence', () =>
        on.query('INSERT INTO ledger (tag) VALUES ($1)', [`${tag}\0`]),
      )
    case 'copy':
      return refused('57014', 'COPY from stdin failed', () => on.query('COPY ledger FROM STDIN'))
    case 'empty': {
      const { rows } = await on.query('')
      expect(JSON.stringify(rows), '[]')
      return
    }
    default:
      throw new Error(`no failure ${how}`)
  }
}

async function refused(
  code: string | undefined,
  text: string,
  work: () => Promise<unknown>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    const { code: got, message, detail = '' } = error as pg.DatabaseError
    const isRight = got === code && `${message} ${detail}`.includes(text)
    if (!isRight) throw wrong(`error ${got}: ${message} ${detail}`, `${code} with ${text}`)
    return
  }
  throw wrong('success', `error ${code} with ${text}`)
}

async function transaction(
  { pool, world, tag }: Caller,
  writes: number,
  end: (typeof ENDS)[number],
): Promise<number> {
  const client = await pool.connect()
  let thrown: Error | undefined
  try {
    if (await isInTransaction(client)) throw wrong('a transaction', 'none')
    await client.query('BEGIN')
    const tags = Array.from({ length: writes }, (_, i) => `${tag}_${i}`)
    for (const each of tags) {
      if (end !== 'commit') world.undone(each)
      await client.query('INSERT INTO ledger (tag) VALUES ($1)', [each])
    }
    const { rows } = await client.query<{ tag: string }>(
      'SELECT tag FROM ledger WHERE tag = ANY ($1) ORDER BY tag',
      [tags],
    )
    expect(rows.map((row) => row.tag).join(), tags.join())
    if (end === 'commit') {
      await client.query('COMMIT')
      for (const each of tags) world.written(each)
    } else if (end === 'rollback') {
      await client.query('ROLLBACK')
    } else if (end === 'fail' || end === 'left failed') {
      await refused('22012', 'division', () => client.query('SELECT 1 / 0'))
      await refused('25P02', 'aborted', () => client.query('SELECT $1::text', [tag]))
      if (end === 'fail') await client.query('ROLLBACK')
    } else if (end === 'thrown away') {
      thrown = new Error('thrown away')
    }
    return writes + 3
  } finally {
    client.release(thrown)
  }
}

async function cancel(
  { pool, world, tag }: Caller,
  { by, afterMs, sleepMs, isWrite }: Extract<Operation, { do: 'cancel' }>,
): Promise<void> {
  const controller = new AbortController()
  const text = isWrite
    ? 'INSERT INTO ledger (tag) SELECT $1::text FROM pg_sleep($2) RETURNING tag'
    : 'SELECT $1::text AS tag FROM pg_sleep($2)'
  const deadline =
    by === 'timeout' ? { timeoutMs: Math.max(1, afterMs) } : { signal: controller.signal }
  let timer: NodeJS.Timeout | undefined
  if (by === 'signal') {
    if (afterMs === 0) controller.abort()
    else timer = setTimeout(() => controller.abort(), afterMs)
  }
  try {
    const { rows } = await pool.query<{ tag: string }>({
      text,
      values: [tag, sleepMs / 1000],
      ...deadline,
    })
    if (isWrite) world.written(tag)
    expect(rows.map((row) => row.tag).join(), tag)
    if (sleepMs === TOO_LONG_MS) throw wrong(`success after ${sleepMs} ms`, `end at ${afterMs} ms`)
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    const expected = by === 'timeout' ? 'STATEMENT_TIMEOUT' : 'STATEMENT_ABORTED'
    // The deadline holds for waiting too.
    if (code !== expected) throw wrong(`${code}: ${message}`, expected)
  } finally {
    clearTimeout(timer)
  }
}

/** Many at once, so that they stand behind each other on few connections; every fifth fails. */
async function burst(pool: pg.Pool, tag: string, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      if (i % 5 === 4) {
        await refused('22P02', `${tag}!${i}`, () =>
          pool.query(`SELECT ($1::text || '!' || $2::text)::int`, [tag, i]),
        )
        return
      }
      const { rows } = await pool.query<{ tag: string; i: number }>(
        'SELECT $1::text AS tag, $2::int AS i',
        [tag, i],
      )
      expect(JSON.stringify(rows), JSON.stringify([{ tag, i }]))
    }),
  )
}

/** A connection in time, on which it reads its own, or none. */
async function borrow(
  { pool, tag }: Caller,
  { by, afterMs }: Extract<Operation, { do: 'borrow' }>,
): Promise<void> {
  const deadline =
    by === 'timeout'
      ? { timeoutMs: Math.max(1, afterMs) }
      : { signal: afterMs === 0 ? AbortSignal.abort() : AbortSignal.timeout(afterMs) }
  let client: pg.PoolClient
  try {
    client = await (pool.connect as (options: object) => Promise<pg.PoolClient>).call(
      pool,
      deadline,
    )
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    const expected = by === 'timeout' ? 'TIMEOUT' : 'ABORTED'
    if (code?.endsWith(expected) !== true) throw wrong(`${code}: ${message}`, expected)
    return
  }
  try {
    await read(client, tag, 1, 'values')
  } finally {
    client.release()
  }
}

async function session({ pool, world, tag }: Caller, on: Through): Promise<void> {
  await using(pool, on, async (each) => {
    if (on === 'client' && (await isInTransaction(each as pg.ClientBase))) {
      throw wrong('a session in a transaction', 'none')
    }
    const { rows } = await each.query<SessionRow & { tag: string }>(SESSION, [tag])
    expect(rows.map((row) => row.tag).join(), tag)
    expect(leftBehind(rows[0] as SessionRow, world.user).join(), '')
  })
}

async function alter(pool: pg.Pool, how: (typeof CHANGES)[number]): Promise<void> {
  const change = {
    add: 'ADD COLUMN IF NOT EXISTS extra int DEFAULT 1',
    drop: 'DROP COLUMN IF EXISTS extra',
    varchar: 'ALTER COLUMN tag TYPE varchar',
    text: 'ALTER COLUMN tag TYPE text',
  }
  await pool.query(`ALTER TABLE public.shape ${change[how]}`)
}

function expect(got: string, expected: string): void {
  if (got !== expected) throw wrong(got, expected)
}

/** A violation is told by this text; whatever else an operation throws is one as well. */
function wrong(got: string, expected: string): Error {
  return new Error(`got ${short(got)} where ${short(expected)} is right`)
}

function short(text: string): string {
  if (text === '') return 'nothing'
  return text.length > 300 ? `${text.slice(0, 300)}…` : text
}

function is<const T extends string>(value: T): fc.Arbitrary<T> {
  return fc.constant(value)
}

function one<const T extends string>(values: readonly T[]): fc.Arbitrary<T> {
  return fc.constantFrom(...values)
}

function through(): fc.Arbitrary<Through> {
  return fc.constantFrom('pool', 'client')
}

/** Mostly one, sometimes enough to fill several packets. */
function rowCounts(): fc.Arbitrary<number> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.constant(1) },
    { weight: 2, arbitrary: fc.nat({ max: 20 }) },
    { weight: 1, arbitrary: fc.integer({ min: 500, max: 3000 }) },
  )
}
