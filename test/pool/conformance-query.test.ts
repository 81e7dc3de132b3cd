/** What a `pg.Pool` does when it is asked a question: every way to ask, every shape of answer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pool } from 'hasten/pool'
import pg from 'pg'
import { testPostgres } from '../service.ts'
import { called, eachPool, knownPool } from './pool-kinds.ts'

const postgres = await testPostgres()
type Answer = [Error | null | undefined, pg.QueryResult]

eachPool(
  postgres,
  (kind) => {
    test('a text alone', async (t) => {
      const { rows } = await kind.open(t).query('SELECT 1 AS n')

      assert.deepEqual(rows, [{ n: 1 }])
    })

    test('a text with values', async (t) => {
      const { rows } = await kind.open(t).query('SELECT $1::int + $2 AS n', [1, 2])

      assert.deepEqual(rows, [{ n: 3 }])
    })

    test('a config, its values inside or beside it', async (t) => {
      const pool = kind.open(t)

      const inside = await pool.query({ text: 'SELECT $1::text AS word', values: ['in'] })
      const beside = await pool.query({ text: 'SELECT $1::text AS word' }, ['beside'])

      assert.deepEqual([inside.rows, beside.rows], [[{ word: 'in' }], [{ word: 'beside' }]])
    })

    // Mended in pg after 8.23.1 (node-postgres#3720).
    const isMended = kind.isOurs ? false : 'pg 8.23 writes into the config'
    test('a config is left as it was', { skip: isMended }, async (t) => {
      const config = { name: 'as it was', text: 'SELECT $1::int AS n', values: [1] }
      const pool = kind.open(t)

      await pool.query(Object.freeze(config), [2])
      await pool.query(config)

      assert.deepEqual(config, { name: 'as it was', text: 'SELECT $1::int AS n', values: [1] })
    })

    test('callbacks, in every place where they may stand', async (t) => {
      const pool = kind.open(t)
      const text = 'SELECT $1::int AS n'

      const answers = await Promise.all([
        called<Answer>((cb) => pool.query('SELECT 1 AS n', cb)),
        called<Answer>((cb) => pool.query(text, [1], cb)),
        called<Answer>((cb) => pool.query({ text, values: [1] }, cb)),
        called<Answer>((cb) => pool.query({ text } as never, [1], cb)),
        called<Answer>((cb) => pool.query('SELECT 1 AS n', undefined as never, cb)),
      ])

      for (const [error, { rows }] of answers) {
        assert.equal(error, undefined)
        assert.deepEqual(rows, [{ n: 1 }])
      }
    })

    test('a callback makes the call return nothing, and is not called before it returns', async (t) => {
      const pool = kind.open(t)
      await pool.query('SELECT 1')
      let hasReturned = false

      const wasAfter = await new Promise<boolean>((resolve) => {
        const returned: unknown = pool.query('SELECT 1', () => {
          resolve(hasReturned)
        })
        hasReturned = true
        assert.equal(returned, undefined)
      })

      assert.equal(wasAfter, true)
    })

    test('the answer tells command, count, fields and rows', async (t) => {
      const pool = kind.open(t)

      const result = await pool.query("SELECT 1::int4 AS one, 'b'::text AS two")

      assert.ok(result instanceof pg.Result)
      assert.equal(result.command, 'SELECT')
      assert.equal(result.rowCount, 1)
      assert.equal(result.oid, null)
      assert.deepEqual(
        result.fields.map(({ name, dataTypeID, format }) => ({ name, dataTypeID, format })),
        [
          { name: 'one', dataTypeID: 23, format: 'text' },
          { name: 'two', dataTypeID: 25, format: 'text' },
        ],
      )
    })

    test('command and count of what writes', async (t) => {
      const pool = kind.open(t)
      await pool.query('CREATE TABLE IF NOT EXISTS counted (n int)')
      await pool.query('TRUNCATE counted')
      const texts = [
        'INSERT INTO counted SELECT generate_series(1, 5)',
        'UPDATE counted SET n = n + 1 WHERE n > 2',
        'INSERT INTO counted VALUES (9) RETURNING n',
        'DELETE FROM counted WHERE n > 4',
        'DROP TABLE counted',
      ]

      const results: pg.QueryResult[] = []
      for (const text of texts) results.push(await pool.query(text))

      assert.deepEqual(
        results.map(({ command, rowCount, rows }) => [command, rowCount, rows]),
        [
          ['INSERT', 5, []],
          ['UPDATE', 3, []],
          ['INSERT', 1, [{ n: 9 }]],
          ['DELETE', 3, []],
          ['DROP', null, []],
        ],
      )
    })

    test('no rows', async (t) => {
      const { rows, rowCount, fields } = await kind.open(t).query('SELECT 1 AS n WHERE false')

      assert.deepEqual([rows, rowCount, fields.map(({ name }) => name)], [[], 0, ['n']])
    })

    test('rows as arrays', async (t) => {
      const pool = kind.open(t)
      const text = 'SELECT 1 AS n, 2 AS n, $1::text AS word'

      const { rows } = await pool.query({ text, values: ['x'], rowMode: 'array' })
      const asObject = await pool.query({ text, values: ['x'] })

      assert.deepEqual(rows, [[1, 2, 'x']])
      assert.deepEqual(asObject.rows, [{ n: 2, word: 'x' }])
    })

    test('types of one query', async (t) => {
      const pool = kind.open(t)
      const types = { getTypeParser: () => (value: string) => `<${value}>` } as never

      const own = await pool.query({ text: 'SELECT 1 AS n, now() IS NULL AS b', types })
      const { rows } = await pool.query('SELECT 1 AS n, now() IS NULL AS b')

      assert.deepEqual([own.rows, rows], [[{ n: '<1>', b: '<f>' }], [{ n: 1, b: false }]])
    })

    test('types of a pool', async (t) => {
      const types = { getTypeParser: () => (value: string) => `[${value}]` } as never

      const { rows } = await kind.open(t, { types }).query('SELECT $1::int AS n', [1])

      assert.deepEqual(rows, [{ n: '[1]' }])
    })

    test('types of the process, also those set later', async (t) => {
      const pool = kind.open(t)
      const text = 'SELECT 12::int8 AS big'
      const before = await pool.query(text)
      const parser = pg.types.getTypeParser(pg.types.builtins.INT8)

      pg.types.setTypeParser(pg.types.builtins.INT8, BigInt)
      t.after(() => {
        pg.types.setTypeParser(pg.types.builtins.INT8, parser)
      })

      assert.deepEqual(before.rows, [{ big: '12' }])
      assert.deepEqual((await pool.query(text)).rows, [{ big: 12n }])
    })

    test('a named statement, again and again', async (t) => {
      const pool = kind.open(t)
      const named = { name: 'add one', text: 'SELECT $1::int + 1 AS n' }

      const results = await Promise.all(
        Array.from({ length: 50 }, (_, n) => pool.query({ ...named, values: [n] })),
      )

      assert.deepEqual(
        results.map(({ rows }) => rows[0]),
        Array.from({ length: 50 }, (_, n) => ({ n: n + 1 })),
      )
    })

    test('a named statement is known on its connection, by its name alone', async (t) => {
      const client = await kind.open(t, { max: 1 }).connect()
      await client.query({ name: 'known', text: 'SELECT $1::int AS n', values: [1] })

      const { rows } = await client.query({
        name: 'known',
        values: [2],
      } as unknown as pg.QueryConfig)
      const prepared = await client.query(
        "SELECT 1 FROM pg_prepared_statements WHERE name = 'known'",
      )
      client.release()

      assert.deepEqual(rows, [{ n: 2 }])
      assert.equal(prepared.rowCount, 1)
    })

    test('one name for two texts is refused', async (t) => {
      const client = await kind.open(t).connect()
      await client.query({ name: 'twice', text: 'SELECT 1' })

      const second = client.query({ name: 'twice', text: 'SELECT 2' })
      await assert.rejects(second, /Prepared statements must be unique - 'twice'/)
      const { rows } = await client.query({ name: 'twice', text: 'SELECT 1' })
      client.release()

      assert.equal(rows.length, 1)
    })

    test('several statements in one text give several results', async (t) => {
      const pool = kind.open(t)

      const results = (await pool.query(
        'SELECT 1 AS a; SELECT 2 AS b, 3 AS c; SELECT 4 AS d WHERE false',
      )) as unknown as pg.QueryResult[]

      assert.ok(Array.isArray(results))
      assert.deepEqual(
        results.map(({ rows }) => rows),
        [[{ a: 1 }], [{ b: 2, c: 3 }], []],
      )
    })

    test('several statements in one text are one transaction', async (t) => {
      const pool = kind.open(t)
      await pool.query('CREATE TABLE IF NOT EXISTS together (n int)')
      await pool.query('TRUNCATE together')

      await assert.rejects(pool.query('INSERT INTO together VALUES (1); SELECT 1/0'), {
        code: '22012',
      })

      assert.deepEqual((await pool.query('SELECT * FROM together')).rows, [])
    })

    test('several statements with values are refused', async (t) => {
      const pool = kind.open(t)

      await assert.rejects(pool.query('SELECT $1::int; SELECT 2', [1]), { code: '42601' })
    })

    test('a text that says nothing', async (t) => {
      const pool = kind.open(t)

      for (const text of ['', ' ', ';', '-- nothing', '/* nothing */']) {
        const { command, rowCount, rows, fields } = await pool.query(text)
        assert.deepEqual([command, rowCount, rows, fields], [null, null, [], []], `'${text}'`)
      }
    })

    test('COPY from nowhere is refused, and nothing hangs', async (t) => {
      const pool = kind.open(t, { max: 1 })
      await pool.query('CREATE TABLE IF NOT EXISTS copied (n int)')

      await assert.rejects(pool.query('COPY copied FROM STDIN'), {
        code: '57014',
        message: /No source stream defined/,
      })

      assert.deepEqual((await pool.query('SELECT count(*)::int AS n FROM copied')).rows, [{ n: 0 }])
    })

    test('COPY to nowhere tells how many', async (t) => {
      const pool = kind.open(t)

      const { command, rowCount, rows } = await pool.query(
        'COPY (SELECT generate_series(1, 7)) TO STDOUT',
      )

      assert.deepEqual([command, rowCount, rows], ['COPY', 7, []])
    })

    test('the extended protocol on request', async (t) => {
      const pool = kind.open(t)
      const queryMode = 'extended'

      const { rows } = await pool.query({ text: 'SELECT 1 AS n', queryMode } as pg.QueryConfig)
      const two = pool.query({ text: 'SELECT 1; SELECT 2', queryMode } as never)

      assert.deepEqual(rows, [{ n: 1 }])
      await assert.rejects(two, { code: '42601' })
    })

    test('rows in portions', async (t) => {
      const text = 'SELECT generate_series(1, 10) AS n'

      const { rows } = await kind.open(t).query({ text, rows: 3 } as pg.QueryConfig)

      assert.deepEqual(
        rows.map(({ n }: { n: number }) => n),
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
      )
    })

    test('values on the wire in binary', async (t) => {
      const pool = kind.open(t, { binary: true } as pg.PoolConfig)
      const text = 'SELECT $1::int4 AS n, true AS b'

      const { rows, fields } = await pool.query(text, [7])
      const client = await pool.connect()
      const again = await client.query(text, [8])
      client.release()

      assert.deepEqual(
        [...rows, ...again.rows],
        [
          { n: 7, b: true },
          { n: 8, b: true },
        ],
      )
      assert.equal(fields[0]?.format, 'binary')
    })

    test('many rows, in their order', async (t) => {
      const { rows } = await kind.open(t).query('SELECT generate_series(1, 100000) AS n')

      assert.equal(rows.length, 100_000)
      assert.ok(rows.every(({ n }, index) => n === index + 1))
    })

    test('a large value, there and back', async (t) => {
      const word = 'ö'.repeat(4 * 2 ** 20)

      const { rows } = await kind.open(t).query('SELECT $1::text AS word', [word])

      assert.ok(rows[0].word === word)
    })

    test('of many callers at once each gets its own rows', async (t) => {
      const pool = kind.open(t, { max: 4 })

      const got = await Promise.all(
        Array.from({ length: 1_000 }, async (_, n) => {
          const { rows } = await pool.query('SELECT $1::int AS n', [n])
          return rows[0].n
        }),
      )

      assert.deepEqual(
        got,
        Array.from({ length: 1_000 }, (_, n) => n),
      )
    })

    test('a pool that is used at once opens its connections by itself', async (t) => {
      const pool = kind.open(t)

      const first = pool.query('SELECT 1 AS n')
      assert.equal(pool.totalCount, 1)

      assert.deepEqual((await first).rows, [{ n: 1 }])
    })
  },
  [knownPool(postgres)],
)

