import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { ask, fixture, formats, ObservedProcess } from './observed-process.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const hooks = pathToFileURL(join(root, 'dist/observe/index.js')).href
const nodeModules = join(root, 'node_modules')

test('by NODE_OPTIONS and an absolute URL, and by the command line: one timeline each', async (t) => {
  const app = await ObservedProcess.start(t, 'http', {
    env: { NODE_OPTIONS: `--import ${hooks}` },
    preload: ['hasten/observe'],
  })

  await app.get('/json')

  const { routes } = await app.facts(({ routes }) => routes.length > 0)
  assert.deepEqual(
    routes.map(({ requests }) => requests),
    [1],
  )
})

test('two copies of the package: one timeline each', async (t) => {
  const other = mkdtempSync(join(tmpdir(), 'hasten-copy-'))
  t.after(() => rmSync(other, { recursive: true }))
  const copy = join(other, 'node_modules/hasten')
  mkdirSync(copy, { recursive: true })
  // Another path is another copy to Node, whatever is in it.
  const { cpSync } = await import('node:fs')
  cpSync(join(root, 'dist'), join(copy, 'dist'), { recursive: true })
  cpSync(join(root, 'package.json'), join(copy, 'package.json'))
  for (const name of [
    'import-in-the-middle',
    'require-in-the-middle',
    'module-details-from-path',
  ]) {
    symlinkSync(join(nodeModules, name), join(other, 'node_modules', name))
  }
  const app = await ObservedProcess.start(t, 'fastify', {
    libraries: ['fastify'],
    preload: [pathToFileURL(join(copy, 'dist/observe/index.js')).href, 'hasten/observe'],
  })

  await app.get('/users/1')

  const { routes } = await app.facts(({ routes }) => routes.length > 0)
  assert.deepEqual(
    routes.map(({ route, requests }) => [route, requests]),
    [['/users/:id', 1]],
  )
})

test('HASTEN_OBSERVE=0 switches everything off', async (t) => {
  const app = await ObservedProcess.start(t, 'http', { env: { HASTEN_OBSERVE: '0' } })

  assert.equal((await app.get('/id')).body, 'null')
  assert.deepEqual((await app.facts()).routes, [])
})

for (const format of formats) {
  test(`each copy of a library is seen, an alias as what it is, ${format}`, async (t) => {
    const libraries = ['pg', 'pg-older', 'ioredis', 'redis', 'undici']
    const app = await ObservedProcess.start(t, 'http', { format, libraries })

    const { modules } = await app.facts()

    const names = modules.map(({ name }) => name)
    for (const name of ['pg', 'ioredis', 'redis', '@redis/client', 'undici']) {
      assert.ok(names.includes(name), `${name} is not in ${names}`)
    }
    const copies = modules.filter(({ name }) => name === 'pg')
    assert.equal(copies.length, 2)
    for (const { version } of copies) assert.match(version, /^8\.\d+\.\d+$/)
  })
}

test('a worker thread and a child process are observed on their own', async (t) => {
  const child = new ObservedProcess(
    ['--import', 'hasten/observe', '--import', fixture('report.mjs'), fixture('worker.mjs')],
    {},
  )
  t.after(() => child.stop())
  const { port } = (await child.message('port')) as { port: number }

  const { body } = await ask(port, '/in-a-worker')

  assert.match(body, /^\d+$/)
  assert.equal(child.stderr, '')
})

test('the processes of a cluster are observed each', async (t) => {
  const child = new ObservedProcess(['--import', 'hasten/observe', fixture('cluster.cjs')], {})
  t.after(() => child.stop())
  const { port } = (await child.message('port')) as { port: number }

  const answers = await Promise.all(Array.from({ length: 8 }, () => ask(port, '/x')))

  for (const { body } of answers) {
    const { id, worker } = JSON.parse(body) as { id: unknown; worker: unknown }
    assert.equal(typeof id, 'number')
    assert.equal(typeof worker, 'number')
  }
})

test('hooks that throw never reach the app, and are counted', async (t) => {
  const faulty = [fixture('faulty-timing.mjs'), 'hasten/observe']
  const app = await ObservedProcess.start(t, 'outbound', { libraries: ['undici'], preload: faulty })
  const healthy = await ObservedProcess.start(t, 'outbound', {
    libraries: ['undici'],
    preload: ['hasten/observe'],
  })

  for (const way of ['fetch', 'undici', 'http', 'pool']) {
    const [broken, whole] = await Promise.all(
      [app, healthy].map((each) => each.get(`/${way}?path=/a`)),
    )
    assert.equal(broken?.status, 200)
    assert.equal(broken.body, whole?.body)
  }
  const { failures } = await app.facts()
  assert.ok(failures.count >= 8, `${failures.count}`)
  assert.match(failures.first.join(), /planted/)
  assert.equal((await healthy.facts()).failures.count, 0)
})

test('a program that only exits pays nothing but the start: no output, no handle left', async (t) => {
  const child = new ObservedProcess(['--import', 'hasten/observe', '-e', '0'])
  t.after(() => child.stop())

  const code = await new Promise((resolve) => child.child.once('exit', resolve))

  assert.equal(code, 0)
  assert.equal(child.stderr, '')
})

test('an app bundled into one file runs, with its requests seen and its libraries not', async (t) => {
  const { build } = await import('esbuild')
  const folder = mkdtempSync(join(tmpdir(), 'hasten-bundle-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const entry = join(folder, 'entry.cjs')
  writeFileSync(
    entry,
    `const start = require(${JSON.stringify(fixture('express.app.cjs'))})
     start(require(${JSON.stringify(join(nodeModules, 'express'))})).then((port) => process.send({ port }))`,
  )
  const outfile = join(folder, 'bundle.cjs')
  await build({ entryPoints: [entry], bundle: true, platform: 'node', outfile })
  const child = new ObservedProcess(['--import', hooks, '--import', fixture('report.mjs'), outfile])
  t.after(() => child.stop())
  const { port } = (await child.message('port')) as { port: number }
  child.port = port

  await child.get('/users/41')

  assert.deepEqual(await child.routes(1), ['GET /users/:id'])
  assert.deepEqual((await child.facts()).modules, [])
})
