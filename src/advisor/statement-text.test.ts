import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readStatement } from './statement-text.ts'

const relations: [string, string[]][] = [
  ['SELECT a FROM users', ['users']],
  ['SELECT a FROM users u, public.orders AS o JOIN "Items" ON true', ['users', 'orders', 'Items']],
  [
    'SELECT a FROM shop.orders o LEFT JOIN LATERAL (SELECT 1 FROM items) x ON true',
    ['shop.orders', 'items'],
  ],
  [
    'WITH recent AS (SELECT id FROM orders) SELECT * FROM recent JOIN users ON true',
    ['orders', 'users'],
  ],
  ['INSERT INTO audit (a, b) VALUES ($1, $2)', ['audit']],
  ['UPDATE users SET a = $1', ['users']],
  ['DELETE FROM ONLY users USING orders', ['users', 'orders']],
  ['SELECT generate_series($1, $2)', []],
  ['SELECT * FROM generate_series($1, $2) g', []],
  ['SELECT extract(epoch FROM created) FROM users WHERE a IS DISTINCT FROM $1', ['users']],
  ['SELECT $1', []],
]

for (const [text, expected] of relations) {
  test(`relations of: ${text}`, () => {
    assert.deepEqual(readStatement(text).relations, expected)
  })
}

test('a read changes nothing and locks nothing', () => {
  const reads = ['SELECT a FROM t', '(SELECT a FROM t)', 'WITH x AS (SELECT 1) SELECT * FROM x']
  const others = [
    'INSERT INTO t VALUES ($1)',
    'WITH x AS (DELETE FROM t RETURNING a) SELECT * FROM x',
    'SELECT a FROM t FOR UPDATE',
    'SELECT a FROM t FOR NO KEY UPDATE SKIP LOCKED',
    'SELECT a INTO b FROM t',
    'BEGIN',
    '',
  ]

  for (const text of reads) assert.equal(readStatement(text).isRead, true, text)
  for (const text of others) assert.equal(readStatement(text).isRead, false, text)
})

test('lists, pages and what answers differently each time', () => {
  assert.equal(readStatement('SELECT a FROM t WHERE id IN ($1)').hasList, true)
  assert.equal(readStatement('SELECT a FROM t WHERE id = ANY($1)').hasList, true)
  assert.equal(readStatement('SELECT a FROM t WHERE id IN (SELECT b FROM u)').hasList, false)
  assert.equal(readStatement('SELECT a FROM t WHERE id > $1 LIMIT $2').isPage, true)
  assert.equal(readStatement('SELECT a FROM t WHERE id = $1 LIMIT $2').isPage, false)
  assert.equal(readStatement('SELECT a FROM t LIMIT $1 OFFSET $2').isPage, true)
  assert.equal(readStatement("SELECT nextval('s')").isVolatile, true)
  assert.equal(readStatement('SELECT pg_try_advisory_lock($1)').isVolatile, true)
  assert.equal(readStatement('SELECT random FROM t').isVolatile, false)
})

test('reads any text in time that is linear in its length', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), (text) => {
      const { tokens } = readStatement(text)
      assert.ok(tokens.length <= text.length)
    }),
  )
  assert.equal(readStatement('('.repeat(100_000)).tokens.length, 100_000)
})
