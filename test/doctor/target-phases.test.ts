/** Phases: what several processes counted, as one, also of those that have exited or crashed. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { test } from 'node:test'
import { get, isAlive, observe, until } from './fixture-server.js'

test('two workers of a cluster are counted as one, exactly', async (t) => {
  const target = await observe(t, ['cluster.mjs'])
  await until('both workers listen', () => target.listening.length === 2)

  await target.beginPhase()
  const replies = await Promise.all(Array.from({ length: 100 }, () => get(target, '/hello/7')))
  const phase = await target.takePhase()

  const byWorker = new Set(replies.map(({ body }) => body))
  assert.equal(byWorker.size, 2)
  assert.deepEqual(
    phase.routes.map(({ method, route, requests, errors }) => [method, route, requests, errors]),
    [['GET', '/hello/:id', 100, 0]],
  )
  assert.deepEqual(new Set(phase.processes.map(({ pid }) => String(pid))), byWorker)
  const [route] = phase.routes
  assert.ok(route !== undefined && route.p50Ms > 0 && route.p50Ms <= route.p99Ms)
})

test('a worker that exits by itself in the middle is counted to its last request', async (t) => {
  const target = await observe(t, ['cluster.mjs'])
  await until('both workers listen', () => target.listening.length === 2)
  await target.beginPhase()

  for (let i = 0; i < 20; i++) await get(target, '/hello/7')
  const { body } = await get(target, '/retire')
  await until('one worker is left', () => target.listening.length === 1)
  for (let i = 0; i < 20; i++) await get(target, '/hello/7')
  const { routes, processes } = await target.takePhase()

  assert.deepEqual(
    routes.map(({ route, requests }) => [route, requests]),
    [
      ['/hello/:id', 40],
      ['/retire', 1],
    ],
  )
  assert.ok(processes.some(({ pid }) => String(pid) === body))
  assert.deepEqual(target.warnings, [])
})

test('a worker thread is counted, also when it ends and its process does not', async (t) => {
  const target = await observe(t, ['worker.mjs'])
  await target.beginPhase()

  for (let i = 0; i < 9; i++) assert.equal((await get(target, '/hello/7')).body, 'from a thread')
  await get(target, '/retire')
  await until('the thread has ended', () => target.listening.length === 0)
  const { routes, processes } = await target.takePhase()

  assert.deepEqual(
    routes.map(({ route, requests }) => [route, requests]),
    [
      ['/hello/:id', 9],
      ['/retire', 1],
    ],
  )
  assert.equal(processes.length, 1)
  assert.deepEqual(target.output('stderr'), [])
})

test('a phase knows nothing of the one before, nor of processes that ended in between', async (t) => {
  const target = await observe(t, ['cluster.mjs'])
  await until('both workers listen', () => target.listening.length === 2)
  await target.beginPhase()
  for (let i = 0; i < 10; i++) await get(target, '/before/1')
  await target.takePhase()
  await get(target, '/retire')
  await until('one worker is left', () => target.listening.length === 1)

  await target.beginPhase()
  for (let i = 0; i < 5; i++) await get(target, '/after/1')
  const { routes, processes } = await target.takePhase()

  assert.deepEqual(
    routes.map(({ route, requests }) => [route, requests]),
    [['/after/:id', 5]],
  )
  assert.equal(processes.length, 1)
})

test('where every request is deep, all of them are kept, with their trace ids', async (t) => {
  const target = await observe(t, ['hello.mjs'])
  await target.beginPhase({ deepEvery: 1 })

  for (let i = 1; i <= 30; i++) await get(target, '/hello/1', traced(i))
  const { requests } = await target.takePhase()

  assert.equal(requests.length, 30)
  assert.ok(requests.every(({ deep, concurrency }) => deep && concurrency === 1))
  assert.deepEqual(
    requests.map(({ traceId }) => traceId),
    Array.from({ length: 30 }, (_, i) => traceId(i + 1)),
  )
})

test('one request is found by its trace id: before it ends, after it, and not at all', async (t) => {
  const target = await observe(t, ['hello.mjs'])
  await get(target, '/hello/1', traced(1))
  const slow = get(target, '/slow/1', traced(2))

  assert.equal((await target.request(traceId(1)))?.route, '/hello/:id')
  assert.equal((await target.request(traceId(2)))?.route, '/slow/:id')
  assert.equal((await slow).body, 'slow')
  assert.equal(await target.request(traceId(3), 50), undefined)
})

test('a crash under load: what was counted until then, and what it was', async (t) => {
  const target = await observe(t, ['crashes.mjs'])
  await target.beginPhase()
  for (let i = 0; i < 12; i++) await get(target, '/hello/1')
  await get(target, '/crash').catch(() => {})

  const { code, crash } = await target.exited
  const { routes } = await target.takePhase()

  assert.equal(code, 1)
  assert.match(
    crash ?? '',
    /^TypeError: cannot read the colour of nothing\n\s+at .*fallOver.*crashes\.mjs:11/,
  )
  assert.doesNotMatch(crash ?? '', /secret second line/)
  assert.equal(routes.find(({ route }) => route === '/hello/:id')?.requests, 12)
})

test('a process that is killed: the last look at it, and a warning', async (t) => {
  const seen = new Map<number, number>()
  const target = await observe(t, ['cluster.mjs'], {
    onLook: (pid, requests) => seen.set(pid, requests),
  })
  await until('both workers listen', () => target.listening.length === 2)
  await target.beginPhase()
  for (let i = 0; i < 10; i++) await get(target, '/hello/1')
  const [victim, other] = target.listening
  const seenOf = (each: typeof victim) => seen.get(Number(each?.pid)) ?? 0
  await until('a look saw all', () => seenOf(victim) + seenOf(other) === 10 && seenOf(victim) > 0)

  process.kill(Number(victim?.pid), 'SIGKILL')
  await until('it is gone', () => target.listening.length === 1)
  const { routes } = await target.takePhase()

  assert.equal(routes.find(({ route }) => route === '/hello/:id')?.requests, 10)
  assert.match(target.warnings.join(), new RegExp(`process ${victim?.pid} was killed`))
})

test('a process that hangs is waited for so long, and reported without', async (t) => {
  const target = await observe(t, ['hello.mjs'], { graceMs: 100 })
  await target.beginPhase()
  await get(target, '/hang')

  const started = performance.now()
  await target.takePhase()

  assert.ok(performance.now() - started < 10_000)
  assert.match(target.warnings.join(), /did not answer within 5 s \(its event loop is blocked\)/)
})

test('garbage on the socket disturbs nobody', { skip: process.platform !== 'linux' }, async (t) => {
  const target = await observe(t, ['hello.mjs'])
  const path = await socketOf(Number(target.listening[0]?.pid))
  const lines = [
    'no json at all',
    '{"tell":"hello"}',
    '{"tell":"listening","host":"127.0.0.1","port":1,"protocol":"http"}',
    '[1,2,3]',
    'null',
    '{"tell":"hello","wire":99,"pid":1,"ppid":1,"thread":0,"node":"","main":"","cwd":""}',
    `{"tell":"hello","wire":1,"pid":${process.pid},"ppid":1,"thread":0,"node":"","main":"","cwd":""}`,
    '{"tell":"listening","host":7,"port":"x"}',
    '{"tell":"reply","id":12,"value":1}',
    '{"tell":"routes","routes":[null,5,{"method":1}]}',
    '\u0000\u0001\u0002',
    '{"tell":"crash"}',
  ]

  for (const text of [lines.join('\n'), `${'x'.repeat(1_000_000)}\n`, '{"unfinished']) {
    const socket = connect(path)
    await new Promise((resolve) => socket.end(text, () => resolve(undefined)))
    await new Promise((resolve) => socket.once('close', resolve).resume())
  }
  await target.beginPhase()
  await get(target, '/hello/1')
  const { routes } = await target.takePhase()

  assert.deepEqual(await target.routes(), [])
  assert.equal(target.listening.length, 1)
  assert.equal(routes[0]?.requests, 1)
  assert.ok(isAlive(process.pid) && existsSync(path))
})

async function socketOf(pid: number): Promise<string> {
  const { readFile } = await import('node:fs/promises')
  const environment = await readFile(`/proc/${pid}/environ`, 'latin1')
  return /HASTEN_AGENT=([^\0]*)/.exec(environment)?.[1] ?? ''
}

function traceId(n: number): string {
  return n.toString(16).padStart(32, 'a')
}

function traced(n: number): Record<string, string> {
  return { traceparent: `00-${traceId(n)}-00f067aa0ba902b7-01` }
}
