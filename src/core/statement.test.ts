import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { statementOf, statementsKept } from './statement.ts'

describe('name', () => {
  for (const [sql, name] of [
    ['SELECT * FROM public.users u JOIN orders o ON true', 'SELECT users'],
    ['SELECT (SELECT count(*) FROM b) FROM "A"', 'SELECT A'],
    ['SELECT extract(year FROM d), trim(both FROM x) FROM t', 'SELECT t'],
    ['SELECT a IS DISTINCT FROM b FROM c', 'SELECT c'],
    ['SELECT * FROM (SELECT * FROM inside) x', 'SELECT inside'],
    ['WITH r AS (SELECT * FROM orders) SELECT * FROM r', 'SELECT orders'],
    ['WITH d AS (SELECT 1) INSERT INTO log SELECT * FROM d', 'INSERT log'],
    ['SELECT now()', 'SELECT now'],
    ['SELECT 1', 'SELECT'],
    ['UPDATE ONLY users SET a = 1', 'UPDATE users'],
    ['DELETE FROM users', 'DELETE users'],
    ['TRUNCATE TABLE a, b', 'TRUNCATE a'],
    ['COPY t FROM STDIN', 'COPY t'],
    ['SET search_path = x', 'SET search_path'],
    ['(SELECT 1 FROM a) UNION (SELECT 2 FROM b)', 'SELECT a'],
    ['', 'OTHER'],
    ["secret 'x'", 'OTHER'],
  ] as const) {
    test(sql, () => assert.equal(statementOf(sql).name, name))
  }
})

test('reads are told from writes, in doubt as a write', () => {
  const reads = [
    'SELECT * FROM t',
    'WITH r AS (SELECT 1) SELECT * FROM r',
    'VALUES (1)',
    'TABLE t',
    'SHOW server_version',
    'EXPLAIN SELECT 1',
    "SELECT 'insert into t' FROM t",
  ]
  const writes = [
    'INSERT INTO t VALUES (1)',
    'WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone',
    'SELECT * FROM t FOR UPDATE',
    'SELECT * FROM t FOR NO KEY UPDATE',
    'SELECT * FROM t FOR KEY SHARE',
    'SELECT * INTO u FROM t',
    "SELECT nextval('s')",
    'SELECT pg_advisory_xact_lock(1)',
    'EXPLAIN ANALYZE DELETE FROM t',
    'SELECT 1; DELETE FROM t',
    'CALL p()',
    'SET a = 1',
    'CREATE TABLE t (a int)',
    '',
  ]
  assert.deepEqual(
    reads.filter((sql) => !statementOf(sql).isRead),
    [],
  )
  assert.deepEqual(
    writes.filter((sql) => statementOf(sql).isRead),
    [],
  )
})

test('the effect on the transaction block', () => {
  for (const [sql, effect] of [
    ['BEGIN', 'begin'],
    ['start transaction isolation level serializable', 'begin'],
    ['COMMIT AND CHAIN', 'commit'],
    ['END', 'commit'],
    ["PREPARE TRANSACTION 'x'", 'commit'],
    ['ROLLBACK', 'rollback'],
    ['ABORT', 'rollback'],
    ['ROLLBACK TO SAVEPOINT a', undefined],
    ['ROLLBACK TO a', undefined],
    ['SAVEPOINT a', undefined],
    ['PREPARE p AS SELECT 1', undefined],
    ['BEGIN; SELECT 1', 'begin'],
    ['BEGIN; SELECT 1; COMMIT', 'commit'],
  ] as const) {
    assert.equal(statementOf(sql).transaction, effect, sql)
  }
})

test('what changes the session is said', () => {
  assert.notEqual(statementOf('SET search_path = a').sessionEffects, 0)
  assert.notEqual(statementOf('LISTEN a').sessionEffects, 0)
  assert.notEqual(statementOf("SELECT set_config('a', 'b', false)").sessionEffects, 0)
  assert.equal(statementOf('SET LOCAL search_path = a').sessionEffects, 0)
  assert.equal(statementOf('SELECT 1').sessionEffects, 0)
})

test('ids are the same for ever', () => {
  // Stored reports are compared by them: a change of this test is a change of the format.
  assert.equal(statementOf('SELECT 1').id, 'e0c56aa0fe3dc3d1')
  assert.equal(statementOf("select 'x'").id, 'e0c56aa0fe3dc3d1')
  assert.equal(statementOf('BEGIN').id, 'c4e5b49657db194c')
})

test('ids are as good as random', () => {
  const ids = new Set<string>()
  for (let i = 0; i < 50_000; i++) ids.add(statementOf(`select c${i} from t`).id)
  assert.equal(ids.size, 50_000)
  const halves = [...ids].map((id) => id.slice(8))
  // Of 50,000 random 32-bit numbers 0.3 pairs are alike.
  assert.ok(new Set(halves).size > 49_990, `${new Set(halves).size}`)
})

test('values pasted into the text, however many, fill no memory', () => {
  for (let i = 0; i < 20_000; i++) statementOf(`select a from t where b = 'value ${i}'`)
  assert.ok(statementsKept() <= 8_000, `${statementsKept()}`)
  const ids = new Set<string>()
  for (let i = 0; i < 100; i++) ids.add(statementOf(`select a from t where b = 'v${i}'`).id)
  assert.equal(ids.size, 1)
})

test('a long text is kept in part, and known as a whole', () => {
  const columns = (n: number) => Array.from({ length: n }, (_, i) => `column_${i}`).join(', ')
  const [a, b] = [
    statementOf(`select ${columns(2_000)} from a`),
    statementOf(`select ${columns(2_000)} from b`),
  ]

  assert.equal(a.text.length, 10_000)
  assert.equal(a.text, b.text)
  assert.notEqual(a.id, b.id)
  assert.equal(a.name, 'SELECT a')
})

test('what only reads, by built-in functions, may be run twice', () => {
  for (const text of [
    'SELECT * FROM users WHERE id = $1',
    'SELECT count(*), max(a) FROM t WHERE b IN ($1, $2) AND EXISTS (SELECT 1 FROM u)',
    'WITH a AS (SELECT 1 AS n), b AS MATERIALIZED (SELECT 2) SELECT n::numeric(10, 2) FROM a, b',
    'SELECT pg_catalog.lower(name), row_number() OVER (PARTITION BY a) FROM t JOIN u USING (id)',
    'SELECT sum(n) FILTER (WHERE n > 0) FROM generate_series(1, $1) AS n LIMIT (1)',
    'SHOW server_version',
  ]) {
    assert.equal(statementOf(text).isRepeatable, true, text)
  }
  for (const text of [
    'SELECT transfer($1, $2)',
    'SELECT bank.count($1)',
    'SELECT * FROM "lower"($1)',
    "SELECT nextval('s')",
    'UPDATE t SET a = 1',
    'SELECT 1; SELECT 2',
  ]) {
    assert.equal(statementOf(text).isRepeatable, false, text)
  }
})
