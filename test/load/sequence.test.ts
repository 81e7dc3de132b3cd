import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { runSequence } from '#src/load/index.js'

const opened: Server[] = []
after(() => {
  for (const server of opened) {
    server.close()
    server.closeAllConnections()
  }
})

test('asks one at a time, each under a sampled trace id of its own', async () => {
  let inFlight = 0
  const traceparents: string[] = []
  const origin = await serve((request, response) => {
    inFlight += 1
    assert.equal(inFlight, 1)
    traceparents.push(String(request.headers['traceparent']))
    setImmediate(() => {
      inFlight -= 1
      response.end('ok')
    })
  })

  const answers = await runSequence([of('/a'), of('/b'), of('/c')], { origin })

  assert.deepEqual(
    answers.map(({ request, status, body, bytes }) => [request.path, status, body, bytes]),
    ['/a', '/b', '/c'].map((path) => [path, 200, 'ok', 2]),
  )
  assert.equal(new Set(answers.map(({ traceId }) => traceId)).size, 3)
  for (const [index, { traceId }] of answers.entries()) {
    assert.match(traceparents[index] ?? '', new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`))
  }
})

test('a redirect is an answer', async () => {
  const asked: string[] = []
  const origin = await serve((request, response) => {
    asked.push(request.url ?? '')
    response.writeHead(302, { location: '/login' }).end()
  })

  const [answer] = await runSequence([of('/')], { origin })

  assert.equal(answer?.status, 302)
  assert.equal(answer?.headers['location'], '/login')
  assert.deepEqual(asked, ['/'])
})

test('of a long body the beginning is kept and all is counted', async () => {
  const origin = await serve((_, response) => response.end('x'.repeat(3_000_000)))

  const [answer] = await runSequence([of('/')], { origin })

  assert.equal(answer?.bytes, 3_000_000)
  assert.equal(answer?.body.length, 2 ** 20)
  assert.equal(answer?.isBodyComplete, false)
})

test('a stream of events is cut off at once, a quiet one when it has been quiet for too long', async () => {
  const origin = await serve((request, response) => {
    response.setHeader(
      'content-type',
      request.url === '/events' ? 'text/event-stream' : 'text/plain',
    )
    response.write('first\n')
  })

  const answers = await runSequence([of('/events'), of('/quiet')], { origin, quietMs: 50 })

  for (const { error, status } of answers) assert.deepEqual([error, status], ['endless', 200])
})

test('a stream that never falls silent is cut off too', async () => {
  const origin = await serve((_, response) => {
    const timer = setInterval(() => response.write('tick'), 5)
    response.on('close', () => clearInterval(timer))
  })
  const [answer] = await runSequence([of('/')], { origin, streamMs: 100 })
  assert.equal(answer?.error, 'endless')
})

test('what does not answer, or breaks, is told, and the next is asked', async () => {
  const origin = await serve((request, response) => {
    if (request.url === '/breaks') request.socket.destroy()
    if (request.url === '/works') response.end()
  })

  const answers = await runSequence([of('/hangs'), of('/breaks'), of('/works')], {
    origin,
    timeoutMs: 300,
  })

  assert.deepEqual(
    answers.map(({ error, status }) => [error, status]),
    [
      ['timeout', 0],
      ['reset', 0],
      [undefined, 200],
    ],
  )
})

test('when the signal fires, the answers until then come back', async () => {
  const leaving = new AbortController()
  const origin = await serve((request, response) => {
    if (request.url === '/b') leaving.abort()
    else response.end()
  })

  const answers = await runSequence([of('/a'), of('/b'), of('/c')], {
    origin,
    signal: leaving.signal,
  })

  assert.deepEqual(
    answers.map(({ request }) => request.path),
    ['/a'],
  )
})

function of(path: string) {
  return { method: 'GET', path, weight: 1 }
}

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  opened.push(server)
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
