import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pageOf } from './page-statement.ts'
import { readStatement } from './statement-text.ts'

const cases: [string, string | undefined][] = [
  [
    'SELECT id, total FROM orders WHERE day = $1 ORDER BY id',
    'SELECT id, total FROM orders WHERE day = $1 AND id > $2 ORDER BY id LIMIT 100',
  ],
  [
    'select o.id from orders o',
    'select o.id from orders o where o.id > $1 order by o.id limit 100',
  ],
  [
    'SELECT a FROM t ORDER BY "createdAt" ASC;',
    'SELECT a FROM t WHERE "createdAt" > $1 ORDER BY "createdAt" LIMIT 100',
  ],
  ['SELECT a FROM t', undefined],
  ['SELECT a FROM t ORDER BY a DESC', undefined],
  ['SELECT a FROM t ORDER BY a, b', undefined],
  ['SELECT a FROM t ORDER BY lower(a)', undefined],
  ['SELECT a, count(*) FROM t GROUP BY a', undefined],
  ['SELECT id FROM t WHERE a = $1 OR b = $2', undefined],
  ['SELECT id FROM t LIMIT $1', undefined],
  ['', undefined],
]

for (const [text, page] of cases) {
  test(`a page of: ${text}`, () => {
    assert.equal(pageOf(readStatement(text))?.sql, page)
  })
}