/** What cannot be asked is refused before it costs anybody else. */
eachPool(postgres, (kind) => {
  test('a function is no question', async (t) => {
    const pool = kind.open(t)

    const [error] = await called<[Error]>((cb) => pool.query(cb as never))

    assert.match(error.message, /Passing a function as the first parameter to pool.query/)
  })

  for (const nothing of [null, undefined]) {
    test(`${nothing} is no question`, async (t) => {
      const pool = kind.open(t)

      await assert.rejects(pool.query(nothing as never), {
        name: 'TypeError',
        message: 'Client was passed a null or undefined query',
      })
      const [error] = await called<[Error]>((cb) => pool.query(nothing as never, [], cb))

      assert.equal(error.name, 'TypeError')
      assert.equal((await pool.query('SELECT 1')).rowCount, 1)
    })
  }

  test('a config without text and name is refused', async (t) => {
    const pool = kind.open(t)

    await assert.rejects(pool.query({} as never), /must have either text or a name/)
    await assert.rejects(pool.query({ values: [1] } as never), /must have either text or a name/)
    await assert.rejects(pool.query(7 as never), /must have either text or a name/)

    assert.equal((await pool.query('SELECT 1')).rowCount, 1)
  })

  test('values that are no array are refused', async (t) => {
    const pool = kind.open(t)

    await assert.rejects(pool.query('SELECT $1::int', 'x' as never), /values must be an array/)

    assert.equal((await pool.query('SELECT 1')).rowCount, 1)
  })
})

test('statements that are known do share', { skip: postgres.skip }, async (t) => {
  const pool = knownPool(postgres).open(t)

  await pool.query('SELECT $1::int AS n', [1])

  const { counts, connections } = (pool as unknown as Pool).stats()
  assert.ok(counts.express >= 3, JSON.stringify(counts))
  assert.equal(connections[0]?.prepared, 1)
})
