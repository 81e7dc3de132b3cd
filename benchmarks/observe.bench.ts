/**
 * What observing costs, and whether it is right.
 *
 *   npm run bench -- observe [--quick]
 *
 * Question: how much CPU time of the server does a request take with `--import hasten/observe`, against
 * the same server without, with nothing but an empty AsyncLocalStorage, and with OpenTelemetry's
 * auto-instrumentation? Two servers: a bare Fastify hello, and one row by id through `pg.Pool`; on
 * Node 20 and on Node 24. How it is measured stands in observe-rounds.ts.
 *
 * Conditions: the load (sixteen connections, one request under way on each) and PostgreSQL run in
 * other processes; NODE_ENV is production; the hooks are those of the built package.
 *
 * The pool has ten connections, pg's default, for sixteen callers: some of them wait for one, as they do
 * in an application under load, and the span of that wait is part of what is measured.
 *
 * The shares are of the server without anything, also where a claim is held against the empty
 * AsyncLocalStorage, which is measured with each. `--quick` takes fewer and shorter rounds: enough to
 * see the order of magnitude, not to decide about a percent. Whether it is right is counted on the
 * same server (test/observe/pg-exactness.ts): attribution with 1,000 requests at once, accounting
 * against `pg_stat_statements`.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { type Postgres, startPostgres } from '#services/postgres.js'
import type { Claim } from './claim.ts'
import { doctorClaims } from './doctor-claims.ts'
import { nodeBinary } from './node-binary.ts'
import { type Measured, measure, type Variant } from './observe-rounds.ts'
import { accounting, attribution } from '../test/observe/pg-exactness.ts'
import { memoryClaim, sizeClaim } from './timing-memory.bench.ts'

const isQuick = process.argv.includes('--quick')
const hooks = ['--import', import.meta.resolve('hasten/observe')]
const otel = ['--import', new URL('observe-otel.js', import.meta.url).href]
const bare: Variant = { name: 'bare' }
const storage: Variant = { name: 'storage', mode: 'storage' }
const observed: Variant = { name: 'hasten', imports: hooks }
const opentelemetry: Variant = { name: 'opentelemetry', imports: otel }

await using postgres = await startPostgres({
  settings: { shared_preload_libraries: 'pg_stat_statements' },
})
await fill(postgres)

const claims: Claim[] = []
const sets: Record<string, Measured> = {}
const node20 = await nodeBinary('20')
const node24 = await nodeBinary('24')

const hello20 = await rounds('hello on Node 20', node20, 'hello', [
  bare,
  storage,
  observed,
  opentelemetry,
])
const row20 = await rounds('row on Node 20', node20, 'row', [
  bare,
  storage,
  observed,
  opentelemetry,
])
const hello24 = await rounds('hello on Node 24', node24, 'hello', [bare, storage, observed])
const row24 = await rounds('row on Node 24', node24, 'row', [bare, storage, observed])

addCost('row-cpu', 'one row through pg.Pool, Node 20', row20, 5)
addCost('row-cpu-24', 'one row through pg.Pool, Node 24', row24, 5)
addCost('hello-cpu-24', 'Fastify hello, Node 24', hello24, 10)
addCost(
  'hello-cpu',
  'Fastify hello, Node 20, above an empty AsyncLocalStorage',
  hello20,
  8,
  'storage',
)
addPeer('otel-row', 'one row through pg.Pool, Node 20', row20)
addPeer('otel-hello', 'Fastify hello, Node 20', hello20)
claims.push(await attributionClaim(), await accountingClaim())
claims.push(await memoryClaim({ isQuick }), await sizeClaim())
claims.push(...(await doctorClaims({ isQuick })))

report()

async function rounds(
  what: string,
  node: string,
  route: 'hello' | 'row',
  variants: readonly Variant[],
): Promise<Measured> {
  process.stderr.write(`${what} …\n`)
  const measured = await measure({
    node,
    route,
    variants,
    rounds: isQuick ? 12 : 40,
    processes: isQuick ? 2 : 4,
    requests: isQuick ? 200 : 500,
    warmUp: isQuick ? 3000 : 12_000,
    sets: isQuick ? 1 : 3,
    env: { DATABASE_URL: postgres.url() },
  })
  sets[what] = measured
  return measured
}

/** What observing adds, as a share of the server without anything. */
function costOf(measured: Measured, name: string, floor = 'bare'): number {
  const { cpuUs } = measured
  return (((cpuUs[name] as number) - (cpuUs[floor] as number)) / (cpuUs['bare'] as number)) * 100
}

