/** Starting a command under observation: when it listens, and each way in which it does not. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { build } from 'esbuild'
import { Target } from '#src/cli/target/index.js'
import { fixture, get, isAlive, observe, observeCommand } from './fixture-server.js'

test('a server is found where it listens, whatever port it took', async (t) => {
  const target = await observe(t, ['hello.mjs'])

  const [server, ...others] = target.listening
  assert.deepEqual(others, [])
  assert.equal(server?.host, '127.0.0.1')
  assert.equal(server?.protocol, 'http')
  assert.equal((await get(target, '/pid')).body, String(server?.pid))
})

test('an https server is told apart', async (t) => {
  const script = "require('https').createServer().listen(0, '127.0.0.1')"

  const target = await observeCommand(t, [process.execPath, '-e', script])

  assert.deepEqual(
    target.listening.map(({ protocol }) => protocol),
    ['https'],
  )
})

test('below npm the server is seen, and npm is not', async (t) => {
  const target = await observeCommand(t, ['npm', 'start'], { cwd: fixture('npm-app') })

  await target.beginPhase()
  await get(target, '/hello/1')
  const { processes, routes } = await target.takePhase()
  assert.notEqual(target.listening[0]?.pid, target.pid)
  assert.deepEqual(
    processes.map(({ pid }) => pid),
    [target.listening[0]?.pid],
  )
  assert.equal(routes.length, 1)
})

test('options that the application has in NODE_OPTIONS stay, also with spaces', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'a folder '))
  t.after(() => rmSync(folder, { recursive: true }))
  const preload = join(folder, 'pre load.cjs')
  writeFileSync(preload, 'console.log(`preloaded with ${process.env.NODE_OPTIONS}`)')
  const lines: string[] = []

  await observe(t, ['hello.mjs'], {
    env: { ...process.env, NODE_OPTIONS: `--require "${preload}"` },
    onLine: (stream, line) => lines.push(`${stream}: ${line}`),
  })

  assert.match(
    lines[0] ?? '',
    /^stdout: preloaded with --require "[^"]+pre load\.cjs" --require \S+/,
  )
})

test('a main script that a require hook compiles starts as it does by itself', async (t) => {
  const command = [
    process.execPath,
    '-r',
    fixture('require-hook/hook.cjs'),
    fixture('require-hook/server.shout'),
  ]

  const target = await observeCommand(t, command)

  assert.equal((await get(target, '/')).body, 'HELLO')
  assert.deepEqual(target.output('stderr'), [])
})

test('the package works from a path with spaces and signs', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'a "quoted" path #1 '))
  t.after(() => rmSync(folder, { recursive: true }))
  const script = join(folder, 'my server.mjs')
  writeFileSync(script, "import http from 'node:http'\nhttp.createServer().listen(0, '127.0.0.1')")

  const target = await observeCommand(t, [process.execPath, script], { cwd: folder })

  assert.equal(target.listening.length, 1)
})

test('a command that does not exist', async () => {
  await assert.rejects(Target.start(['no-such-command-anywhere', 'x']), {
    code: 'TARGET_NOT_FOUND',
    message: /"no-such-command-anywhere" could not be started: there is no such command/,
  })
})

test('a file that may not be executed', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'hasten-test-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const script = join(folder, 'server.js')
  writeFileSync(script, '')
  chmodSync(script, 0o644)

  await assert.rejects(Target.start([script]), {
    code: 'TARGET_NOT_FOUND',
    message: /may not be executed.*node .*server\.js/,
  })
})

test('a folder that does not exist is not taken for a missing command', async () => {
  await assert.rejects(Target.start(['node', 'server.js'], { cwd: '/nowhere/at/all' }), {
    code: 'TARGET_NOT_FOUND',
    message: /folder to start in does not exist: \/nowhere\/at\/all/,
  })
})

test('a command that exits: its code and its last words', async () => {
  await assert.rejects(Target.start([process.execPath, fixture('exits.mjs')]), {
    code: 'TARGET_EXITED',
    message: /exited with code 3 before it listened[\s\S]*the setting GREETING is missing/,
  })
})

// Side by side, since each of them waits to the end; long enough for Node to start on a busy machine.
const SILENCE_MS = 6_000

describe('silence', { concurrency: true }, () => {
  test('a command that never listens is stopped, and nothing of it is left', async () => {
    const pids: number[] = []
    const script = 'console.log(process.pid); setInterval(() => {}, 1e3)'
    const start = Target.start([process.execPath, '-e', script], {
      readyTimeoutMs: SILENCE_MS,
      onLine: (_, line) => pids.push(Number(line)),
    })

    await assert.rejects(start, {
      code: 'TARGET_SILENT',
      message: /did not listen on a port within 6 s. It runs, but opened no HTTP server.*--timeout/,
    })
    assert.equal(pids.length, 1)
    assert.equal(isAlive(Number(pids[0])), false)
  })

  test('a command that is no Node application', async () => {
    await assert.rejects(Target.start(['sleep', '60'], { readyTimeoutMs: SILENCE_MS }), {
      code: 'TARGET_SILENT',
      message: /No Node process of it has reported/,
    })
  })

  test('a server that listens on a Unix socket alone', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'hasten-test-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const socket = join(folder, 'own')
    const script = `require('http').createServer().listen(${JSON.stringify(socket)})`

    await assert.rejects(
      Target.start([process.execPath, '-e', script], { readyTimeoutMs: SILENCE_MS }),
      {
        code: 'TARGET_SILENT',
        message: /listens on the Unix socket .*own only/,
      },
    )
  })

  test('a server of another protocol is no HTTP server', async () => {
    const script = "require('net').createServer().listen(0, '127.0.0.1')"

    await assert.rejects(
      Target.start([process.execPath, '-e', script], { readyTimeoutMs: SILENCE_MS }),
      {
        code: 'TARGET_SILENT',
        message: /opened no HTTP server/,
      },
    )
  })
})

test('a port in use: which one, and who has it', async (t) => {
  const holder = createServer()
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve))
  t.after(() => holder.close())
  const { port } = holder.address() as { port: number }

  const by = process.platform === 'linux' ? ` by process ${process.pid} \\(` : ''
  await assert.rejects(
    Target.start([process.execPath, fixture('hello.mjs')], {
      env: { ...process.env, PORT: String(port) },
    }),
    { code: 'TARGET_PORT_IN_USE', message: new RegExp(`port ${port} is in use${by}`) },
  )
})

test('a port in use is told although the application swallows the error and stays', async (t) => {
  const holder = createServer()
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve))
  t.after(() => holder.close())
  const { port } = holder.address() as { port: number }
  const script = `
    setInterval(() => {}, 1e3)
    require('http').createServer().on('error', () => {}).listen(${port}, '127.0.0.1')`

  await assert.rejects(Target.start([process.execPath, '-e', script]), {
    code: 'TARGET_PORT_IN_USE',
  })
})

test('an application bundled into one file: that nothing can be seen, and what to do', async (t) => {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'hasten-test-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const bundle = (name: string, options: object) =>
    build({
      entryPoints: [fixture('driver.cjs')],
      outfile: join(folder, name),
      bundle: true,
      platform: 'node',
      external: ['pg-native'],
      logLevel: 'silent',
      ...options,
    })
  await bundle('plain.cjs', {})
  await bundle('minified.cjs', { minify: true })

  for (const name of ['plain.cjs', 'minified.cjs']) {
    await assert.rejects(Target.start([process.execPath, join(folder, name)]), {
      code: 'TARGET_OPAQUE',
      message:
        /bundled into one file together with pg, so nothing can be seen.*--packages=external/,
    })
  }
})

test('a server that uses no library at all is no bundle', async (t) => {
  const target = await observe(t, ['hello.mjs'])

  assert.deepEqual(target.seen(), { modules: [], nothingHooked: true })
})

test('libraries are seen with version and folder, and databases without a password', async (t) => {
  const target = await observe(t, ['driver.cjs'], {
    env: { ...process.env, DATABASE_URL: 'postgres://me:secret@127.0.0.1:1/shop' },
  })

  await get(target, '/1')
  const { modules, nothingHooked } = target.seen()
  assert.equal(nothingHooked, false)
  assert.ok(modules.some(({ name, path }) => name === 'pg' && path.endsWith('node_modules/pg')))
  assert.deepEqual(target.databases(), [
    { host: '127.0.0.1', port: 1, database: 'shop', isLoopback: true, away: 'ECONNREFUSED' },
  ])
})

test('a database that is away keeps the server from starting: which one', async () => {
  await assert.rejects(
    Target.start([process.execPath, fixture('driver.cjs')], {
      env: {
        ...process.env,
        DATABASE_URL: 'postgres://127.0.0.1:1/shop',
        WAIT_FOR_DATABASE: '1',
      },
    }),
    {
      code: 'TARGET_DATABASE_AWAY',
      message: /its database at 127\.0\.0\.1:1 is away \(ECONNREFUSED\)/,
    },
  )
})

test('an abort while it starts stops what was started', async () => {
  const pids: number[] = []
  const interrupt = new AbortController()
  const start = Target.start(['node', fixture('silent.mjs')], {
    signal: interrupt.signal,
    onLine: () => interrupt.abort(new Error('interrupted')),
  })

  await assert.rejects(start, /interrupted/)
  assert.deepEqual(pids.filter(isAlive), [])
})

test('the private folder is gone when the target is', async (t) => {
  const parent = mkdtempSync('/tmp/t-')
  t.after(() => rmSync(parent, { recursive: true }))
  mkdirSync(join(parent, 'deep'))
  const before = process.env['TMPDIR']
  process.env['TMPDIR'] = parent
  t.after(() => {
    if (before === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = before
  })

  const target = await observe(t, ['hello.mjs'])
  const while_ = readdirSync(parent).filter((name) => name.startsWith('hasten-'))
  await target.stop()

  assert.equal(while_.length, 1)
  assert.deepEqual(readdirSync(parent), ['deep'])
})

test('a command line that is too long leaves neither folder nor open socket', async () => {
  const folders = () => readdirSync(tmpdir()).filter((name) => name.startsWith('hasten-')).length
  const before = folders()

  const starting = Target.start([process.execPath, '-e', 'x'.repeat(4 * 2 ** 20)])

  await assert.rejects(starting, { code: 'TARGET_NOT_FOUND', message: /the system said E2BIG/ })
  assert.ok(folders() <= before)
})
