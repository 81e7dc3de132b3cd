/** `hasten pgbouncer`, as it is typed: what it writes runs, what it measures is there. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Pool } from 'hasten/pool'
import pg from 'pg'
import { freePort } from '#services/free-port.js'
import { pgBouncerProgram, startPgBouncer } from '#services/pgbouncer.js'
import { startPostgres } from '#services/postgres.js'
import { service } from '../service.ts'
import { root } from '../structure/sources.ts'
import { until } from './until.ts'

const postgres = await service(() => startPostgres({ settings: { max_connections: '150' } }))
const { skip } = postgres
const folder = mkdtempSync(join(tmpdir(), 'hasten-test-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let files = 0

interface Document {
  readonly demand: { readonly transactionsPerSecond: number; readonly holdMs: number }
  readonly plan: {
    readonly busy: number
    readonly servers: number
    readonly pool: readonly { readonly name: string; readonly value: string }[]
    readonly warnings: readonly string[]
  }
  readonly pools: readonly { readonly clientsWaiting: number; readonly mode: string }[]
  readonly advice: readonly string[]
}

for (const version of ['1.18', '1.24'] as const) {
  for (const mode of ['session', 'transaction'] as const) {
    test(`the file for ${version} by ${mode} runs there, and the pool with its options`, {
      skip,
    }, async () => {
      const out = file()
      const { stdout } = await hasten([
        ...['--rate', '2000', '--service-ms', '17', '--processes', '4', '--json'],
        ...['--mode', mode, '--bouncer-version', version, '--out', out],
        ...['--database', postgres.it.url()],
      ])
      const { plan } = JSON.parse(stdout) as Document
      await using bouncer = await startPgBouncer({
        server: postgres.it,
        version,
        ini: readFileSync(out, 'utf8'),
      })
      const option = (name: string): number =>
        Number(plan.pool.find((each) => each.name === name)?.value)
      const pool = new Pool({
        connectionString: bouncer.url(),
        max: option('max'),
        min: option('min'),
        pgbouncer: mode,
      })

      assert.equal(plan.servers, 50)
      await pool.ready()
      const rows = await Promise.all(
        Array.from({ length: 200 }, (_, n) => pool.query('SELECT $1::int AS n', [n])),
      )
      assert.deepEqual(
        rows.map(({ rows: [row] }) => row.n),
        Array.from({ length: 200 }, (_, n) => n),
      )
      await pool.end()
    })
  }
}

test('the server connections are opened before anybody needs them', { skip }, async () => {
  const out = file()
  // 34 busy want 50; a tenth of it 9.
  const { stdout } = await hasten([
    ...['--rate', '200', '--service-ms', '17', '--json', '--out', out],
    ...['--database', postgres.it.url()],
  ])
  await using bouncer = await startPgBouncer({
    server: postgres.it,
    ini: readFileSync(out, 'utf8'),
  })
  const client = new pg.Client({ connectionString: bouncer.url() })
  await client.connect()

  // One by one, three a second.
  await until('9 server connections', async () => (await servers(bouncer.adminUrl)) >= 9, {
    withinMs: 60_000,
    pauseMs: 50,
  })
  await client.end()

  assert.equal((JSON.parse(stdout) as Document).plan.servers, 9)
})

test('a PgBouncer that runs is measured by its own numbers, and who waits is told', {
  skip,
}, async () => {
  await using bouncer = await startPgBouncer({
    server: postgres.it,
    settings: { default_pool_size: '2' },
  })
  const load = startLoad(bouncer.url(), 6, 'SELECT pg_sleep(0.02)')

  const { stdout } = await hasten([
    ...['--console', bouncer.adminUrl, '--seconds', '2', '--json', '--out', file()],
    ...['--database', postgres.it.url()],
  ])
  await load.stop()

  const { demand, plan, pools, advice } = JSON.parse(stdout) as Document
  // Two servers, never idle, each transaction some 20 ms: by Little's law two are busy.
  assert.ok(demand.holdMs >= 15 && demand.holdMs < 40, `${demand.holdMs} ms`)
  assert.ok(Math.abs(plan.busy - 2) < 0.5, `${plan.busy} busy`)
  assert.ok(plan.servers > 2)
  assert.equal(pools[0]?.mode, 'transaction')
  assert.match(advice.join('\n'), /clients wait|waited .* ms on average/)
})

test('a server without PgBouncer is measured by its sessions', { skip }, async () => {
  const load = startLoad(postgres.it.url(), 5, 'SELECT pg_sleep(0.05)')

  const { stdout } = await hasten([
    ...['--database', postgres.it.url(), '--seconds', '2', '--json', '--out', file()],
  ])
  await load.stop()

  const { demand, plan } = JSON.parse(stdout) as Document
  // Five sessions that sleep nearly all the time.
  assert.ok(plan.busy > 3 && plan.busy <= 5, `${plan.busy} busy`)
  assert.ok(demand.holdMs > 40, `${demand.holdMs} ms`)
})

test('a document of the doctor is enough', async () => {
  const document = file()
  const routes = [
    { requests: 900, queriesPerRequest: 4, dbMs: 20 },
    { requests: 100, queriesPerRequest: 14, dbMs: 120 },
  ]
  writeFileSync(document, JSON.stringify({ load: { seconds: 10, ratePerSecond: 100 }, routes }))

  const { stdout } = await hasten(['--from', document, '--json', '--out', file()])
  const double = await hasten([...['--from', document, '--rate', '200', '--json'], '--out', file()])

  // 900 × 20 ms + 100 × 120 ms in 10 s keep 3 busy; 5,000 statements.
  const { demand, plan } = JSON.parse(stdout) as Document
  assert.equal(demand.transactionsPerSecond, 500)
  assert.ok(Math.abs(plan.busy - 3) < 1e-9)
  assert.ok(Math.abs((JSON.parse(double.stdout) as Document).plan.busy - 6) < 1e-9)
})

test('--start serves until it is told to end, and leaves nothing', { skip }, async () => {
  const { path } = await pgBouncerProgram('1.24')
  const port = await freePort()
  const child = start([
    ...['--rate', '100', '--service-ms', '5', '--out', file(), '--binary', path, '--start'],
    ...['--listen', `127.0.0.1:${port}`, '--database', postgres.it.url()],
  ])
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text))
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (said += text))
  await until('PgBouncer serves', () => /Ctrl-C ends it/.test(said), {
    seen: () => said,
    withinMs: 60_000,
  })

  const url = new URL(postgres.it.url())
  url.port = String(port)
  const client = new pg.Client({ connectionString: url.href })
  await client.connect()
  client.on('error', () => {})
  const { rows } = await client.query<{ one: number }>('SELECT 1 AS one')
  const exited = once(child, 'exit')
  child.kill('SIGINT')
  const [code] = await exited

  assert.deepEqual(rows, [{ one: 1 }])
  assert.equal(code, 130)
  assert.equal(said.includes(postgres.it.password), false, 'no password is said')
  await assert.rejects(new pg.Client({ connectionString: url.href }).connect(), {
    code: 'ECONNREFUSED',
  })
})

test('a port that is taken ends --start with what PgBouncer said', { skip }, async () => {
  const { path } = await pgBouncerProgram('1.24')

  const { code, stderr } = await hasten([
    ...['--rate', '100', '--service-ms', '5', '--out', file(), '--binary', path, '--start'],
    ...['--listen', `127.0.0.1:${postgres.it.port}`, '--database', postgres.it.url()],
  ])

  assert.equal(code, 1)
  assert.match(stderr, /PgBouncer .* does not run.*in use/s)
})

test('no password reaches the file or the terminal', { skip }, async () => {
  const out = file()
  const secret = 'hunter2-secret'
  const { stdout, stderr } = await hasten([
    ...['--rate', '100', '--service-ms', '5', '--out', out, '--max-connections', '100'],
    ...['--database', `postgres://app:${secret}@127.0.0.1:${postgres.it.port}/shop`],
  ])
  const refused = await hasten([
    ...['--database', `postgres://app:${secret}@127.0.0.1:${postgres.it.port}/shop`],
    ...['--out', file()],
  ])

  for (const text of [stdout, stderr, readFileSync(out, 'utf8'), refused.stdout, refused.stderr]) {
    assert.equal(text.includes(secret), false, text)
  }
  assert.equal(refused.code, 1)
  assert.match(refused.stderr, /--database 127\.0\.0\.1:\d+\/shop gives no answer/)
})

// The server waits a minute for the password, and what is connected keeps a process alive.
test('a password that is missing ends the command at once', { skip, timeout: 40_000 }, async () => {
  const address = new URL(postgres.it.url())
  address.password = ''

  const { code, stderr } = await hasten(['--database', address.href, '--out', file()])

  assert.equal(code, 1)
  assert.match(stderr, /gives no answer: .*password/)
})

test('a file that is there is not written over but by --force', async () => {
  const out = file()
  writeFileSync(out, 'mine')
  const args = ['--rate', '100', '--service-ms', '5', '--out', out]

  const refused = await hasten(args)
  assert.equal(refused.code, 2)
  assert.match(refused.stderr, /is there already; --force/)
  assert.equal(readFileSync(out, 'utf8'), 'mine')

  assert.equal((await hasten([...args, '--force'])).code, 0)
  assert.match(readFileSync(out, 'utf8'), /^default_pool_size = \d+$/m)
})

const bad: readonly [string, readonly string[], RegExp][] = [
  ['nothing to size by', [], /nothing tells the demand/],
  ['a rate alone', ['--rate', '10'], /--rate needs --service-ms/],
  ['a time alone', ['--service-ms', '10'], /--service-ms needs --rate/],
  ['a rate below nothing', ['--rate', '-5', '--service-ms', '1'], /above 0/],
  ['a mode of another world', ['--mode', 'dancing'], /transaction or session/],
  ['a file that is not there', ['--from', '/nowhere/doctor.json'], /cannot be read \(ENOENT\)/],
  ['an address that is none', ['--database', 'app:pa55@db'], /must be one address/],
  ['a port that is none', ['--listen', 'localhost:99999'], /an address and a port/],
  ['a command', ['--', 'node', 'x.js'], /runs no command of yours/],
  [
    'a database whose name would need quoting',
    [...['--rate', '1', '--service-ms', '1', '--database', 'postgres://a@b/x%0Aadmin_users=a']],
    /would need quoting/,
  ],
]
for (const [what, args, expected] of bad) {
  test(`${what} is refused`, async () => {
    const out = file()
    const { code, stderr } = await hasten(['--out', out, ...args])

    assert.equal(code, 2, stderr)
    assert.match(stderr, expected)
    assert.equal(existsSync(out), false)
    assert.equal(stderr.includes('pa55'), false)
  })
}

test('a folder that is not there is refused before anything is measured', async () => {
  const out = join(folder, 'nowhere', 'x.ini')

  const { code, stderr } = await hasten(['--out', out, '--rate', '1', '--service-ms', '1'])

  assert.equal(code, 2, stderr)
  assert.match(stderr, /cannot be written: there is no folder .*nowhere/)
})

test('the help tells every option with default and unit', async () => {
  const { stdout, code } = await hasten(['--help'])

  assert.equal(code, 0)
  assert.match(stdout, /--service-ms <n> .*\(ms; default:/s)
  assert.match(stdout, /--wait-percent <n> .*default: 1\)/s)
})

function file(): string {
  return join(folder, `${++files}.ini`)
}

function start(args: readonly string[]): ChildProcess {
  const { DATABASE_URL: _, ...env } = process.env
  return spawn(process.execPath, [join(root, 'dist/cli/main.js'), 'pgbouncer', ...args], {
    env: { ...env, NO_COLOR: '1' },
    cwd: folder,
  })
}

async function hasten(
  args: readonly string[],
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = start(args)
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout, stderr }
}

function startLoad(url: string, callers: number, text: string): { stop(): Promise<void> } {
  let isOver = false
  const run = async (): Promise<void> => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    while (!isOver) await client.query(text)
    await client.end()
  }
  const all = Promise.all(Array.from({ length: callers }, run))
  return {
    stop: async () => {
      isOver = true
      await all
    },
  }
}

async function servers(adminUrl: string): Promise<number> {
  const client = new pg.Client({ connectionString: adminUrl })
  await client.connect()
  try {
    const { rows } = await client.query<{ database: string; state: string }>('SHOW SERVERS')
    return rows.filter(({ database }) => database !== 'pgbouncer').length
  } finally {
    await client.end()
  }
}
