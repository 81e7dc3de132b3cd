/** The HTTP pool against real servers that close, reset, stall and die. */
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { channel } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { after, type TestContext, test } from 'node:test'
import { request as undiciRequest } from 'undici'
import { freePort } from '#services/free-port.js'
import type { HttpPoolOptions } from '#src/pool/http-options.js'
import { type HttpPool, httpPool } from '#src/pool/http-pool.js'
import { until } from './until.ts'

const unhandled: unknown[] = []
process.on('unhandledRejection', (error) => unhandled.push(error))
after(() => assert.deepEqual(unhandled, []))

test('10,000 requests share a few connections, and each gets its own answer', async (t) => {
  const server = await serverOf(t, (req, res) => res.end(req.url))
  const http = poolOf(t, { connections: 4, waitTimeoutMs: 120_000 })

  const answers = await Promise.all(
    Array.from({ length: 10_000 }, async (_, i) => {
      const { statusCode, body } = await http.request(`${server.url}/${i}`)
      return statusCode === 200 && (await body.text()) === `/${i}`
    }),
  )

  assert.equal(answers.filter(Boolean).length, 10_000)
  assert.equal(server.connections(), 4)
  const { connected, running, queued, requests, retries } = originOf(http, server.url)
  assert.deepEqual([connected, running, queued, requests, retries], [4, 0, 0, 10_000, 0])
})

test('connections are kept between requests', async (t) => {
  const server = await serverOf(t, (_req, res) => res.end('x'))
  const http = poolOf(t)

  for (let i = 0; i < 20; i++) await (await http.fetch(server.url)).text()
  await soon('a free connection', () => originOf(http, server.url).free === 1)

  assert.equal(server.connections(), 1)
  assert.deepEqual([originOf(http, server.url).connected, originOf(http, server.url).free], [1, 1])
})

test('what runs is in the figures, and what waits', async (t) => {
  const server = await serverOf(t, () => {})
  const http = poolOf(t, { connections: 2 })
  const abort = new AbortController()
  const all = Array.from({ length: 5 }, () => http.request(server.url, { signal: abort.signal }))
  const settled = Promise.allSettled(all)
  await server.requestsAre(2)

  const { running, queued } = originOf(http, server.url)
  assert.deepEqual([running, queued], [2, 3])
  abort.abort()
  await settled
})

test('a GET whose connection is reset is repeated, a POST is not', async (t) => {
  const seen: string[] = []
  const server = await serverOf(t, (req, res) => {
    seen.push(req.method ?? '')
    if (seen.filter((method) => method === req.method).length === 1) req.socket.resetAndDestroy()
    else res.end('second')
  })
  const http = poolOf(t, { retry: { firstWaitMs: 1 } })

  const got = await http.request(server.url)
  assert.equal(await got.body.text(), 'second')
  await assert.rejects(http.request(server.url, { method: 'POST', body: 'x' }))

  assert.deepEqual(seen, ['GET', 'GET', 'POST'])
  assert.equal(originOf(http, server.url).retries, 1)
})

test('fetch is repeated as well', async (t) => {
  let requests = 0
  const server = await serverOf(t, (req, res) => {
    if (++requests === 1) req.socket.resetAndDestroy()
    else res.end('second')
  })
  const http = poolOf(t, { retry: { firstWaitMs: 1 } })

  assert.equal(await (await http.fetch(server.url)).text(), 'second')
})

test('a POST is repeated where not a byte of it was sent', async (t) => {
  const port = await freePort()
  const http = poolOf(t, { retry: { max: 8, firstWaitMs: 200, random: () => 0.9 } })

  const posting = http.request(`http://127.0.0.1:${port}/`, { method: 'POST', body: 'once' })
  const bodies: string[] = []
  const server = await serverOf(
    t,
    (req, res) => {
      req.setEncoding('utf8').on('data', (text: string) => bodies.push(text))
      req.on('end', () => res.end('made'))
    },
    port,
  )

  assert.equal(await (await posting).body.text(), 'made')
  assert.deepEqual(bodies, ['once'])
  assert.ok(server.connections() >= 1)
})

