import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { SqlEffects } from './sql-effects.ts'

let effects: SqlEffects
before(async () => {
  effects = await SqlEffects.load()
})

const reads = [
  '',
  'SELECT 1',
  'TABLE users',
  'VALUES ($1), ($2)',
  'SELECT * FROM a WHERE id = ANY($1) ORDER BY b LIMIT $2 OFFSET $3',
  'WITH RECURSIVE t AS (SELECT $1 UNION ALL SELECT n + 1 FROM t) SELECT * FROM t',
  'SELECT count(*) FILTER (WHERE a > $1) OVER (PARTITION BY b), coalesce(max(c), $2) FROM t',
  "SELECT extract(year FROM a), substring(b FROM $1 FOR $2), a AT TIME ZONE 'utc' FROM t",
  'SELECT now() - interval $1, date_trunc($2, a) FROM t',
  'SELECT a::timestamp($1) FROM t',
  'SELECT st_distance(a, b), similarity(c, $1), public.uuid_generate_v4() FROM t',
  'SELECT set_config($1, $2, true)',
  'SELECT pg_catalog.now(), pg_catalog.count(*)',
  'BEGIN',
  'START TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY',
  'COMMIT',
  'ROLLBACK TO SAVEPOINT s',
  'SET search_path TO $1',
  "SET LOCAL statement_timeout = '5s'",
  'SET TIME ZONE $1',
  'SET app.user_id = $1',
  'RESET ALL',
  'DISCARD ALL',
  'DEALLOCATE p',
  'SHOW server_version',
  'EXPLAIN ANALYZE SELECT 1',
  'DECLARE c NO SCROLL CURSOR FOR SELECT 1',
  'FETCH 100 FROM c',
  'CLOSE c',
  'COPY (SELECT 1) TO STDOUT',
]

for (const text of reads) {
  test(`reads: ${text}`, () => {
    assert.equal(effects.of(text), undefined)
  })
}

const writes: readonly (readonly [text: string, effect: string])[] = [
  ['INSERT INTO a VALUES ($1)', 'INSERT'],
  ['UPDATE a SET b = $1', 'UPDATE'],
  ['DELETE FROM a', 'DELETE'],
  ['MERGE INTO a USING b ON a.x = b.x WHEN MATCHED THEN DELETE', 'MERGE'],
  ['WITH gone AS (DELETE FROM a RETURNING *) SELECT * FROM gone', 'DELETE'],
  [
    'SELECT * FROM (SELECT 1) x WHERE EXISTS (SELECT 1 FROM a FOR UPDATE)',
    'SELECT … FOR UPDATE or SHARE',
  ],
  ['SELECT * FROM a FOR KEY SHARE SKIP LOCKED', 'SELECT … FOR UPDATE or SHARE'],
  ['SELECT * INTO b FROM a', 'SELECT … INTO'],
  ['SELECT nextval($1)', 'calls nextval()'],
  // Names of built-in functions, and not they.
  ['SELECT audit.log($1)', 'calls audit.log()'],
  ['SELECT 1 FROM a WHERE public.position($1) > 0', 'calls public.position()'],
  ['SELECT pg_catalog.setval($1, 1)', 'calls pg_catalog.setval()'],
  ['SELECT pg_try_advisory_lock($1)', 'calls pg_try_advisory_lock()'],
  ['SELECT pg_notify($1, $2)', 'calls pg_notify()'],
  ['SELECT pg_terminate_backend(pid) FROM pg_stat_activity', 'calls pg_terminate_backend()'],
  ['SELECT lo_unlink($1)', 'calls lo_unlink()'],
  ['SELECT * FROM dblink($1, $2) AS t(a int)', 'calls dblink()'],
  ['SELECT billing.close_month($1)', 'calls billing.close_month()'],
  ['SELECT 1 ORDER BY (SELECT nextval($1))', 'calls nextval()'],
  ['SELECT 1; DELETE FROM a', 'DELETE'],
  ['EXPLAIN ANALYZE DELETE FROM a', 'DELETE'],
  ['PREPARE p AS UPDATE a SET b = 1', 'UPDATE'],
  ['EXECUTE p', 'EXECUTE'],
  ['COPY a FROM STDIN', 'COPY'],
  ["COPY a TO PROGRAM 'x'", 'COPY'],
  ["COPY a TO '/tmp/a'", 'COPY'],
  ['COPY (DELETE FROM a RETURNING *) TO STDOUT', 'DELETE'],
  ['CREATE TABLE a AS SELECT 1', 'CREATE TABLE AS'],
  ['ALTER TABLE a ADD b int', 'ALTER TABLE'],
  ['TRUNCATE a', 'TRUNCATE'],
  ['REFRESH MATERIALIZED VIEW v', 'REFRESH MAT VIEW'],
  ['LOCK TABLE a', 'LOCK'],
  ['CALL p($1)', 'CALL'],
  ['DO $$ BEGIN END $$', 'DO'],
  ['NOTIFY a', 'NOTIFY'],
  ['VACUUM', 'VACUUM'],
  ["PREPARE TRANSACTION 'x'", 'two-phase commit'],
  ['SET ROLE admin', 'SET role'],
  ['SET session_replication_role = replica', 'SET session_replication_role'],
  ['SELEC 1', 'does not parse'],
]

for (const [text, effect] of writes) {
  test(`may write: ${text}`, () => {
    assert.equal(effects.of(text), effect)
  })
}

test('a list of fifty thousand values is walked', () => {
  const list = Array.from({ length: 50_000 }, (_, index) => `$${index + 1}`).join(', ')
  assert.equal(effects.of(`SELECT * FROM a WHERE id IN (${list})`), undefined)
})
