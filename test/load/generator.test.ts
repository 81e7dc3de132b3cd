import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Server as TcpServer,
} from 'node:net'
import { after, test } from 'node:test'
import { countAtMost } from '#src/core/histogram-json.js'
import { type LoadOptions, type LoadProgress, runLoad } from '#src/load/index.js'
import { certificate } from './certificate.ts'

const opened: Server[] = []
after(() => {
  for (const server of opened) {
    server.close()
    server.closeAllConnections()
  }
})

test('sends as many as the rate says, and every one is accounted for', async () => {
  let seen = 0
  const origin = await serve((_, response) => {
    seen += 1
    response.end('ok')
  })

  const load = await run(origin, { ratePerSecond: 400, seconds: 2 })

  assert.equal(load.requests, 800)
  assert.equal(seen, 800)
  assert.equal(load.errors, 0)
  assert.equal(load.latency.count, 800)
  assert.equal(load.offeredPerSecond, 400)
  assert.deepEqual(load.routes[0]?.statuses, { '200': 800 })
  assert.equal(load.responseBytes, 1600)
})

test('a poisson load of one seed is the same in number and kind', async () => {
  const paths: string[] = []
  const origin = await serve((request, response) => {
    paths.push(request.url ?? '')
    response.end()
  })
  const requests = [of('/a', 3), of('/b', 1)]
  const options = {
    requests,
    ratePerSecond: 300,
    seconds: 2,
    arrivals: 'poisson',
    seed: 9,
  } as const

  const first = await run(origin, options)
  const firstPaths = paths.splice(0)
  const second = await run(origin, options)

  assert.equal(first.requests, second.requests)
  assert.deepEqual(
    first.routes.map(({ requests: count }) => count),
    second.routes.map(({ requests: count }) => count),
  )
  // Each on its own connection, so that neighbours may change places on the way.
  assert.deepEqual(firstPaths.sort(), paths.sort())
  assert.ok(
    Math.abs(first.requests - 600) < 5 * Math.sqrt(600),
    `${first.requests} in place of 600`,
  )
  const share = (first.routes[0]?.requests ?? 0) / first.requests
  assert.ok(Math.abs(share - 0.75) < 0.09, `/a had ${share} of the load, not 0.75`)
})

test('a stall is felt by all who would have asked in it, not by one', async () => {
  const stallMs = 600
  let seen = 0
  const origin = await serve((_, response) => {
    seen += 1
    if (seen === 100) block(stallMs)
    response.end()
  })

  const load = await run(origin, { ratePerSecond: 200, seconds: 2 })

  // 120 of 400 requests were due within the stall. A closed loop of 10 would have met it 10 times.
  assert.equal(load.errors, 0)
  const waited = 1 - countAtMost(load.latency, stallMs / 6) / load.latency.count
  assert.ok(waited > 0.2, `only ${waited} of the requests waited`)
  assert.ok(load.latency.quantile(0.99) > stallMs * 0.8, `p99 ${load.latency.quantile(0.99)} ms`)
})

test('a latency is at least what the server took', async () => {
  const delayMs = 40
  const origin = await serve((_, response) => {
    const start = performance.now()
    const end = () => {
      const leftMs = delayMs - (performance.now() - start)
      if (leftMs > 0) setTimeout(end, leftMs)
      else response.end()
    }
    end()
  })

  const load = await run(origin, { ratePerSecond: 100, seconds: 0.5 })

  assert.equal(load.latency.count, 50)
  assert.ok(load.latency.min >= delayMs * 0.99, `min ${load.latency.min} ms`)
})

test('what is due while the limit is in flight is dropped, and an error', async () => {
  const origin = await serve(() => {})

  const load = await run(origin, {
    ratePerSecond: 100,
    seconds: 1,
    maxInFlight: 5,
    timeoutMs: 60_000,
    drainMs: 100,
  })

  assert.equal(load.requests, 100)
  assert.deepEqual(load.errorKinds, { ...noErrors, dropped: 95, timeout: 5 })
  assert.equal(load.behind.dropped, 95)
  assert.equal(load.errors, 100)
})

test('an answer that does not come in time is a timeout, and in the latencies with its age', async () => {
  const origin = await serve((_, response) => {
    response.write('the beginning')
  })

  const load = await run(origin, { ratePerSecond: 40, seconds: 0.5, timeoutMs: 400 })

  assert.deepEqual(load.errorKinds, { ...noErrors, timeout: 20 })
  assert.equal(load.latency.count, 20)
  assert.ok(load.latency.min >= 390, `min ${load.latency.min} ms`)
})

