/** Plans: by EXPLAIN of a statement's own text and values, never run, and without any value in them. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import type { PlanFacts } from '#src/core/facts.js'
import { type ExplainClient, explainAll } from '#src/observe/agent/explain.js'
import {
  type ConnectionParameters,
  StatementSamples,
} from '#src/observe/agent/statement-samples.js'
import { stripSql } from '#src/core/sql-lexer.js'
import { testPostgres } from '../service.js'
import { get, observe } from './fixture-server.js'

let client: pg.Client
// Before the server's own end.
after(() => client?.end())
const postgres = await testPostgres()
const { skip } = postgres

before(async () => {
  if (skip !== false) return
  client = new pg.Client({ connectionString: postgres.url })
  await client.connect()
  await client.query(`
    CREATE TABLE letters (id int PRIMARY KEY, receiver text, body jsonb);
    INSERT INTO letters SELECT i, 'r' || i % 100, '{}' FROM generate_series(1, 5000) AS i;
    CREATE FUNCTION writes() RETURNS int LANGUAGE plpgsql AS $$
      BEGIN INSERT INTO letters VALUES (-1, 'side effect', '{}'); RETURN 1; END $$;
    CREATE FUNCTION lies() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
      BEGIN PERFORM writes(); RETURN 1; END $$;
    ANALYZE letters`)
})

test('the plan of a statement, with its own values, and none of them told', { skip }, async () => {
  const [plan] = await explained(
    'SELECT * FROM letters WHERE receiver = $1 AND body <> \'{"a": 7}\'',
    ['r42'],
  )

  const { 'Node Type': node, 'Relation Name': relation, Filter: filter, ...rest } = planOf(plan)
  assert.deepEqual([node, relation], ['Seq Scan', 'letters'])
  assert.match(String(filter), /receiver = \$\d::text/)
  assert.match(String(rest['Plan Rows']), /^\d+$/)
  assert.doesNotMatch(JSON.stringify(plan), /r42|"a\\?\\?"/)
})

test('statements with literals, writes, and common table expressions', { skip }, async () => {
  const plans = [
    ...(await explained("SELECT count(*) FROM letters WHERE receiver = 'secret'", undefined)),
    ...(await explained('INSERT INTO letters VALUES ($1, $2, $3)', [
      9_999,
      'secret',
      { is: 'secret' },
    ])),
    ...(await explained('UPDATE letters SET receiver = $1 WHERE id = ANY($2)', ['secret', [1, 2]])),
    ...(await explained('DELETE FROM letters WHERE id = $1', [3])),
    ...(await explained('/* secret */ WITH x AS (SELECT 1) SELECT * FROM x', [])),
    ...(await explained('  (VALUES (1), (2))', [])),
  ]

  assert.deepEqual(
    plans.map(({ error }) => error),
    Array(6).fill(undefined),
  )
  assert.doesNotMatch(JSON.stringify(plans), /secret/)
  const { rows } = await client.query(
    "SELECT 1 FROM letters WHERE id = 9999 OR receiver = 'secret'",
  )
  assert.deepEqual(rows, [])
})

test('what is no single, plannable statement is refused, and not run', { skip }, async () => {
  const plans = [
    ...(await explained('DROP TABLE letters', [])),
    ...(await explained('SELECT 1; DROP TABLE letters', [])),
    ...(await explained('SELECT lies()', [])),
    ...(await explained('SELECT * FROM nowhere', [])),
  ]

  assert.deepEqual(
    plans.map(({ plan, error }) => [plan, error]),
    [
      [undefined, 'a statement of this kind has no plan'],
      [undefined, 'the server or its driver said 42601'],
      // It was planned, which called it: the read-only transaction kept it from writing.
      [undefined, 'the server or its driver said 25006'],
      [undefined, 'the server or its driver said 42P01'],
    ],
  )
  const { rows } = await client.query('SELECT count(*)::int, min(id) FROM letters')
  assert.deepEqual(rows, [{ count: 5000, min: 1 }])
})

test('after one that fails the next one is planned', { skip }, async () => {
  const samples = new StatementSamples()
  samples.note('a', 'SELECT * FROM nowhere', [], client as never)
  samples.note('b', 'SELECT 1', [], client as never)

  const plans = await explainAll(['a', 'b', 'c'], optionsFor(samples))

  assert.deepEqual(
    plans.map(({ statement, error }) => [statement, error]),
    [
      ['a', 'the server or its driver said 42P01'],
      ['b', undefined],
      ['c', 'no call of it was kept: too large, or too many'],
    ],
  )
})

test('samples are bounded, in number and in bytes, and keep what was passed', () => {
  const samples = new StatementSamples()
  const client = { connectionParameters: { host: 'h', user: 'u' } }
  const list = [{ a: 1 }]

  samples.note('large', 'SELECT $1', ['x'.repeat(100_000)], client)
  samples.note('changed', 'SELECT $1', [list, Buffer.from('ab')], client)
  list[0] = { a: 2 }
  for (let i = 0; i < 1_000; i++) samples.note(`s${i}`, 'x'.repeat(5_000), [], client)

  assert.equal(samples.get('large'), undefined)
  assert.deepEqual(samples.get('changed')?.values, [['{"a":1}'], Buffer.from('ab')])
  assert.ok(samples.get('s300') !== undefined)
  assert.equal(samples.get('s999'), undefined)
})

test('of a real server: plans on demand, which are not counted as its own', { skip }, async (t) => {
  const target = await observe(t, ['driver.cjs'], {
    env: { ...process.env, DATABASE_URL: postgres.url },
  })
  await target.beginPhase({ deepEvery: 1 })
  for (let i = 0; i < 5; i++) assert.equal((await get(target, `/${i}`)).status, 200)
  const before = await target.takePhase()
  const ids = before.routes.flatMap(({ statements }) => statements.map((each) => each.statement))

  const plans = await target.explain(ids)
  const afterwards = await target.takePhase()

  assert.equal(ids.length, 1)
  assert.match(
    target.statements().find(({ id }) => id === ids[0])?.text ?? '',
    /select relname from pg_class/,
  )
  assert.equal(planOf(plans[0])['Node Type'], 'Index Scan')
  assert.doesNotMatch(JSON.stringify(plans), /somebody/)
  assert.deepEqual(
    afterwards.processes.map(({ background }) => background.queries),
    before.processes.map(({ background }) => background.queries),
  )
  const { hostname, port, pathname } = new URL(postgres.url)
  assert.deepEqual(target.databases(), [
    { host: hostname, port: Number(port), database: pathname.slice(1), isLoopback: true },
  ])
})

async function explained(text: string, values: unknown[] | undefined): Promise<PlanFacts[]> {
  const samples = new StatementSamples()
  samples.note('s', text, values, client as never)
  return explainAll(['s'], optionsFor(samples))
}

function optionsFor(samples: StatementSamples) {
  return {
    sampleOf: (statement: string) => samples.get(statement),
    connectTo: ({ password, ...parameters }: ConnectionParameters) =>
      new pg.Client({ ...parameters, password } as pg.ClientConfig) as unknown as ExplainClient,
    strip: (text: string) => stripSql(text).text,
  }
}

function planOf(facts: PlanFacts | undefined): Record<string, unknown> {
  assert.equal(facts?.error, undefined)
  return facts?.plan as Record<string, unknown>
}
