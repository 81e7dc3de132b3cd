/** What a `pg.Pool` carries besides texts: queries that speak with the connection themselves. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { testPostgres } from '../service.ts'
import { called, eachPool, emitted } from './pool-kinds.ts'
import { until } from './until.ts'

const postgres = await testPostgres()
const hundred = 'SELECT generate_series(1, 100) AS n'

eachPool(postgres, (kind) => {
  test('a cursor on a client is read in portions', async (t) => {
    const client = await kind.open(t).connect()

    const cursor = client.query(new Cursor('SELECT generate_series(1, $1::int) AS n', [5]))
    const portions = [await cursor.read(2), await cursor.read(2), await cursor.read(2)]
    await cursor.close()
    const { rows } = await client.query('SELECT 1 AS after')
    client.release()

    assert.deepEqual(
      portions.map((portion) => portion.map(({ n }) => n)),
      [[1, 2], [3, 4], [5]],
    )
    assert.deepEqual(rows, [{ after: 1 }])
  })

  test('a cursor that is left early holds up nobody', async (t) => {
    const client = await kind.open(t).connect()

    const cursor = client.query(new Cursor(hundred))
    await cursor.read(1)
    const after = client.query('SELECT 1 AS after')
    await cursor.close()

    assert.deepEqual((await after).rows, [{ after: 1 }])
    client.release()
  })

  test('a cursor that fails', async (t) => {
    const client = await kind.open(t).connect()

    const cursor = client.query(new Cursor('SELECT 10 / (3 - n) FROM generate_series(1, 5) n'))
    await assert.rejects(cursor.read(10), { code: '22012' })
    const { rows } = await client.query('SELECT 1 AS after')
    client.release()

    assert.deepEqual(rows, [{ after: 1 }])
  })

  test('a stream on a client', async (t) => {
    const client = await kind.open(t).connect()
    const got: number[] = []

    for await (const { n } of client.query(new QueryStream(hundred, [], { batchSize: 7 }))) {
      got.push(n)
    }
    client.release()

    assert.equal(got.length, 100)
    assert.ok(got.every((n, index) => n === index + 1))
  })

  test('a stream that is destroyed leaves a client that works', async (t) => {
    const client = await kind.open(t).connect()

    for await (const { n } of client.query(new QueryStream(hundred, [], { batchSize: 7 }))) {
      if (n === 10) break
    }
    const { rows } = await client.query('SELECT 1 AS after')
    client.release()

    assert.deepEqual(rows, [{ after: 1 }])
  })

  test('a stream through the pool: rows flow, its promise tells the end', async (t) => {
    const pool = kind.open(t, { max: 1 })
    const stream = new QueryStream(hundred, [], { batchSize: 7 })
    const got: number[] = []

    const end = pool.query(stream) as unknown as Promise<unknown>
    for await (const { n } of stream) got.push(n)
    await end
    await until('its client is back', () => pool.idleCount === 1)

    assert.equal(got.length, 100)
    assert.equal((await pool.query('SELECT 1')).rowCount, 1)
  })

  test('a stream through the pool that fails', async (t) => {
    const pool = kind.open(t, { max: 1 })
    const stream = new QueryStream('SELECT 1/0', [])

    const end = pool.query(stream) as unknown as Promise<unknown>
    const reading = (async () => {
      for await (const _ of stream) assert.fail('there is no row')
    })()

    await assert.rejects(end, { code: '22012' })
    await assert.rejects(reading, { code: '22012' })
    assert.equal((await pool.query('SELECT 1')).rowCount, 1)
  })

  test('a cursor through the pool can be read', async (t) => {
    const pool = kind.open(t, { max: 1 })
    const cursor = new Cursor(hundred)
    const acquired = emitted(pool, 'acquire')

    const promise = pool.query(cursor) as unknown as Promise<unknown>
    const given = assert.rejects(promise)
    const rows = await cursor.read(3)
    // A cursor does not tell its pool that it is done: its client is kept until it is lost.
    assert.deepEqual([pool.totalCount, pool.idleCount], [1, 0])
    await cursor.close()
    const [client] = (await acquired) as [pg.PoolClient]
    client.connection.stream.destroy()
    await given

    assert.deepEqual(
      rows.map(({ n }) => n),
      [1, 2, 3],
    )
  })

  test('a pg.Query through a client: rows as events', async (t) => {
    const client = await kind.open(t).connect()
    const got: unknown[] = []

    const query = client.query(new pg.Query('SELECT generate_series(1, $1::int) AS n', [3]))
    query.on('row', ({ n }) => got.push(n))
    const [result] = await new Promise<[pg.QueryResult]>((resolve, reject) => {
      query.on('end', (ended) => {
        resolve([ended])
      })
      query.on('error', reject)
    })
    client.release()

    assert.deepEqual(got, [1, 2, 3])
    assert.equal(result.command, 'SELECT')
    assert.equal(result.rowCount, 3)
  })

  test('a pg.Query through the pool', async (t) => {
    const pool = kind.open(t, { max: 1 })
    const query = new pg.Query('SELECT $1::int AS n', [3])
    const got: unknown[] = []
    query.on('row', ({ n }) => got.push(n))

    const { rows } = await (pool.query(query) as unknown as Promise<pg.QueryResult>)
    const failing = pool.query(new pg.Query('SELECT 1/0')) as unknown as Promise<unknown>
    await assert.rejects(failing, { code: '22012' })

    assert.deepEqual([rows, got], [[{ n: 3 }], [3]])
    assert.equal((await pool.query('SELECT 1')).rowCount, 1)
  })

  test('a query that somebody wrote', async (t) => {
    const pool = kind.open(t, { max: 1 })

    const [error, words] = await called<[Error | null, string[]]>((cb) => {
      void pool.query(new WordQuery("SELECT 'a' UNION ALL SELECT 'b'") as never, cb as never)
    })
    const promised = pool.query(new WordQuery("SELECT 'c'") as never) as unknown as Promise<
      string[]
    >

    assert.equal(error ?? undefined, undefined)
    assert.deepEqual([words, await promised], [['a', 'b'], ['c']])
    assert.equal((await pool.query('SELECT 1')).rowCount, 1)
  })
})

/** A custom submittable: the first column of each row as a word. */
class WordQuery {
  callback?: (error: Error | null, words?: string[]) => void
  readonly #text: string
  readonly #words: string[] = []

  constructor(text: string) {
    this.#text = text
  }

  submit(connection: pg.Connection): void {
    connection.query(this.#text)
  }

  handleRowDescription(): void {}
  handleCommandComplete(): void {}

  handleDataRow({ fields }: { fields: (Buffer | string)[] }): void {
    this.#words.push(String(fields[0]))
  }

  handleReadyForQuery(): void {
    this.callback?.(null, this.#words)
  }

  handleError(error: Error): void {
    this.callback?.(error)
  }
}