test('slow bodies are read to the end and counted', async () => {
  const origin = await serve((_, response) => {
    let left = 5
    const timer = setInterval(() => {
      response.write('x'.repeat(1000))
      left -= 1
      if (left > 0) return
      clearInterval(timer)
      response.end()
    }, 20)
  })

  const load = await run(origin, { ratePerSecond: 40, seconds: 0.5 })

  assert.equal(load.errors, 0)
  assert.equal(load.responseBytes, 20 * 5000)
  assert.ok(load.latency.min >= 80, `min ${load.latency.min} ms`)
})

test('statuses are told by route; only 5xx are errors', async () => {
  const origin = await serve((request, response) => {
    response.statusCode = Number(request.url?.slice(1))
    response.end()
  })
  const requests = [401, 404, 302, 503].map((status) => ({
    ...of(`/${status}`, 1),
    route: `${status}`,
  }))

  const load = await run(origin, { requests, ratePerSecond: 200, seconds: 0.5 })

  for (const { route, statuses, requests: count, errors, latency } of load.routes) {
    assert.deepEqual(statuses, { [route]: count })
    assert.equal(errors, route === '503' ? count : 0)
    assert.equal(latency.count, route === '503' ? 0 : count)
  }
  assert.equal(load.errorKinds.status, load.errors)
})

test('nobody there is an error of connecting', async () => {
  const server = createTcpServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')

  const load = await run(`http://127.0.0.1:${port}`, { ratePerSecond: 100, seconds: 0.5 })

  assert.deepEqual(load.errorKinds, { ...noErrors, connect: 50 })
  assert.equal(load.latency.count, 0)
})

test('a server that dies under load: what was before is kept, what came after is an error', async () => {
  let seen = 0
  const server = createServer((_, response) => {
    seen += 1
    response.end()
    if (seen !== 50) return
    server.close()
    server.closeAllConnections()
  })
  const origin = await listen(server)

  const load = await run(origin, { ratePerSecond: 200, seconds: 0.5 })

  assert.equal(load.requests, 100)
  assert.equal(load.errors + load.latency.count, 100)
  assert.ok(load.latency.count >= 40 && load.latency.count <= 50, `${load.latency.count} answers`)
  assert.equal(load.errors, load.errorKinds.connect + load.errorKinds.reset)
  assert.ok(load.errors > 0)
})

test('connections that break are counted as such, and the load goes on', async () => {
  let seen = 0
  const origin = await serve((request, response) => {
    seen += 1
    if (seen % 10 === 0) request.socket.destroy()
    else response.end()
  })

  const load = await run(origin, { ratePerSecond: 200, seconds: 0.5 })

  assert.deepEqual(load.errorKinds, { ...noErrors, reset: 10 })
  assert.equal(load.latency.count, 90)
})

test('a server that closes each connection after its answer costs no errors', async () => {
  const origin = await serve((_, response) => {
    response.setHeader('connection', 'close')
    response.end()
  })
  const load = await run(origin, { ratePerSecond: 200, seconds: 0.5 })
  assert.equal(load.errors, 0)
})

test('what is no HTTP is an error of protocol', async () => {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end('hello?\r\n\r\n'))
  })
  const origin = await listen(server)

  const load = await run(origin, { ratePerSecond: 40, seconds: 0.5 })
  server.close()

  assert.deepEqual(load.errorKinds, { ...noErrors, protocol: 20 })
})

test('method, headers and body arrive as planned', async () => {
  const bodies = new Set<string>()
  const origin = await serve((request, response) => {
    let body = ''
    request.on('data', (chunk) => {
      body += chunk
    })
    request.on('end', () => {
      bodies.add(`${request.method} ${request.url} ${request.headers['x-a']} ${body}`)
      response.end()
    })
  })
  const headers = { 'x-a': 'ä'.normalize() }
  const request = { method: 'POST', path: '/x?y=1', headers, body: '{"ü":1}', weight: 1 }

  await run(origin, { requests: [request], ratePerSecond: 40, seconds: 0.5 })

  assert.deepEqual([...bodies], ['POST /x?y=1 ä {"ü":1}'])
})

