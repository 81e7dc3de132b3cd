/** What a `pg.Pool` makes of values on their way to the server, and of what comes back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testPostgres } from '../service.ts'
import { eachPool, knownPool } from './pool-kinds.ts'

const postgres = await testPostgres()
const moment = new Date('2026-02-03T04:05:06.789Z')

/** [expression, value, what it becomes]; the value itself where nothing else is said. */
const values: readonly (readonly [sql: string, value: unknown, expected?: unknown])[] = [
  ['$1::text', 'a'],
  ['$1::text', ''],
  ['$1::text', `it's "quoted", \\ and {curly}`],
  ['$1::text', 'żółć 🙂 \u{10ffff}'],
  ['$1::text', 12, '12'],
  ['$1::text', true, 'true'],
  ['$1::text', null],
  ['$1::text', undefined, null],
  ['$1::int', null],
  ['$1::int', -5],
  ['$1::int', '17', 17],
  ['$1::int8', 9_007_199_254_740_993n, '9007199254740993'],
  ['$1::numeric', 12.5, '12.5'],
  ['$1::numeric', '1e400', `1${'0'.repeat(400)}`],
  ['$1::float8', 0.1],
  ['$1::float8', Number.NaN],
  ['$1::float8', Number.NEGATIVE_INFINITY],
  ['$1::float8', 5e-324],
  ['$1::bool', false],
  ['$1::bool', 'yes', true],
  ['$1::timestamptz', moment],
  ['$1::timestamptz', new Date('0044-03-15T12:00:00Z')],
  ['($1::timestamptz)::text', moment, '2026-02-03 04:05:06.789+00'],
  ['$1::timestamptz', 'infinity', Number.POSITIVE_INFINITY],
  ['$1::date', '2026-02-03', new Date(2026, 1, 3)],
  ['$1::interval', '1 day 2 hours', 'interval'],
  ['$1::bytea', Buffer.from([0, 1, 254, 255])],
  ['$1::bytea', Buffer.alloc(0)],
  ['$1::bytea', new Uint8Array([7, 8, 9]).subarray(1), Buffer.from([8, 9])],
  ['$1::json', { a: [1, null, { b: 'ö' }] }],
  ['$1::jsonb', { z: 1, a: 2 }, { a: 2, z: 1 }],
  ['$1::jsonb', JSON.stringify([1, 'two']), [1, 'two']],
  ['$1::jsonb', { at: moment }, { at: moment.toISOString() }],
  ['$1::json', null],
  ['$1::int[]', [1, 2, null, -3]],
  ['$1::int[]', []],
  [
    '$1::int[]',
    [
      [1, 2],
      [3, 4],
    ],
  ],
  ['$1::text[]', ['a', null, 'NULL', '', 'b,c', '"d"', '\\e', '{f}', ' g ']],
  ['$1::bytea[]', [Buffer.from([1, 2])]],
  ['$1::jsonb[]', [{ a: 1 }, { b: [2] }]],
  ['$1::timestamptz[]', [moment]],
  ['$1::bool[]', [true, false]],
  ['$1::uuid', '6f1e0b0a-7a3a-4a55-9f0e-3a9e1f2d3c4b'],
  ['$1::point', '(1,2)', { x: 1, y: 2 }],
  ['$1::inet', '127.0.0.1'],
  ['$1::text', { toPostgres: () => 'by itself' }, 'by itself'],
  ['$1::int[]', { toPostgres: () => [1, 2] }, [1, 2]],
  [
    '$1::text',
    { toPostgres: (prepare: (v: unknown) => unknown) => prepare(['x', 'y']) },
    '{"x","y"}',
  ],
  ['$1::timestamptz', { toPostgres: () => ({ toPostgres: () => moment }) }, moment],
]

