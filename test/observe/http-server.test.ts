import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import { ask, formats, ObservedProcess } from './observed-process.ts'

for (const format of formats) {
  describe(`node:http, ${format}`, () => {
    test('a request runs inside its own timeline', async (t) => {
      const app = await ObservedProcess.start(t, 'http', { format })

      const first = await app.get('/id')
      const second = await app.get('/id')

      assert.notEqual(first.body, 'null')
      assert.notEqual(second.body, first.body)
      const { routes } = await app.facts(({ routes: [route] }) => route?.requests === 2)
      assert.equal(routes[0]?.route, '/id')
    })

    test('a body is read in the context of its request', async (t) => {
      const app = await ObservedProcess.start(t, 'http', { format })

      const events = await app.get('/body', { method: 'POST' }, 'x'.repeat(200_000))
      const iterated = await app.get('/iterate', { method: 'PUT' }, 'x'.repeat(200_000))

      const ids = JSON.parse(events.body) as (number | null)[]
      assert.equal(ids.length, 1)
      assert.notEqual(ids[0], null)
      assert.deepEqual(JSON.parse(iterated.body), { same: true, length: 200_000 })
    })

    test('back-pressure is felt in the context of its request', async (t) => {
      const app = await ObservedProcess.start(t, 'http', { format })

      const { body } = await app.get('/drain')

      const [before, after] = JSON.parse(body.trim()) as number[]
      assert.equal(after, before)
    })
  })
}

test('paths that nobody serves are one route, those that are served are folded', async (t) => {
  const app = await ObservedProcess.start(t, 'http')

  for (const path of ['/items/41', '/items/42', '/wp-admin', '/.env?x=1', '/phpmyadmin']) {
    await app.get(path)
  }

  assert.deepEqual(await app.routes(5), ['GET (unmatched)', 'GET /items/:id'])
})

test('an object derived from a request emits', async (t) => {
  const app = await ObservedProcess.start(t, 'http')

  const { body } = await app.get('/derived', { method: 'POST' }, 'x')

  assert.equal(body, '1')
})

test('a request that nobody sent is not waited for', async (t) => {
  const app = await ObservedProcess.start(t, 'http')

  await app.get('/made-up')
  const { body } = await app.get('/made-up')

  assert.equal(body, '1')
})

test('over a stream that counts no bytes the sums stay numbers', async (t) => {
  const app = await ObservedProcess.start(t, 'http')

  await app.get('/over-stream')

  const { routes } = await app.facts(({ routes: all }) => all.length === 2)
  const over = routes.find(({ route }) => route === '/id')
  assert.equal(over?.requests, 1)
  assert.equal(over.responseBytes, 0)
})

test('a client that goes away before the end leaves an aborted request', async (t) => {
  const app = await ObservedProcess.start(t, 'http')

  const begun = await raw(app.port, 'GET /never HTTP/1.1\r\nhost: a\r\n\r\n')
  await once(begun, 'data')
  begun.destroy()
  const silent = await raw(app.port, 'GET /silent HTTP/1.1\r\nhost: a\r\n\r\n')
  await app.facts()
  silent.destroy()

  const never = await app.request('/never')
  assert.equal(never.aborted, true)
  assert.equal(never.status, 200)
  const nothing = await app.request('/silent')
  assert.equal(nothing.aborted, true)
  assert.equal(nothing.status, 499)
})

test('requests on one connection are told apart: kept alive, and sent all at once', async (t) => {
  const app = await ObservedProcess.start(t, 'http')
  const request = (path: string) => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`

  const socket = await raw(app.port, request('/id') + request('/json') + request('/id'))
  await app.facts(({ routes }) => routes.reduce((sum, { requests }) => sum + requests, 0) === 3)
  socket.write(request('/big'))
  const big = await app.request('/big')
  socket.destroy()

  assert.equal(big.aborted, false)
  assert.ok(big.responseBytes !== undefined && big.responseBytes > 1_000_000)
  assert.ok(big.responseBytes < 1_001_000, `${big.responseBytes}`)
  const { requests } = await app.facts()
  for (const each of requests) if (each.route !== '/big') assert.ok((each.responseBytes ?? 0) < 300)
  assert.deepEqual(await app.routes(4), ['GET /big', 'GET /id', 'GET /json'])
})

test('a pipelining client that goes away aborts all that it had asked', async (t) => {
  const app = await ObservedProcess.start(t, 'http')
  const request = (path: string) => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`

  const socket = await raw(app.port, request('/never') + request('/json') + request('/silent'))
  await once(socket, 'data')
  socket.destroy()

  const { routes } = await app.facts(({ routes }) => routes.length === 3)
  for (const { errors } of routes) assert.equal(errors, 1)
})

test('HEAD, streams, Expect: 100-continue and upgrades stay what they are', async (t) => {
  const app = await ObservedProcess.start(t, 'http')

  const head = await app.get('/json', { method: 'HEAD' })
  const stream = await app.get('/stream')
  const continued = await app.get(
    '/iterate',
    { method: 'POST', headers: { expect: '100-continue' } },
    'four',
  )
  const socket = await raw(
    app.port,
    'GET /chat HTTP/1.1\r\nhost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
  )
  const [upgraded] = (await once(socket, 'data')) as [Buffer]

  assert.equal(head.status, 200)
  assert.equal(stream.body.length, 64 * 64 * 1024)
  assert.deepEqual(JSON.parse(continued.body), { same: true, length: 4 })
  assert.match(upgraded.toString(), /^HTTP\/1\.1 101 /)
  assert.deepEqual(await app.routes(3), ['GET /stream', 'HEAD /json', 'POST /iterate'])
})

test('an error thrown by a handler goes where it went before', async (t) => {
  const app = await ObservedProcess.start(t, 'http')

  void ask(app.port, '/throws').catch(() => {})
  const { uncaught } = (await app.message('uncaught')) as { uncaught: string }

  assert.equal(uncaught, 'thrown by the handler')
  assert.equal((await app.facts()).failures.count, 0)
})

test('Server-Timing is sent only when it is switched on', async (t) => {
  const off = await ObservedProcess.start(t, 'http')
  const on = await ObservedProcess.start(t, 'http', { env: { HASTEN_SERVER_TIMING: '1' } })

  assert.equal((await off.get('/json')).headers['server-timing'], undefined)
  assert.match(String((await on.get('/json')).headers['server-timing']), /dur=/)
})

test('a trace that the caller began is kept with the request', async (t) => {
  const app = await ObservedProcess.start(t, 'http')
  const traceId = '0af7651916cd43dd8448eb211c80319c'

  await app.get('/json', { headers: { TraceParent: `00-${traceId}-b7ad6b7169203331-01` } })

  assert.equal((await app.request('/json')).traceId, traceId)
})

test('an app that subclasses, overrides and replaces keeps working, and is seen once', async (t) => {
  const app = await ObservedProcess.start(t, 'subclass', { format: 'cjs' })

  const { body } = await app.get('/page', { method: 'POST' }, 'hello')
  const forwarded = await app.get('/forward')

  const { seen, ...answer } = JSON.parse(body) as { seen: string[] }
  assert.deepEqual(answer, { text: 'hello', calls: 1, emitted: true })
  assert.ok(seen.includes('end') || seen.includes('readable'), `${seen}`)
  assert.equal(forwarded.body, 'forwarded')
  // The call inwards is served by the same process, so it is a request too.
  assert.deepEqual(await app.routes(3), ['GET /forward', 'GET /inner/:id', 'POST /page'])
})

async function raw(port: number, text: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(text)
  return socket
}
