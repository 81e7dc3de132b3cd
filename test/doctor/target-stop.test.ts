/** Stopping: nothing that the command started is left, and the doctor's end does not end the app. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import http from 'node:http'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { fixture, get, isAlive, observe, until } from './fixture-server.js'

test('processes that ignore SIGTERM are killed, children and those of another group too', async (t) => {
  const target = await observe(t, ['stubborn.mjs'], { graceMs: 200 })
  await until('three processes listen', () => target.listening.length === 3)
  const pids = target.listening.map(({ pid }) => pid)
  assert.deepEqual(pids.filter(isAlive), pids)

  await target.stop()

  assert.deepEqual(pids.filter(isAlive), [])
})

test('a command that ends at SIGTERM is not waited for longer than that', async (t) => {
  const target = await observe(t, ['hello.mjs'], { graceMs: 600_000 })

  await target.stop()

  assert.deepEqual(await target.exited, { code: null, signal: 'SIGTERM' })
})

test('killNow ends everything at once, for the exit of the doctor itself', async (t) => {
  const target = await observe(t, ['stubborn.mjs'], { graceMs: 600_000 })
  await until('three processes listen', () => target.listening.length === 3)
  const pids = target.listening.map(({ pid }) => pid)

  target.killNow()

  await until('all are gone', () => !pids.some(isAlive))
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`a doctor that ends by ${signal} leaves neither process nor folder`, async (t) => {
    const doctor = startDoctor(t, 'exits-cleanly')
    const { pid, socket } = await doctor.ready
    assert.ok(existsSync(socket))

    doctor.process.kill(signal)
    await once(doctor.process, 'exit')

    await until('the server is gone', () => !isAlive(pid))
    assert.equal(existsSync(dirname(socket)), false)
  })
}

test('a doctor that throws leaves no process either', async (t) => {
  const doctor = startDoctor(t, 'throws')
  const { pid } = await doctor.ready

  await once(doctor.process, 'exit')

  await until('the server is gone', () => !isAlive(pid))
})

test('the application lives on undisturbed when the doctor is killed', async (t) => {
  const doctor = startDoctor(t, 'exits-cleanly')
  const { pid, port, socket } = await doctor.ready
  t.after(() => {
    if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  })

  doctor.process.kill('SIGKILL')
  await once(doctor.process, 'exit')

  const bodies = await Promise.all([1, 2, 3].map(() => body(port, '/hello/1')))
  assert.deepEqual(bodies, ['hello', 'hello', 'hello'])
  // It also still knows how to end: nothing of ours keeps it alive, or hinders its exit.
  assert.equal(await body(port, '/exit'), 'bye')
  await until('it has exited by itself', () => !isAlive(pid))
  assert.ok(socket.length > 0)
})

test('a process that has nothing left to do ends, although an agent is connected', async (t) => {
  const target = await observe(t, ['hello.mjs'])

  assert.equal((await get(target, '/exit')).body, 'bye')

  assert.deepEqual(await target.exited, { code: 0, signal: null })
})

interface Ready {
  readonly pid: number
  readonly port: number
  readonly socket: string
}

/** A doctor of its own process, which starts hello.mjs and tells where. */
function startDoctor(
  t: { after(fn: () => void): void },
  how: 'exits-cleanly' | 'throws',
): { process: ChildProcess; ready: Promise<Ready> } {
  const target = new URL('../../../dist/cli/target/index.js', import.meta.url)
  const script = `
    import { Target } from ${JSON.stringify(target.href)}
    const target = await Target.start([process.execPath, ${JSON.stringify(fixture('hello.mjs'))}, '--env'], {
      env: { ...process.env },
    })
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => target.stop().then(() => process.exit()))
    const [{ pid, port }] = target.listening
    const { readFileSync } = await import('node:fs')
    const environment = process.platform === 'linux' ? readFileSync('/proc/' + pid + '/environ', 'latin1') : ''
    const socket = /HASTEN_AGENT=([^\\0]*)/.exec(environment)?.[1] ?? ''
    console.log(JSON.stringify({ pid, port, socket }))
    if (${JSON.stringify(how)} === 'throws') setTimeout(() => { throw new Error('a fault of the doctor') }, 50)
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  t.after(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })
  const ready = once(lines, 'line').then(([line]) => JSON.parse(line as string) as Ready)
  return { process: child, ready }
}

function body(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    http
      .get({ port, path, host: '127.0.0.1', agent: false }, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          text += chunk
        })
        response.on('end', () => resolve(text))
      })
      .on('error', reject)
  })
}
