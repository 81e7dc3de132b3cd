/**
 * Exactness of what is observed on PostgreSQL, measured on a real server: the test asserts it, the
 * benchmark states it as claims.
 *
 *   attribution   many requests at once on few connections, each with statements that carry its
 *                 number, by promise and by callback: how many were booked to another request
 *   accounting    mixed statements under concurrency: what the routes counted, and the background,
 *                 against what `pg_stat_statements` of the server counted
 */
import assert from 'node:assert/strict'
import pg from 'pg'
import type { ProcessFacts, RouteFacts } from '#src/core/facts.js'
import { stripSql } from '#src/core/sql-lexer.js'
import { ask, fixture, ObservedProcess } from './observed-process.ts'

export interface ExactnessOptions {
  /** Of a server; for `accounting` one that has pg_stat_statements loaded. */
  readonly url: string
  /** @default esm */
  readonly format?: 'esm' | 'cjs'
  /** Package name of pg. @default pg */
  readonly library?: string
  /** Another application with a route `/tagged?n=…&plain=…`, and its libraries. @default pg */
  readonly app?: string
  /** Of the application. */
  readonly env?: Readonly<Record<string, string>>
}

export interface Attribution {
  readonly requests: number
  readonly statements: number
  /** Booked to a request that did not send them. */
  readonly wrong: number
  /** Sent by a request and not booked to it. */
  readonly missing: number
  /** Callbacks and continuations that ran for another request than their own. */
  readonly elsewhere: number
}

export interface Accounting {
  readonly requests: number
  /** Statements that the server completed. */
  readonly server: number
  /** Statements that routes and background counted, without those that failed. */
  readonly observed: number
  /** Rows, as both count them. */
  readonly rows: { readonly server: number; readonly observed: number }
  /** Shapes whose calls or rows differ, beyond what the background explains. */
  readonly differences: readonly string[]
}

interface Totals {
  readonly tagged: readonly {
    readonly statements: number
    readonly wrong: number
    readonly missing: number
  }[]
  readonly routes: readonly RouteFacts[]
  readonly background: ProcessFacts['background']
}

const WAIT_MS = 30_000

export async function attribution(
  options: ExactnessOptions & {
    /** @default 200 */
    readonly requests?: number
    /** Statements of one shape that the route sends for each request. */
    readonly plain?: number
  },
): Promise<Attribution> {
  const { requests = 200, plain = 0 } = options
  const app = await start(options)
  try {
    const answers = await Promise.all(
      Array.from({ length: requests }, (_, n) => ask(app.port, `/tagged?n=${n}&plain=${plain}`)),
    )
    let elsewhere = 0
    for (const { status, body } of answers) {
      assert.equal(status, 200, body)
      const { got, same } = JSON.parse(body) as { got: string[]; same: boolean }
      elsewhere += got.length + (same ? 0 : 1)
    }
    const { tagged } = await totals(app, (all) => all.tagged.length === requests)
    const sum = (field: 'statements' | 'wrong' | 'missing') =>
      tagged.reduce((total, each) => total + each[field], 0)
    const [statements, wrong, missing] = [sum('statements'), sum('wrong'), sum('missing')]
    return { requests, statements, wrong, missing, elsewhere }
  } finally {
    await app.stop()
  }
}

/** Each route of the application that asks statements the server can count one by one. */
const routes = [
  ...['/text', '/values', '/config', '/named', '/pool-callback', '/text-callback'],
  ...['/connect-callback', '/object', '/cursor', '/cursor-closed', '/stream', '/transaction'],
  ...['/two-transactions', '/refused-commit', '/violation', '/queued', '/wait', '/connect'],
  ...['/words?word=there', '/words?word=no', '/after'],
]
const pipelined = ['/piped', '/piped-transaction']

export async function accounting(
  options: ExactnessOptions & { readonly rounds?: number },
): Promise<Accounting> {
  const { url, library = 'pg', rounds = 20 } = options
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const app = await start(options)
  try {
    await client.query(`CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
      CREATE TABLE IF NOT EXISTS words (word text PRIMARY KEY);
      INSERT INTO words VALUES ('there') ON CONFLICT DO NOTHING`)
    const paths = library === 'pg' ? [...routes, ...pipelined] : routes
    await client.query('SELECT pg_stat_statements_reset()')
    app.child.send({ exactness: 'reset' })
    await app.message('exactness')

    for (let round = 0; round < rounds; round++) {
      const answers = await Promise.all(paths.map((path) => ask(app.port, path)))
      for (const [i, { status, body }] of answers.entries()) {
        assert.equal(status, 200, `${paths[i]}: ${body}`)
      }
    }

    const requests = rounds * paths.length
    const all = await totals(
      app,
      ({ routes: seen, background }) =>
        seen.reduce((sum, each) => sum + each.requests, 0) === requests &&
        // `/after` asks one statement each, when its response is out.
        background.queries >= rounds,
    )
    return { requests, ...compared(all, await serverCounts(client)) }
  } finally {
    await app.stop()
    await client.end()
  }
}