test('503 is repeated after the time that it asks for; the last answer goes to the caller', async (t) => {
  const at: number[] = []
  const server = await serverOf(t, (req, res) => {
    at.push(performance.now())
    if (req.url === '/always' || at.length === 1) {
      res.writeHead(503, { 'retry-after': req.url === '/always' ? '0' : '1' }).end('busy')
    } else res.end('here')
  })
  const http = poolOf(t, { retry: { max: 2, firstWaitMs: 1 } })

  const mended = await http.fetch(server.url)
  assert.deepEqual([mended.status, await mended.text()], [200, 'here'])
  assert.ok((at[1] ?? 0) - (at[0] ?? 0) >= 990, `after ${(at[1] ?? 0) - (at[0] ?? 0)} ms`)

  const broken = await http.fetch(`${server.url}/always`)
  assert.deepEqual([broken.status, await broken.text()], [503, 'busy'])
  assert.equal(at.length, 2 + 3)
  assert.equal(server.connections(), 1)
})

test('a Retry-After that asks for too much is not waited for', async (t) => {
  const server = await serverOf(t, (_req, res) => {
    res.writeHead(429, { 'retry-after': '3600' }).end('later')
  })
  const http = poolOf(t)

  const response = await http.fetch(server.url)

  assert.deepEqual([response.status, await response.text()], [429, 'later'])
  assert.equal(server.requests(), 1)
})

test('retries stay within their budget when everything fails', async (t) => {
  const server = await serverOf(t, (req) => req.socket.resetAndDestroy())
  const http = poolOf(t, {
    connections: 8,
    retry: { max: 5, firstWaitMs: 1, maxWaitMs: 2, share: 0.1, reserve: 10 },
  })

  await Promise.allSettled(Array.from({ length: 1_000 }, () => http.request(server.url)))

  const { retries, retriesDenied } = originOf(http, server.url)
  assert.ok(retries <= 110 && retries > 10, `${retries} retries`)
  assert.ok(retriesDenied > 0)
  assert.equal(server.requests(), 1_000 + retries)
})

test('a server that dies in the middle of a response is an error and not a second half', async (t) => {
  const server = await serverOf(t, (req, res) => {
    res.writeHead(200, { 'content-length': '100', etag: '"a"' })
    res.write('first half', () => req.socket.resetAndDestroy())
  })
  const http = poolOf(t)

  const { body } = await http.request(server.url)
  await assert.rejects(body.text())
  const response = await http.fetch(server.url)
  await assert.rejects(response.text())

  assert.equal(server.requests(), 2)
  assert.equal(originOf(http, server.url).running, 0)
})

test('a server that does not answer, or stops half way, is given up', async (t) => {
  const server = await serverOf(t, (req, res) => {
    if (req.url === '/half') res.writeHead(200).write('half')
  })
  const http = poolOf(t, { headersTimeoutMs: 200, bodyTimeoutMs: 200 })

  await assert.rejects(http.request(server.url), { code: 'UND_ERR_HEADERS_TIMEOUT' })
  const { body } = await http.request(`${server.url}/half`)
  await assert.rejects(body.text(), { code: 'UND_ERR_BODY_TIMEOUT' })

  assert.equal(server.requests(), 2)
})

test('a line that is full refuses, one that takes too long gives up, and says so', async (t) => {
  const server = await serverOf(t, () => {})
  const http = poolOf(t, { connections: 1, maxQueued: 1, waitTimeoutMs: 50 })
  const abort = new AbortController()
  const running = http.request(server.url, { signal: abort.signal })
  const waiting = http.request(server.url)
  const tooMany = http.fetch(server.url)

  await assert.rejects(tooMany, (error: Error) => {
    assert.equal((error.cause as { code: string }).code, 'POOL_FULL')
    return true
  })
  await assert.rejects(waiting, { code: 'POOL_ACQUIRE_TIMEOUT', message: /50 ms/ })
  abort.abort()
  await assert.rejects(running, { name: 'AbortError' })
  assert.equal(originOf(http, server.url).refused, 2)
})

test('whoever gives up while waiting leaves the line at once', async (t) => {
  const server = await serverOf(t, () => {})
  const http = poolOf(t, { connections: 1 })
  const abort = new AbortController()
  const first = http.request(server.url, { signal: abort.signal })
  const mine = new AbortController()
  const waiting = http.request(server.url, { signal: mine.signal })
  const fetching = http.fetch(server.url, { signal: mine.signal })
  await server.requestsAre(1)

  mine.abort()

  await assert.rejects(waiting, { name: 'AbortError' })
  await assert.rejects(fetching, { name: 'AbortError' })
  assert.equal(originOf(http, server.url).queued, 0)
  abort.abort()
  await assert.rejects(first, { name: 'AbortError' })
  assert.equal(server.requests(), 1)
})

