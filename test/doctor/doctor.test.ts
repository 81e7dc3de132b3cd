/** The command as a user meets it: what it prints, what it leaves, what bad input gets. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { DoctorDocument } from '#src/report/index.js'
import { freePort } from '#services/free-port.js'
import { testPostgres } from '../service.ts'
import { fixture, isAlive, until } from './fixture-server.ts'

const cli = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url))
const postgres = await testPostgres()
const folder = mkdtempSync(join(tmpdir(), 'hasten-doctor-test-'))
const started = new Set<ChildProcess>()
// A test that failed in the middle leaves its doctor behind, and the doctor its server.
after(() => {
  for (const child of started) child.kill('SIGINT')
})
after(() => rmSync(folder, { recursive: true, force: true }))

test('discovers routes, drives those that are safe, and prints one document', {
  skip: postgres.skip,
}, async () => {
  const page = join(folder, 'report.html')

  const run = await doctor(['--json', '--seconds', '2', '--html', page], ['shop-of-two.mjs'])

  assert.equal(run.code, 0, run.stderr)
  const document = JSON.parse(run.stdout) as DoctorDocument
  assert.deepEqual(document.routes.map(({ route }) => route).sort(), ['/visits', '/visits/:id'])
  assert.equal(document.load.mode, 'discovered')
  assert.ok(
    document.routes.every(
      ({ queriesPerRequest, requests }) => requests > 0 && queriesPerRequest === 1,
    ),
  )
  assert.ok(document.routes.every(({ p50Ms, p99Ms }) => p50Ms > 0 && p99Ms >= p50Ms))
  for (const { shares } of document.routes) {
    const whole = Object.values(shares).reduce((sum, share) => sum + share, 0)
    assert.ok(Math.abs(whole - 1) < 1e-6, `shares make ${whole}`)
  }
  const reasons = new Map(document.notDriven.map(({ route, reason }) => [route, reason]))
  assert.match(reasons.get('/touch') ?? '', /write|UPDATE/i)
  assert.match(reasons.get('/logout') ?? '', /logout/)
  assert.deepEqual(document.findings, [])
  assert.match(readFileSync(page, 'utf8'), /^<!doctype html>/i)
})

test('--fail-on fails on a finding, and on nothing else', { skip: postgres.skip }, async () => {
  const healthy = await doctor(['--json', '--seconds', '1', '--fail-on', '0'], ['shop-of-two.mjs'])
  const wrong = await doctor(['--fail-on', 'slow'], ['shop-of-two.mjs'])

  assert.equal(healthy.code, 0, healthy.stderr)
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /--fail-on/)
})

test('Ctrl-C ends the examination, not the report, and leaves no process', {
  skip: postgres.skip,
}, async () => {
  const child = start(['--json', '--seconds', '600'], ['shop-of-two.mjs'])
  const run = outputOf(child)
  await until('the load began', () => run.stderr.includes('load') || undefined)
  const served = childrenOf(child.pid ?? 0)

  child.kill('SIGINT')
  await once(child, 'close')

  assert.equal(child.exitCode, 130, run.stderr)
  const document = JSON.parse(run.stdout) as DoctorDocument
  assert.equal(document.isInterrupted, true)
  assert.ok(document.routes.length >= 2)
  assert.ok(served.length > 0)
  assert.deepEqual(served.filter(isAlive), [])
})

test('operations of GraphQL and labelled requests are one line each, counted on both sides', async () => {
  const file = join(folder, 'operations.jsonl')
  const operation = (name: string): object => ({
    ...{ method: 'POST', path: '/graphql' },
    body: { operationName: name, query: `query ${name} { operation }` },
  })
  const requests = [operation('First'), operation('Second'), { path: '/plain/x', route: 'a label' }]
  writeFileSync(file, requests.map((each) => JSON.stringify(each)).join('\n'))

  const run = await doctor(
    ['--json', '--seconds', '1', '--rate', '60', '--requests', file],
    ['operations.mjs'],
  )

  assert.equal(run.code, 0, run.stderr)
  const { routes, load } = JSON.parse(run.stdout) as DoctorDocument
  assert.deepEqual(routes.map(({ route }) => route).sort(), [
    '/graphql First',
    '/graphql Second',
    '/plain/:name',
  ])
  // Each request of the load is in one line only.
  assert.equal(
    routes.reduce((sum, { requests: count }) => sum + count, 0),
    load.requests,
  )
})

test('a server that crashes under load is reported with what was seen until then', async () => {
  const crash = file('crash.jsonl', '{"method":"GET","path":"/crash"}')
  const fine = file('fine.jsonl', '{"method":"GET","path":"/fine"}')

  const alive = await doctor(['--json', '--seconds', '1', '--requests', fine], ['crashes.mjs'])
  const dead = await doctor(['--json', '--seconds', '1', '--requests', crash], ['crashes.mjs'])

  assert.equal(alive.code, 0, alive.stderr)
  assert.equal(dead.code, 1)
  const document = JSON.parse(dead.stdout) as DoctorDocument
  assert.match(document.crash?.message ?? '', /TypeError: cannot read the colour of nothing/)
})

test('--watch sends nothing and reports the traffic of others', {
  skip: postgres.skip,
}, async () => {
  const port = await freePort()
  const child = start(['--json', '--watch', '--seconds', '600'], ['shop-of-two.mjs', String(port)])
  const run = outputOf(child)
  await until('it watches', () => run.stderr.includes('watching') || undefined)
  for (let i = 0; i < 20; i++)
    await fetch(`http://127.0.0.1:${port}/visits/${i}`).then((r) => r.text())

  child.kill('SIGINT')
  await once(child, 'close')

  const document = JSON.parse(run.stdout) as DoctorDocument
  assert.equal(document.load.mode, 'watched')
  assert.deepEqual(
    document.routes.map(({ route, requests }) => [route, requests]),
    [['/visits/:id', 20]],
  )
})

const refused: [what: string, argv: string[], command: string[], code: number, message: RegExp][] =
  [
    ['no command', [], [], 2, /command of your server is missing/],
    ['an unknown option', ['--request', 'x'], ['hello.mjs'], 2, /did you mean --requests/],
    [
      'a rate and a goal at once',
      ['--rate', '5', '--goal', 'p95=20'],
      ['hello.mjs'],
      2,
      /--rate gives/,
    ],
    ['a goal that is none', ['--goal', 'fast'], ['hello.mjs'], 2, /p95=200/],
    [
      'a request file that is missing',
      ['--requests', '/nowhere.jsonl'],
      ['hello.mjs'],
      1,
      /nowhere\.jsonl/,
    ],
    ['a header that is none', ['--header', 'nonsense'], ['hello.mjs'], 2, /name: value/],
    ['a server that exits', [], ['exits.mjs'], 1, /exit/],
  ]
for (const [what, argv, command, code, message] of refused) {
  test(`refuses ${what}`, async () => {
    const run = await doctor(argv, command)

    assert.equal(run.code, code, run.stderr)
    assert.match(run.stderr, message)
    assert.equal(run.stdout, '')
  })
}

test('a database that the environment puts elsewhere is not driven without a word', async () => {
  const run = await doctor(['--json'], ['hello.mjs'], { PGHOST: '192.0.2.1' })

  assert.equal(run.code, 1)
  assert.equal(run.stdout, '')
  assert.match(run.stderr, /PGHOST names a database on 192\.0\.2\.1/)
  assert.match(run.stderr, /--allow-remote-database/)
})

test('a line that is no request is named by file, line and column', async () => {
  const path = file('bad.jsonl', '{"method":"GET","path":"/"}\n{"method":"GET","path":}\n')

  const run = await doctor(['--requests', path], ['hello.mjs'])

  assert.equal(run.code, 1)
  assert.match(run.stderr, /bad\.jsonl:2:2\d/)
})

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

function start(
  argv: readonly string[],
  [name, ...args]: readonly string[],
  env: NodeJS.ProcessEnv = {},
): ChildProcess {
  const command = name === undefined ? [] : ['--', process.execPath, fixture(name), ...args]
  const child = spawn(process.execPath, [cli, 'doctor', ...argv, ...command], {
    env: { ...process.env, DATABASE_URL: postgres.url, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  started.add(child)
  return child
}

function outputOf(child: ChildProcess): { stdout: string; stderr: string } {
  const output = { stdout: '', stderr: '' }
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text
  })
  return output
}

async function doctor(
  argv: readonly string[],
  command: readonly string[],
  env: NodeJS.ProcessEnv = {},
) {
  const child = start(argv, command, env)
  const output = outputOf(child)
  await once(child, 'close')
  return { ...output, code: child.exitCode }
}

/** Linux tells; elsewhere none, and the test fails on it. */
function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .split(' ')
      .filter(Boolean)
      .map(Number)
  } catch {
    return []
  }
}
