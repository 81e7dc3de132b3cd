/** The servers that tests stand on: real, out of each other's way, and never left behind. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, rmSync, utimesSync } from 'node:fs'
import { createConnection } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { cacheFolder } from '#services/cache-folder.js'
import { type Postgres, startPostgres } from '#services/postgres.js'
import { startRedis } from '#services/redis.js'
import { service } from '../service.ts'
import { root } from '../structure/sources.ts'

const postgres = await service(() => startPostgres())
const redis = await service(() => startRedis())
const name = `try-${randomBytes(4).toString('hex')}`
const GONE_MS = 30_000

after(() => {
  for (const folder of readdirSync(cacheFolder('data'))) {
    if (folder.startsWith(name)) rmSync(join(cacheFolder('data'), folder), { recursive: true })
  }
})

test('PostgreSQL answers with the password alone, in UTF-8, whatever the environment says', {
  skip: postgres.skip,
}, async () => {
  const [row] = await ask(
    postgres.it,
    "SELECT 'größer' AS word, current_setting('lc_messages') AS locale",
  )

  assert.deepEqual(row, { word: 'größer', locale: 'C.UTF-8' })
  const stranger = new pg.Client({
    connectionString: postgres.it.url().replace(postgres.it.password, 'wrong'),
  })
  await assert.rejects(stranger.connect(), { code: '28P01' })
})

test('a crash and a restart keep port and data', { skip: postgres.skip }, async () => {
  await ask(postgres.it, 'CREATE TABLE kept AS SELECT 1 AS one')

  await postgres.it.restart('immediate')
  await postgres.it.restart('fast')

  assert.deepEqual(await ask(postgres.it, 'SELECT one FROM kept'), [{ one: 1 }])
})

test('pg_stat_statements can be switched on', { skip: postgres.skip }, async () => {
  await using counted = await startPostgres({
    settings: { shared_preload_libraries: 'pg_stat_statements' },
  })

  await ask(counted, 'CREATE EXTENSION pg_stat_statements')
  const rows = await ask(counted, 'SELECT count(*) > 0 AS counted FROM pg_stat_statements')

  assert.deepEqual(rows, [{ counted: true }])
})

test('a stopped server leaves neither process nor folder', { skip: postgres.skip }, async () => {
  const server = await startPostgres()
  await server.stop()

  assert.equal(existsSync(dirname(server.dataDir)), false)
  assert.equal(await listens(server.port), false)
})

test('kept data are there at the next start, and nobody shares them', {
  skip: postgres.skip,
}, async () => {
  const first = await startPostgres({ name, keep: true })
  await ask(first, 'CREATE TABLE kept AS SELECT 1 AS one')
  const second = await startPostgres({ name, keep: true })
  assert.notEqual(second.dataDir, first.dataDir)
  await second.stop()
  await first.stop()

  const third = await startPostgres({ name, keep: true })
  const rows = await ask(third, 'SELECT one FROM kept')
  await third.stop()

  assert.deepEqual(rows, [{ one: 1 }])
})

test('of kept data that nobody uses, the newest few stay', { skip: postgres.skip }, async () => {
  const data = cacheFolder('data')
  const old = Array.from({ length: 8 }, (_, index) => join(data, `${name}-old-${index}`))
  for (const [index, folder] of old.entries()) {
    mkdirSync(folder, { recursive: true })
    utimesSync(folder, index + 1, index + 1)
  }

  const server = await startPostgres({ name, keep: true })
  await server.stop()

  const left = readdirSync(data)
  assert.equal(existsSync(old[0] ?? ''), false)
  assert.equal(existsSync(old[1] ?? ''), false)
  assert.ok(left.includes(basename(dirname(server.dataDir))), left.join())
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`who is ended by ${signal} takes its servers along`, { skip: postgres.skip }, async () => {
    const { child, port, dataDir } = await starter('postgres')

    child.kill(signal)
    const [, by] = (await once(child, 'exit')) as [number | null, string | null]

    assert.equal(by, signal)
    assert.equal(await listens(port), false)
    assert.equal(existsSync(dirname(dataDir)), false)
  })
}

test('behind one that was killed the next start cleans up', { skip: postgres.skip }, async () => {
  const { child, port, dataDir } = await starter('postgres')
  const kept = await starter('postgres', name)
  for (const each of [child, kept.child]) {
    each.kill('SIGKILL')
    await once(each, 'exit')
  }
  assert.equal(await listens(port), true)

  await using next = await startPostgres({ name, keep: true })

  assert.equal(next.dataDir, kept.dataDir)
  assert.deepEqual(await ask(next, 'SELECT 1 AS one'), [{ one: 1 }])
  await untilSilent(port)
  assert.equal(existsSync(dirname(dataDir)), false)
})

test('Redis answers, forgets at a restart, and leaves nothing behind', {
  skip: redis.skip,
}, async () => {
  const server = await startRedis()
  assert.match(await say(server.port, 'SET a 1\r\nGET a\r\n'), /^\+OK\r\n\$1\r\n1/)

  await server.restart()
  assert.match(await say(server.port, 'GET a\r\n'), /^\$-1/)
  await server.stop()

  assert.equal(await listens(server.port), false)
})

interface Started {
  readonly child: ChildProcess
  readonly port: number
  readonly dataDir: string
}

async function starter(...args: string[]): Promise<Started> {
  const file = join(root, 'test/services/fixtures/starter.mjs')
  const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  return { child, ...(JSON.parse(line.toString()) as { port: number; dataDir: string }) }
}

async function ask(server: Postgres, statement: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: server.url() })
  await client.connect()
  try {
    return (await client.query(statement)).rows
  } finally {
    await client.end()
  }
}

function say(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: '127.0.0.1', port })
    let answer = ''
    socket.once('error', reject)
    socket.on('data', (data) => {
      answer += data.toString()
    })
    socket.once('close', () => resolve(answer))
    socket.write(`${text}QUIT\r\n`)
  })
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port })
    socket.once('connect', () => socket.destroy())
    socket.once('error', () => resolve(false))
    socket.once('close', (failed) => resolve(!failed))
  })
}

async function untilSilent(port: number): Promise<void> {
  const deadline = performance.now() + GONE_MS
  while (await listens(port)) {
    assert.ok(performance.now() < deadline, `port ${port} still answers after ${GONE_MS} ms`)
    await sleep(10)
  }
}