test('whoever gives up while a retry rests is told at once', async (t) => {
  const server = await serverOf(t, (req) => req.socket.resetAndDestroy())
  const http = poolOf(t, { retry: { firstWaitMs: 60_000, maxWaitMs: 60_000, random: () => 0.9 } })
  const abort = new AbortController()
  const resting = http.request(server.url, { signal: abort.signal })
  await server.requestsAre(1)
  while (originOf(http, server.url).retries === 0) await turn()

  abort.abort()

  await assert.rejects(resting, { name: 'AbortError' })
})

test('names are asked for once, and the origin keeps its name', async (t) => {
  const server = await serverOf(t, (req, res) => res.end(req.headers.host))
  const asked: string[] = []
  const http = poolOf(t, {
    connections: 4,
    dns: {
      lookup: (name, _options, callback) => {
        asked.push(name)
        callback(null, [{ address: '127.0.0.1', family: 4 }])
      },
    },
  })
  const url = `http://shop.example:${server.port}`

  const hosts = await Promise.all(
    Array.from({ length: 40 }, async () => (await http.request(url)).body.text()),
  )

  assert.deepEqual(asked, ['shop.example'])
  assert.deepEqual(new Set(hosts), new Set([`shop.example:${server.port}`]))
  assert.deepEqual(Object.keys(http.stats().origins), [url])
  assert.equal(http.stats().dns?.lookups, 1)
})

test('a name that has moved takes the connections with it', async (t) => {
  const old = await serverOf(t, (_req, res) => res.end('old'))
  const now = await serverOf(t, (_req, res) => res.end('new'), old.port, '127.0.0.2')
  let address = '127.0.0.1'
  const http = poolOf(t, {
    dns: {
      ttlMs: 1,
      lookup: (_name, _options, callback) => callback(null, [{ address, family: 4 }]),
    },
  })
  const url = `http://shop.example:${old.port}`
  const ask = async (): Promise<string> => (await http.request(url)).body.text()
  assert.equal(await ask(), 'old')

  address = '127.0.0.2'
  while ((await ask()) === 'old') await turn()

  assert.equal(await ask(), 'new')
  assert.ok(now.requests() >= 2)
  await old.connectionsAre(0)
})

test('waiting is published, in the context of who waits; and each runs in its own', async (t) => {
  const server = await serverOf(t, (_req, res) => res.end('x'))
  const http = poolOf(t, { connections: 1 })
  const context = new AsyncLocalStorage<number>()
  const waits = new Map<unknown, number | undefined>()
  const admitted: (number | undefined)[] = []
  const created: (number | undefined)[] = []
  const onWaiting = (message: unknown): void => {
    waits.set(message, context.getStore())
  }
  const onAdmitted = (message: unknown): void => {
    admitted.push(waits.get(message))
  }
  const onCreate = (): void => {
    created.push(context.getStore())
  }
  channel('hasten:http-pool:waiting').subscribe(onWaiting)
  channel('hasten:http-pool:admitted').subscribe(onAdmitted)
  channel('undici:request:create').subscribe(onCreate)

  await Promise.all(
    [1, 2, 3].map((i) => context.run(i, async () => (await http.fetch(server.url)).text())),
  )
  channel('hasten:http-pool:waiting').unsubscribe(onWaiting)
  channel('hasten:http-pool:admitted').unsubscribe(onAdmitted)
  channel('undici:request:create').unsubscribe(onCreate)

  assert.deepEqual([...waits.values()], [2, 3])
  assert.deepEqual(admitted, [2, 3])
  assert.deepEqual(created, [1, 2, 3])
})

test('takes what is of Node: Request, FormData, URL, streams', async (t) => {
  const server = await serverOf(t, (req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => res.end(`${req.method} ${req.headers['x-mine']} ${Buffer.concat(chunks)}`))
  })
  const http = poolOf(t)
  const form = new FormData()
  form.set('name', 'value')
  form.set('file', new Blob(['content']), 'f.txt')

  const byRequest = await http.fetch(
    new Request(server.url, { method: 'PUT', body: 'text', headers: { 'x-mine': 'yes' } }),
  )
  const byForm = await http.fetch(new URL(server.url), { method: 'POST', body: form })
  const byStream = await http.fetch(server.url, {
    method: 'POST',
    body: new Blob(['streamed']).stream(),
    duplex: 'half',
  } as RequestInit)

  assert.equal(await byRequest.text(), 'PUT yes text')
  assert.match(await byForm.text(), /name="name"[^]*value[^]*filename="f.txt"[^]*content/)
  assert.equal(await byStream.text(), 'POST undefined streamed')
})

