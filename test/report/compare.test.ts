/**
 * `hasten compare` as its users run it: real processes, real traffic. Long enough to be true, short
 * enough to be run: what the statistics promise over many runs is shown beside them, in src/compare.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { CompareDocument } from '#src/compare/index.js'

const main = fileURLToPath(import.meta.resolve('#src/cli/main.js'))
let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hasten-compare-'))
  await writeFile(join(folder, 'server.mjs'), server)
  await writeFile(
    join(folder, 'traffic.jsonl'),
    '{"method":"GET","path":"/users/1"}\n{"method":"GET","path":"/users/2","weight":2}\n',
  )
})

after(async () => {
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
})

test('finds a known delay and its size, and finds nothing where nothing differs', async () => {
  const { stdout, stderr, code } = await compare(
    ['--rate', '25', '--seconds', '2', '--warmup', '0.4', '--rounds', '3', '--json'],
    ['node server.mjs delay=400', 'node server.mjs delay=40', 'node server.mjs delay=400'],
  ).done

  assert.equal(code, 0, stderr)
  const document = JSON.parse(stdout) as CompareDocument
  assert.deepEqual(
    document.verdicts.map(({ side, verdict }) => [
      side,
      verdict === 'faster' || verdict === 'slower',
    ]),
    [
      ['B', true],
      ['C', false],
    ],
    stdout,
  )
  assert.equal(document.verdict, 'faster')
  // 40 of 400 ms is a tenth; what a busy machine adds to both brings it up to 0.3 at the most.
  const { low, high, ratio } = find(document.ratios, 'p50Ms', 'B')
  assert.ok(
    low !== null && high !== null && ratio !== null && low <= 1 / 3 && high >= 1 / 10,
    stdout,
  )
  const control = document.control.ratios.find(({ metric }) => metric === 'p50Ms')
  assert.ok((control?.ratio ?? 0) > 0.6 && (control?.ratio ?? 9) < 1.6, stdout)
  const [a, b] = document.sides
  assert.ok((a?.p50Ms ?? 0) >= 396 && (b?.p50Ms ?? 0) >= 39, stdout)
  assert.ok((a?.cpuMsPerRequest ?? 0) > 0 && (a?.peakMemoryMb ?? 0) > 20, stdout)
  assert.equal(a?.requests, b?.requests, 'the same traffic')
  assert.equal(a?.dbMsPerRequest, null, 'there is no database to see')
  assert.deepEqual(Object.keys(document).slice(0, 5), [
    'version',
    'load',
    'sides',
    'ratios',
    'verdict',
  ])
  await assertNobodyIsLeft()
})

test('a side that is fast because it fails wins nothing', async () => {
  const { stdout, stderr, code } = await compare(
    ['--rate', '25', '--seconds', '1', '--warmup', '0', '--rounds', '3'],
    ['node server.mjs delay=60', 'node server.mjs delay=1 status=500'],
  ).done

  assert.equal(code, 0, stderr)
  assert.match(
    stdout,
    /VERDICT {2}cannot tell whether B differs from A: the sides do not answer alike/,
  )
  assert.match(
    stdout,
    /GET \/users\/:id gave status 500 in 100 % of the requests on B and in 0 % on A/,
  )
  await assertNobodyIsLeft()
})

test('a side that does not start is named, with what it said', async () => {
  const { stdout, stderr, code } = await compare(
    ['--rate', '20', '--seconds', '1', '--warmup', '0', '--json'],
    ['node server.mjs delay=1', 'node nowhere.mjs'],
  ).done

  assert.equal(code, 1)
  assert.match(stderr, /hasten: side B \(node nowhere\.mjs\): .*exited/)
  assert.match(stderr, /nowhere\.mjs/)
  // A was measured, but no round is whole: the document says so.
  assert.equal((JSON.parse(stdout) as CompareDocument).load.rounds, 0)
  await assertNobodyIsLeft()
})

test('a database elsewhere that is first used under way is asked once, and no more', async () => {
  await writeFile(
    join(folder, 'remote.mjs'),
    `import { appendFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import pg from '${import.meta.resolve('pg')}'
writeFileSync(process.pid + '.pid', '')
const pool = new pg.Pool({ host: '192.0.2.1', database: 'prod', connectionTimeoutMillis: 100 })
createServer(async (_, response) => {
  appendFileSync('asked', 'x')
  await pool.query('SELECT 1').catch(() => {})
  response.end()
}).listen(0, '127.0.0.1')
`,
  )

  const { stderr, code } = await compare(
    ['--rate', '50', '--seconds', '1', '--warmup', '1'],
    ['node remote.mjs', 'node remote.mjs'],
  ).done

  assert.equal(code, 1)
  assert.match(stderr, /side A \(node remote\.mjs\): it uses the database prod on 192\.0\.2\.1/)
  assert.equal(await readFile(join(folder, 'asked'), 'utf8'), 'x')
  await assertNobodyIsLeft()
})

test('a server that crashes under the load is named, with the error', async () => {
  const { stderr, code } = await compare(
    ['--rate', '40', '--seconds', '1', '--warmup', '0'],
    ['node server.mjs delay=1', 'node server.mjs delay=1 crashAfter=10'],
  ).done

  assert.equal(code, 1)
  assert.match(stderr, /side B \(.*crashAfter=10\): it ended .* while it was measured/)
  assert.match(stderr, /the tenth was too many/)
  await assertNobodyIsLeft()
})

for (const signal of ['SIGINT', 'SIGHUP'] as const) {
  test(`${signal} prints what was measured and leaves no process`, async () => {
    const run = compare(
      ['--rate', '30', '--seconds', '1', '--warmup', '0', '--rounds', '50', '--json'],
      ['node server.mjs delay=1', 'node server.mjs delay=2'],
    )

    await run.said(/round 2 of 50/)
    run.child.kill(signal)
    const { stdout, code } = await run.done

    assert.equal(code, 130)
    const document = JSON.parse(stdout) as CompareDocument
    assert.equal(document.load.rounds, 1)
    assert.equal(document.verdict, 'cannot tell')
    assert.match(document.notes[0] ?? '', /^Interrupted/)
    await assertNobodyIsLeft()
  })
}

const wrong: readonly (readonly [args: string[], commands: string[], message: RegExp])[] = [
  [[], ['node a.js'], /two to 8 commands after --/],
  [[], ['node a.js', ' '], /a command is empty/],
  [['--rounds', '2'], ['a', 'b'], /--rounds must be a whole number at least 3/],
  [['--goal', 'fast'], ['a', 'b'], /--goal must be a latency goal such as p95=200, got "fast"/],
]
for (const [args, commands, message] of wrong) {
  test(`refuses ${[...args, '--', ...commands].join(' ')}`, async () => {
    const { stderr, stdout, code } = await compare(args, commands).done

    assert.equal(code, 2)
    assert.match(stderr, message)
    assert.equal(stdout, '')
  })
}

test('a request file that is none costs nobody a server', async () => {
  await writeFile(join(folder, 'broken.jsonl'), '{"method":"GET","path":"/x"}\n{"method" "GET"}\n')

  const { stderr, code } = await compare([], ['node server.mjs', 'node server.mjs'], 'broken.jsonl')
    .done

  assert.notEqual(code, 0)
  assert.match(stderr, /broken\.jsonl:2:\d+/)
  assert.doesNotMatch(stderr, /starting/)
})

test('--help names each option with unit and default', async () => {
  const { stdout, code } = await compare(['--help'], []).done

  assert.equal(code, 0)
  assert.match(stdout, /--seconds <n> +Length of each run \(s; default: 5\)/)
  assert.match(stdout, /--rounds <n> +.*\n? *\(rounds; default: 5\)/)
})

function compare(args: readonly string[], commands: readonly string[], traffic = 'traffic.jsonl') {
  const child: ChildProcess = spawn(
    process.execPath,
    [main, 'compare', '--requests', traffic, ...args, '--', ...commands],
    { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let stdout = ''
  let stderr = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const done = new Promise<{ stdout: string; stderr: string; code: number | null }>(
    (resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => resolve({ stdout, stderr, code }))
    },
  )
  const said = (pattern: RegExp) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (pattern.test(stderr)) resolve()
      }
      child.stderr?.on('data', look)
      child.once('close', () => reject(new Error(`ended before it said ${pattern}: ${stderr}`)))
      look()
    })
  return { child, done, said }
}

function find(ratios: CompareDocument['ratios'], metric: string, side: string) {
  const found = ratios.find((ratio) => ratio.metric === metric && ratio.side === side)
  assert.ok(found !== undefined, `${metric} of ${side}`)
  return found
}

/** Each server leaves a file with its pid. */
async function assertNobodyIsLeft(): Promise<void> {
  const pids = (await readdir(folder)).filter((name) => /^\d+\.pid$/.test(name))
  for (const name of pids) {
    const pid = name.replace('.pid', '')
    assert.ok(!existsSync(`/proc/${pid}/cwd`) || !isAlive(Number(pid)), `server ${pid} is left`)
    await rm(join(folder, name))
  }
  assert.ok(pids.length > 0, 'a server ran')
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const server = `
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
const options = Object.fromEntries(process.argv.slice(2).map((word) => word.split('=')))
writeFileSync(process.pid + '.pid', '')
let seen = 0
createServer((request, response) => {
  seen += 1
  if (seen === Number(options.crashAfter)) throw new Error('the tenth was too many')
  setTimeout(() => {
    response.statusCode = Number(options.status ?? 200)
    response.end('{"ok":true}')
  }, Number(options.delay ?? 0))
}).listen(0, '127.0.0.1')
`
