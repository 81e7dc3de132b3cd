import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sessionEffect } from './session-effects.ts'
import { statementOf } from './statement.ts'

const { settings, role, temporary, listen, prepared, cursor, locks, unknown } = sessionEffect

test('what is left behind in a session is told from the text', () => {
  const expected: readonly (readonly [sql: string, effects: number])[] = [
    ['SELECT 1', 0],
    ['INSERT INTO sets (a) VALUES (1)', 0],
    ['SET search_path = a', settings],
    ["SET SESSION statement_timeout = '1s'", settings],
    ["SET LOCAL statement_timeout = '1s'", 0],
    ['SET TRANSACTION READ ONLY', 0],
    ['SET CONSTRAINTS ALL DEFERRED', 0],
    ['SET ROLE ann', settings | role],
    ['SET SESSION AUTHORIZATION ann', settings | role],
    ['RESET ROLE', settings | role],
    ['RESET ALL', settings],
    ["SELECT set_config('a.b', 'c', false)", settings | role],
    ["SELECT pg_catalog.\"set_config\"('a.b', 'c', false)", settings | role],
    ['CREATE TEMP TABLE a (b int)', temporary],
    ['create local temporary table a as select 1', temporary],
    ['CREATE OR REPLACE TEMP VIEW a AS SELECT 1', temporary],
    ['SELECT 1 INTO TEMP a', temporary],
    ['CREATE TABLE pg_temp.a (b int)', temporary],
    ['SELECT temp FROM weather', 0],
    ['SELECT temporary(1)', 0],
    ['LISTEN a', listen],
    ['PREPARE a AS SELECT 1', prepared],
    ["PREPARE TRANSACTION 'a'", 0],
    ['DEALLOCATE a', prepared],
    ['DECLARE a CURSOR WITH HOLD FOR SELECT 1', cursor],
    ['SELECT pg_advisory_lock(1)', locks],
    ['SELECT pg_try_advisory_lock_shared(1)', locks],
    ['SELECT pg_advisory_xact_lock(1)', 0],
    ['DO $$ BEGIN END $$', unknown],
    ['CALL a()', unknown],
    ['DISCARD ALL', unknown],
    ['BEGIN; SET a.b = 1; LISTEN c', settings | listen],
    ['SELECT 1; ; CREATE TEMP TABLE a (b int);', temporary],
    ['/* SET ROLE a */ SELECT 1', 0],
    ["SELECT 'SET ROLE a; LISTEN b'", 0],
  ]

  for (const [sql, effects] of expected) {
    assert.equal(statementOf(sql).sessionEffects, effects, sql)
  }
})