test('is a dispatcher for others', async (t) => {
  const server = await serverOf(t, (_req, res) => res.end('x'))
  const http = poolOf(t, { connections: 1 })

  await Promise.all(
    [1, 2, 3].map(async () => {
      const { body } = await undiciRequest(server.url, { dispatcher: http.dispatcher })
      assert.equal(await body.text(), 'x')
    }),
  )
  const { body } = await http.dispatcher.request({ origin: server.url, path: '/', method: 'GET' })
  await body.dump()

  assert.equal(server.connections(), 1)
})

test('origins beyond the bound take the place of the one that was idle longest', async (t) => {
  const servers = await Promise.all([1, 2, 3].map(() => serverOf(t, (_q, res) => res.end('x'))))
  const http = poolOf(t, { maxOrigins: 2 })

  for (const { url } of servers) await (await http.request(url)).body.text()

  assert.deepEqual(
    Object.keys(http.stats().origins),
    servers.slice(1).map(({ url }) => url),
  )
  await servers[0]?.connectionsAre(0)
})

test('close lets what runs come to its end, refuses the rest and leaves nothing', async (t) => {
  const answers: ServerResponse[] = []
  const server = await serverOf(t, (_req, res) => answers.push(res))
  const http = httpPool({ connections: 1 })
  const running = http.request(server.url)
  const waiting = http.request(server.url)
  await server.requestsAre(1)

  const closing = http.close()
  await assert.rejects(waiting, { code: 'POOL_ENDED' })
  answers[0]?.end('to its end')
  assert.equal(await (await running).body.text(), 'to its end')
  await closing

  await assert.rejects(http.request(server.url), { code: 'POOL_ENDED' })
  await server.connectionsAre(0)
})

test('destroy breaks off what runs', async (t) => {
  const server = await serverOf(t, () => {})
  const http = httpPool()
  const running = http.request(server.url)
  await server.requestsAre(1)

  const failing = assert.rejects(running, { code: 'POOL_ENDED' })
  await http.destroy()

  await failing
  await server.connectionsAre(0)
})

for (const [why, options] of Object.entries({
  'an unknown name': { conections: 4 },
  'a half connection': { connections: 0.5 },
  'no connection': { connections: 0 },
  'a negative wait': { waitTimeoutMs: -1 },
  'more retries than requests': { retry: { share: 2 } },
  'an unknown name within': { dns: { ttl: 3 } },
})) {
  test(`refuses ${why}`, () => {
    assert.throws(() => httpPool(options as HttpPoolOptions), { code: 'OPTION_INVALID' })
  })
}

function poolOf(t: TestContext, options: HttpPoolOptions = {}): HttpPool {
  const http = httpPool(options)
  t.after(() => http.destroy())
  return http
}

function originOf(http: HttpPool, url: string) {
  const origin = http.stats().origins[url]
  assert.ok(origin)
  return origin
}

async function serverOf(
  t: TestContext,
  onRequest: (req: IncomingMessage, res: ServerResponse) => void,
  port = 0,
  host = '127.0.0.1',
) {
  const sockets = new Set<Socket>()
  let connections = 0
  let requests = 0
  const server = createServer((req, res) => {
    requests++
    onRequest(req, res)
  })
  server.on('connection', (socket) => {
    connections++
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(port, host)
  await once(server, 'listening')
  t.after(async () => {
    server.close()
    for (const socket of sockets) socket.destroy()
    await once(server, 'close')
  })
  const address = server.address() as AddressInfo
  return {
    url: `http://${host}:${address.port}`,
    port: address.port,
    connections: () => connections,
    requests: () => requests,
    async requestsAre(expected: number) {
      await soon(`${expected} requests`, () => requests >= expected)
    },
    async connectionsAre(expected: number) {
      await soon(`${expected} connections`, () => sockets.size === expected)
    },
  }
}

function soon(what: string, isFact: () => boolean): Promise<void> {
  return until(what, isFact, { withinMs: 10_000, pauseMs: 0 })
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