function addCost(id: string, what: string, measured: Measured, most: number, floor = 'bare'): void {
  const cost = costOf(measured, 'hasten', floor)
  claims.push({
    id,
    what: `CPU per request added by observing: ${what}${voidNote(measured)}`,
    measured: round(cost),
    unit: '%',
    // Beside each claim what Node itself takes for knowing which request it works for.
    peer: 'empty AsyncLocalStorage',
    peerMeasured: round(costOf(measured, 'storage')),
    ratio: null,
    goal: `<= ${most}`,
    met: !measured.isVoid && cost <= most,
  })
}

function addPeer(id: string, what: string, measured: Measured): void {
  const ours = costOf(measured, 'hasten')
  const theirs = costOf(measured, 'opentelemetry')
  claims.push({
    id,
    what: `CPU per request added, OpenTelemetry against hasten: ${what}${voidNote(measured)}`,
    measured: round(ours),
    unit: '%',
    peer: 'OpenTelemetry auto-instrumentation, exporter that drops',
    peerMeasured: round(theirs),
    ratio: round(theirs / Math.max(ours, 0.1)),
    goal: '>= 8 times cheaper',
    met: !measured.isVoid && theirs >= 8 * Math.max(ours, 0.1),
  })
}

/** Each of the 1,000 requests sends statements that carry its number, at once, on few connections. */
async function attributionClaim(): Promise<Claim> {
  const { requests, statements, wrong, missing, elsewhere } = await attribution({
    url: postgres.url(),
    requests: 1000,
  })
  const measured = wrong + missing + elsewhere
  return {
    id: 'attribution',
    what: `of ${statements} statements of ${requests} requests at once: booked to another request, to none, or continued in another`,
    measured,
    unit: 'statements',
    peer: null,
    peerMeasured: null,
    ratio: null,
    goal: '0',
    met: measured === 0 && requests === 1000 && statements >= requests,
  }
}

async function accountingClaim(): Promise<Claim> {
  const { requests, server, observed, rows, differences } = await accounting({
    url: postgres.url(),
  })
  const said = differences.length === 0 ? '' : ` (${differences.join('; ')})`
  return {
    id: 'accounting',
    what: `statements of ${requests} requests that observing counted, of ${server} that the server did; rows ${rows.observed} of ${rows.server}${said}`,
    measured: round((observed / server) * 100),
    unit: '%',
    peer: 'pg_stat_statements',
    peerMeasured: server,
    ratio: null,
    goal: '100',
    met: server > 0 && observed === server && differences.length === 0,
  }
}

function voidNote({ isVoid, control }: Measured): string {
  return isVoid ? ` (void: the same server differed by ${round(control * 100)} %)` : ''
}

async function fill(server: Postgres): Promise<void> {
  const client = new pg.Client({ connectionString: server.url() })
  await client.connect()
  await client.query(
    `CREATE TABLE product AS
       SELECT id, 'product ' || id AS name, id * 10 AS price FROM generate_series(1, 1000) AS id;
     ALTER TABLE product ADD PRIMARY KEY (id)`,
  )
  await client.end()
}

function report(): void {
  for (const [what, { cpuUs, control, voided, isVoid }] of Object.entries(sets)) {
    const costs = Object.entries(cpuUs).map(([name, us]) => `${name} ${us.toFixed(2)} µs`)
    const state = isVoid ? 'VOID' : `after ${voided} void sets`
    process.stdout.write(
      `${what}: ${costs.join(', ')}; control ${round(control * 100)} %, ${state}\n`,
    )
  }
  for (const { id, measured, unit, peerMeasured, ratio, goal, met } of claims) {
    const peer = peerMeasured === null ? '' : `  peer ${peerMeasured}`
    const times = ratio === null ? '' : `  ${ratio} times`
    const state = met ? 'met' : 'NOT MET'
    process.stdout.write(
      `${id.padEnd(14)} ${String(measured).padStart(8)} ${unit}${peer}${times}  goal ${goal}: ${state}\n`,
    )
  }
  const [cpu] = cpus()
  const result = {
    part: 'observe',
    date: new Date().toISOString(),
    machine: `${cpus().length} × ${cpu?.model ?? 'unknown'}, ${process.platform} ${process.arch}`,
    versions: { '20': versionOf(node20), '24': versionOf(node24), pg: versionOfPackage('pg') },
    rounds: sets,
    isQuick,
    claims,
  }
  // Compiled it lies in build/benchmarks.
  const folder = fileURLToPath(new URL('../../benchmarks/results/', import.meta.url))
  mkdirSync(folder, { recursive: true })
  writeFileSync(`${folder}observe.json`, `${JSON.stringify(result, null, 2)}\n`)
}

function versionOf(node: string): string {
  return execFileSync(node, ['--version'], { encoding: 'utf8' }).trim()
}

function versionOfPackage(name: string): string {
  const require = createRequire(import.meta.url)
  return (require(`${name}/package.json`) as { version: string }).version
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