eachPool(
  postgres,
  (kind) => {
    test('values of every kind', async (t) => {
      const pool = kind.open(t, { options: '-c TimeZone=UTC' })

      for (const [sql, value, expected = value] of values) {
        const { rows } = await pool.query(`SELECT ${sql} AS value`, [value])
        const what = `${sql} of ${String(value)}`
        const wanted = value === undefined ? null : expected
        if (expected === 'interval')
          assert.equal(rows[0].value.toPostgres(), '2 hours 1 days', what)
        else assert.deepEqual(rows[0].value, wanted, what)
      }
    })

    test('values of every kind, each by a statement with a name', async (t) => {
      const pool = kind.open(t, { options: '-c TimeZone=UTC' })

      for (const round of [1, 2]) {
        for (const [index, [sql, value, expected = value]] of values.entries()) {
          if (expected === 'interval') continue
          const text = `SELECT ${sql} AS value`
          const { rows } = await pool.query({ name: `value ${index}`, text, values: [value] })
          const wanted = value === undefined ? null : expected
          assert.deepEqual(rows[0].value, wanted, `${sql}, round ${round}`)
        }
      }
    })

    test('the same text with values of other types', async (t) => {
      const pool = kind.open(t)
      const text = 'SELECT $1 AS value'

      const got: unknown[] = []
      for (const value of ['a', 1, null, true, { b: 1 }, ['c']]) {
        got.push((await pool.query(text, [value])).rows[0].value)
      }

      assert.deepEqual(got, ['a', '1', null, 'true', '{"b":1}', '{"c"}'])
    })

    test('values that the server refuses', async (t) => {
      const pool = kind.open(t)

      await assert.rejects(pool.query('SELECT $1::int', ['x']), { code: '22P02' })
      await assert.rejects(pool.query('SELECT $1::text', ['nul \0']), { code: '22021' })
      await assert.rejects(pool.query('SELECT $1::json', ['{']), { code: '22P02' })
      await assert.rejects(pool.query('SELECT $1::int, $2::int', [1]), { code: '08P01' })
      // Without values pg asks by the simple protocol, which says it in another way.
      for (const none of [[], undefined] as unknown[][]) {
        await assert.rejects(pool.query('SELECT $1::int', none), { code: /^(42P02|08P01)$/ })
      }
      await assert.rejects(pool.query('SELECT $1::int', [1, 2]), { code: '08P01' })

      assert.deepEqual((await pool.query('SELECT $1::int AS n', [1])).rows, [{ n: 1 }])
    })

    test('a value that cannot be written fails with its own error, each time', async (t) => {
      const pool = kind.open(t, { max: 1 })
      const circular: { self?: unknown } = {}
      circular.self = circular
      const throwing = {
        toPostgres: () => {
          throw new RangeError('of its own')
        },
      }
      const text = 'SELECT $1::text AS word'

      for (let n = 0; n < 3; n++) {
        await assert.rejects(pool.query(text, [circular]), {
          name: 'TypeError',
          message: /circular/,
        })
        await assert.rejects(pool.query(text, [throwing]), { name: 'RangeError' })
        assert.deepEqual((await pool.query(text, ['fine'])).rows, [{ word: 'fine' }])
      }
    })

    test('a value is read when it is given', async (t) => {
      const pool = kind.open(t, { max: 1 })
      const client = await pool.connect()
      const given = { n: 1 }

      const answer = client.query('SELECT $1::jsonb AS given', [given])
      given.n = 2
      client.release()

      assert.deepEqual((await answer).rows, [{ given: { n: 1 } }])
    })

    test('sixty thousand values', async (t) => {
      const pool = kind.open(t)
      const many = Array.from({ length: 60_000 }, (_, n) => n)
      const sum = many.map((_, n) => `$${n + 1}::int`).join('),(')

      const { rows } = await pool.query(`SELECT sum(n)::int AS n FROM (VALUES (${sum})) v(n)`, many)

      assert.deepEqual(rows, [{ n: 1_799_970_000 }])
    })
  },
  [knownPool(postgres)],
)