interface Count {
  calls: number
  rows: number
}

/** Calls and rows by shape, without what we asked ourselves. */
async function serverCounts(client: pg.Client): Promise<Map<string, Count>> {
  const { rows } = await client.query<{ query: string; calls: string; rows: string }>(
    `SELECT query, calls, rows FROM pg_stat_statements
     WHERE query NOT LIKE '%pg_stat_statements%'`,
  )
  const counts = new Map<string, Count>()
  for (const { query, calls, rows: seen } of rows) {
    add(counts, shapeOf(query), Number(calls), Number(seen))
  }
  return counts
}

function compared(
  { routes: seen, background, texts }: Totals & { texts: ReadonlyMap<string, string> },
  server: ReadonlyMap<string, Count>,
): Omit<Accounting, 'requests'> {
  const ours = new Map<string, Count>()
  for (const { statements } of seen) {
    for (const { statement, calls, errors, rows } of statements) {
      // The server counts what it has completed.
      add(ours, shapeOf(texts.get(statement) ?? statement), calls - errors, rows)
    }
  }
  const total = (counts: ReadonlyMap<string, Count>, field: keyof Count) =>
    [...counts.values()].reduce((sum, count) => sum + count[field], 0)
  const later = shapeOf('SELECT now() AS later')
  const differences: string[] = []
  for (const text of new Set([...ours.keys(), ...server.keys()])) {
    const [a, b] = [ours.get(text), server.get(text)]
    if (text === later || (a?.calls === b?.calls && a?.rows === b?.rows)) continue
    differences.push(`${text}: observed ${JSON.stringify(a)}, server ${JSON.stringify(b)}`)
  }
  const inBackground = server.get(later)?.calls ?? 0
  if (inBackground !== background.queries) {
    differences.push(`background: observed ${background.queries}, server ${inBackground}`)
  }
  return {
    server: total(server, 'calls'),
    observed: total(ours, 'calls') + background.queries,
    // Of the background, rows are not counted; its statement gives one each.
    rows: { server: total(server, 'rows') - inBackground, observed: total(ours, 'rows') },
    differences,
  }
}

/** The server takes statements for one that differ in a column's alias or a savepoint's name only. */
function shapeOf(sql: string): string {
  return stripSql(sql)
    .text.replaceAll(/ as \w+/g, '')
    .replace(/savepoint \S+$/, 'savepoint')
}

function add(counts: Map<string, Count>, text: string, calls: number, rows: number): void {
  const count = counts.get(text) ?? { calls: 0, rows: 0 }
  if (calls > 0) counts.set(text, { calls: count.calls + calls, rows: count.rows + rows })
}

async function totals(
  app: ObservedProcess,
  when: (totals: Totals) => boolean,
): Promise<Totals & { texts: ReadonlyMap<string, string> }> {
  const until = Date.now() + WAIT_MS
  for (;;) {
    app.child.send({ exactness: 'take' })
    const { exactness } = (await app.message('exactness')) as {
      exactness: Totals & { texts: [string, string][] }
    }
    if (when(exactness)) return { ...exactness, texts: new Map(exactness.texts) }
    assert.ok(Date.now() < until, `totals stayed ${JSON.stringify(exactness)}`)
  }
}

async function start(options: ExactnessOptions) {
  const { url, format = 'esm', library = 'pg', app: name = 'pg', env } = options
  const preload = ['hasten/observe', fixture('exactness.mjs')]
  const app = new ObservedProcess(
    [
      ...preload.flatMap((file) => ['--import', file]),
      fixture(format === 'esm' ? 'load.mjs' : 'load.cjs'),
      ...[name, library],
    ],
    { DATABASE_URL: url, ...env },
  )
  const { port } = (await app.message('port')) as { port: number }
  app.port = port
  return app
}
