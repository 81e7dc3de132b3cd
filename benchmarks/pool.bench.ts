/**
 * The pool against `pg.Pool`, postgres.js, pgbench and PgBouncer, and whether it is right.
 *
 *   npm run bench -- pool [--quick] [--only <group>,<group>]
 *
 * Questions: how many statements does one process get through, at which latency, while callers share
 * connections, statements fail, or one of a hundred is slow? And: does any caller ever see what another
 * one did? The groups are the keys of `groups` below.
 *
 * Conditions: PostgreSQL on the same machine by TCP, `fsync` off, in memory; each client in a process
 * of its own, interleaved (pool-rounds.ts); NODE_ENV is production; each row is checked against the key
 * that was asked. Only ratios within one run count. `--quick` shows the order of magnitude. With
 * `--only` the other groups' results stay in the file as they are, if they are of the same form.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { pgbenchProgram } from '#services/pgbench.js'
import { startPostgres } from '#services/postgres.js'
import { type Claim, type Finding, printed, type Scope, type Table, unmeasured } from './claim.ts'
import { behindPgBouncer } from './pool-bouncer.ts'
import { fill } from './pool-clients.ts'
import { faultsClaim } from './pool-faults.ts'
import { overHttp } from './pool-http.ts'
import { interleaveClaim, isolationClaim, sameResults } from './pool-proof.ts'
import { acquire, byKey, errors, slowNeighbour } from './pool-speed.ts'
import { shopFinding } from './story-claims.ts'

const groups: Readonly<Record<string, (scope: Scope) => Promise<Finding>>> = {
  'by-key-64': (scope) => byKey(scope, 64),
  'by-key-512': (scope) => byKey(scope, 512),
  errors,
  'slow-neighbour': slowNeighbour,
  http: overHttp,
  acquire,
  pgbouncer: behindPgBouncer,
  'same-results': sameResults,
  isolation: isolationClaim,
  interleave: interleaveClaim,
  faults: faultsClaim,
  shop: shopInFull,
}

/** Half a minute even in its quick form, and `npm run bench -- story --quick` states it as well. */
async function shopInFull(scope: Scope): Promise<Finding> {
  if (!scope.isQuick) return shopFinding(scope)
  const why = 'in the quick form it is left to `npm run bench -- story --quick`'
  return {
    claims: [unmeasured('shop', why, 'before against after by `hasten compare`')],
    tables: [],
  }
}

const isQuick = process.argv.includes('--quick')
const only = process.argv.includes('--only')
  ? (process.argv[process.argv.indexOf('--only') + 1] ?? '').split(',')
  : undefined

await using postgres = await startPostgres({ settings: { max_connections: '400' } })
await fill(postgres.url())

const claims: Claim[] = []
const tables: Table[] = []
for (const [name, measure] of Object.entries(groups)) {
  if (only !== undefined && !only.includes(name)) continue
  process.stderr.write(`${name} …\n`)
  const found = await measure({ isQuick, url: postgres.url() })
  claims.push(...found.claims)
  tables.push(...found.tables)
  for (const each of found.tables) process.stdout.write(printed(each))
  // After each group: a run that is cut short has measured what it has measured.
  await write()
}
for (const claim of claims) process.stdout.write(line(claim))

function line({ id, measured, unit, peer, peerMeasured, ratio, goal, met }: Claim): string {
  const theirs = peer === null ? '' : `  ${peer}: ${peerMeasured}`
  const times = ratio === null ? '' : `  ratio ${ratio}`
  const own = `${String(measured).padStart(8)} ${unit}`
  return `${id.padEnd(20)} ${own}${theirs}${times}  goal ${goal}: ${met ? 'met' : 'NOT MET'}\n`
}

async function write(): Promise<void> {
  const [cpu] = cpus()
  const version = 'SHOW server_version'
  const client = new pg.Client({ connectionString: postgres.url() })
  await client.connect()
  const { rows } = await client.query<{ server_version: string }>(version)
  await client.end()
  const result = {
    part: 'pool',
    date: new Date().toISOString(),
    machine: `${cpus().length} × ${cpu?.model ?? 'unknown'}, ${process.platform} ${process.arch}`,
    versions: {
      node: process.version,
      postgresql: rows[0]?.server_version,
      pg: versionOf('pg'),
      postgres: versionOf('postgres'),
      pgbench: await versionOfPgbench(),
    },
    rounds: tables,
    isQuick,
    claims,
  }
  // Compiled it lies in build/benchmarks.
  const folder = fileURLToPath(new URL('../../benchmarks/results/', import.meta.url))
  const file = `${folder}pool.json`
  mkdirSync(folder, { recursive: true })
  if (only !== undefined && existsSync(file)) {
    const earlier = JSON.parse(readFileSync(file, 'utf8')) as typeof result
    if (earlier.isQuick !== isQuick) return
    result.claims = replaced(earlier.claims, claims, ({ id }) => id)
    result.rounds = replaced(earlier.rounds, tables, ({ what }) => what)
  }
  writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`)
}

function replaced<T>(earlier: readonly T[], later: readonly T[], key: (one: T) => string): T[] {
  const left = new Map(later.map((one) => [key(one), one]))
  const kept = earlier.map((one) => {
    const found = left.get(key(one))
    left.delete(key(one))
    return found ?? one
  })
  return [...kept, ...left.values()]
}

async function versionOfPgbench(): Promise<string> {
  const { path, env } = await pgbenchProgram()
  return execFileSync(path, ['--version'], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  }).trim()
}

/** Of what the benchmarks compare: some hide their package.json from `require`. */
function versionOf(name: string): string {
  const file = new URL(`../../benchmarks/node_modules/${name}/package.json`, import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}
