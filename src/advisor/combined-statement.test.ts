import assert from 'node:assert/strict'
import { test } from 'node:test'
import { combinedOf } from './combined-statement.ts'
import { readStatement } from './statement-text.ts'

const cases: [string, string, string | undefined, number?][] = [
  [
    'the key joins the result',
    'SELECT name FROM users WHERE id = $1',
    'SELECT id, name FROM users WHERE id = ANY($1)',
  ],
  [
    'a key that is there already stays',
    'SELECT id, name FROM users WHERE id = $1',
    'SELECT id, name FROM users WHERE id = ANY($1)',
  ],
  ['so does a star', 'SELECT * FROM users WHERE id = $1', 'SELECT * FROM users WHERE id = ANY($1)'],
  [
    'an alias and a quoted name',
    'select "t"."a" from "orders" "t" where "t"."userId" = $1',
    'select "t"."userId", "t"."a" from "orders" "t" where "t"."userId" = any($1)',
  ],
  [
    'of two equalities the one that varies',
    'SELECT a FROM t WHERE tenant = $1 AND id = $2',
    'SELECT id, a FROM t WHERE tenant = $1 AND id = ANY($2)',
    2,
  ],
  ['of two equalities neither', 'SELECT a FROM t WHERE tenant = $1 AND id = $2', undefined],
  [
    'an aggregate by its key',
    'SELECT count(*) FROM t WHERE k = $1',
    'SELECT k, count(*) FROM t WHERE k = ANY($1) GROUP BY k',
  ],
  ['an aggregate and a column', 'SELECT k, count(*) FROM t WHERE k = $1 GROUP BY k', undefined],
  [
    'a limit for each key',
    'SELECT a FROM t WHERE k = $1 ORDER BY a DESC LIMIT $2',
    'SELECT keys.key, one.* FROM unnest($1::bigint[]) AS keys (key) CROSS JOIN LATERAL (SELECT a FROM t WHERE k = keys.key ORDER BY a DESC LIMIT $2) AS one',
  ],
  ['a condition under OR', 'SELECT a FROM t WHERE k = $1 OR b = $2', undefined],
  ['an expression around the key', 'SELECT a FROM t WHERE lower(k) = $1', undefined],
  ['arithmetic behind the key', 'SELECT a FROM t WHERE k = $1 + 1', undefined],
  ['a set operation', 'SELECT a FROM t WHERE k = $1 UNION SELECT a FROM u', undefined],
  ['a parameter that stands twice', 'SELECT a FROM t WHERE k = $1 AND b < $1', undefined],
  ['a write', 'UPDATE t SET a = $2 WHERE k = $1', undefined],
  ['no text', '', undefined],
]

for (const [name, text, combined, parameter] of cases) {
  test(`${name}: ${text}`, () => {
    assert.equal(combinedOf(readStatement(text), parameter)?.sql, combined)
  })
}