test('a certificate that nobody signed is accepted on this machine', async () => {
  const server = createTlsServer(certificate, (_, response) => response.end('ok'))
  const origin = (await listen(server)).replace('http:', 'https:')

  const load = await run(origin, { ratePerSecond: 40, seconds: 0.5 })
  server.close()

  assert.deepEqual(load.errorKinds, noErrors)
})

test('an abort ends at once with what was measured', async () => {
  const origin = await serve((request, response) => {
    if (request.url === '/') response.end()
  })
  const leaving = new AbortController()
  const requests = [of('/', 1), of('/never', 1)]

  const load = await run(origin, {
    requests,
    ratePerSecond: 200,
    seconds: 3600,
    signal: leaving.signal,
    onProgress: ({ done }) => {
      if (done > 20) leaving.abort()
    },
  })

  assert.equal(load.aborted, true)
  assert.ok(load.seconds < 60)
  assert.ok(load.latency.count > 20)
  assert.ok(load.unfinished > 0)
  assert.equal(load.errors, 0)
  assert.equal(load.requests, load.latency.count + load.unfinished)
})

test('a signal that has fired sends nothing', async () => {
  const origin = await serve(() => assert.fail('must not be asked'))
  const load = await run(origin, { ratePerSecond: 10, seconds: 10, signal: AbortSignal.abort() })
  assert.equal(load.requests, 0)
  assert.equal(load.aborted, true)
})

test('progress tells what is sent, done and in flight', async () => {
  const origin = await serve((_, response) => response.end())
  const told: LoadProgress[] = []

  await run(origin, {
    ratePerSecond: 100,
    seconds: 1,
    onProgress: (progress) => told.push(progress),
  })

  assert.ok(told.length >= 3, `told ${told.length} times`)
  for (const { sent, done, inFlight } of told) assert.equal(sent, done + inFlight)
  assert.ok((told.at(-1)?.sent ?? 0) > 50)
})

test('what onProgress throws ends the load', async () => {
  const origin = await serve((_, response) => response.end())
  const onProgress = () => {
    throw new Error('no terminal')
  }
  await assert.rejects(run(origin, { ratePerSecond: 10, seconds: 3600, onProgress }), /no terminal/)
})

test('the warm-up is sent and not counted', async () => {
  let seen = 0
  const origin = await serve((_, response) => {
    seen += 1
    response.end()
  })

  const load = await run(origin, { ratePerSecond: 100, seconds: 1, warmupSeconds: 0.5 })

  assert.equal(seen, 150)
  assert.equal(load.requests, 100)
  assert.equal(load.offeredPerSecond, 100)
})

for (const [wrong, says] of [
  [{ ratePerSecond: 0 }, /ratePerSecond must be a finite number above 0, got 0/],
  [{ seconds: Number.NaN }, /seconds must be a finite number above 0, got NaN/],
  [{ seconds: 1e9 }, /seconds must be at most/],
  [{ requests: [] }, /at least one request/],
  [{ requests: [of('/', 0)] }, /requests\[0\]\.weight/],
  [{ requests: [of('users', 1)] }, /requests\[0\]\.path must begin with '\/', got 'users'/],
  [{ maxInFlight: 1.5 }, /maxInFlight must be a whole number, got 1.5/],
  [{ seed: 0.5 }, /seed must be a whole number, got 0.5/],
  [{ warmupSeconds: -1 }, /warmupSeconds must be 0 or above, got -1/],
  [{ origin: 'http://localhost/path' }, /origin must be an http or https URL without a path/],
  [{ origin: 'localhost:3000' }, /origin must be an http or https URL/],
] as const) {
  test(`refuses ${JSON.stringify(wrong)}`, async () => {
    const options = { ratePerSecond: 1, seconds: 1, ...wrong }
    await assert.rejects(run('http://127.0.0.1:1', options), {
      code: 'OPTION_INVALID',
      message: says,
    })
  })
}

const noErrors = { status: 0, timeout: 0, connect: 0, reset: 0, protocol: 0, dropped: 0 }

function of(path: string, weight: number) {
  return { method: 'GET', path, weight }
}

type Given = Partial<LoadOptions> & Pick<LoadOptions, 'ratePerSecond' | 'seconds'>

function run(origin: string, options: Given) {
  return runLoad({ origin, requests: [of('/', 1)], arrivals: 'even', ...options })
}

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  opened.push(server)
  return listen(server)
}

async function listen(server: TcpServer): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** The event loop of the server stands still; the load comes from another thread. */
function block(ms: number): void {
  const endMs = performance.now() + ms
  while (performance.now() < endMs);
}
