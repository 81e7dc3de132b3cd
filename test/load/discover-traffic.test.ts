import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
// @ts-expect-error it brings no types
import express from 'express'
import fastify from 'fastify'
import {
  type DiscoveredTraffic,
  type DiscoverOptions,
  discoverTraffic,
} from '#src/cli/drive/index.js'
import { ObservedServer } from './observed-server.ts'

test('a route that only reads is driven, one that writes was called once and never again', async () => {
  using server = new ObservedServer(['/users', '/visit', '/lock', '/cte'])
  const traffic = await discover(server, (path) => {
    server.query('SELECT * FROM users WHERE id = $1')
    if (path === '/visit') server.query('UPDATE pages SET visits = visits + $1')
    if (path === '/lock') server.query('SELECT * FROM jobs FOR UPDATE SKIP LOCKED')
    if (path === '/cte') server.query('WITH g AS (DELETE FROM a RETURNING *) SELECT * FROM g')
    return {}
  })

  assert.deepEqual(pathsOf(traffic), ['/users'])
  assert.match(reasonOf(traffic, '/visit'), /writes to the database \(UPDATE\); --allow-writes/)
  assert.match(reasonOf(traffic, '/lock'), /FOR UPDATE/)
  assert.match(reasonOf(traffic, '/cte'), /DELETE/)
  assert.deepEqual(server.asked.sort(), ['GET /cte', 'GET /lock', 'GET /users', 'GET /visit'])
  assert.equal(traffic.probes.length, 4)
})

test('what a route writes after its answer is seen', async () => {
  using server = new ObservedServer(['/late', '/other'])
  const traffic = await discover(server, (path, response) => {
    if (path === '/late') response.on('close', () => server.query('INSERT INTO visits VALUES ($1)'))
    return {}
  })

  assert.deepEqual(pathsOf(traffic), ['/other'])
  assert.match(reasonOf(traffic, '/late'), /writes to the database \(INSERT\)/)
})

test('what begins after an answer is put down to the route that was called last', async () => {
  using server = new ObservedServer(['/first', '/counted', '/last'])
  server.background('UPDATE heartbeats SET at = now()')
  const traffic = await discover(server, (path, response) => {
    server.background('UPDATE heartbeats SET at = now()')
    if (path === '/counted') {
      response.on('close', () => server.background('UPDATE visits SET n = n + $1'))
    }
    return {}
  })

  assert.deepEqual(pathsOf(traffic), ['/first', '/last'])
  assert.match(reasonOf(traffic, '/counted'), /writes to the database after its answer \(UPDATE\)/)
})

test('a route that calls another machine is not driven, one that calls this one is', async () => {
  using server = new ObservedServer(['/quotes', '/local'])
  const traffic = await discover(server, (path) => {
    server.call(path === '/local' ? '127.0.0.1:8080' : 'api.bank.test:443')
    return {}
  })

  assert.deepEqual(pathsOf(traffic), ['/local'])
  assert.match(reasonOf(traffic, '/quotes'), /calls api\.bank\.test:443; --allow-outbound/)
})

test('the user may allow writes and calls', async () => {
  using server = new ObservedServer(['/visit', '/quotes'])
  const handler = (path: string) => {
    if (path === '/visit') server.query('UPDATE a SET b = 1')
    else server.call('api.bank.test')
    return {}
  }
  const traffic = await discover(server, handler, { allowWrites: true, allowOutbound: true })
  assert.deepEqual(pathsOf(traffic), ['/visit', '/quotes'])
})

test('what smells of doing is not called, what is not GET is not called', async () => {
  const post = { method: 'POST', pattern: '/orders', framework: 'express' }
  const head = { method: 'HEAD', pattern: '/users', framework: 'express' }
  using server = new ObservedServer(['/users', '/logout', '/users/:id/delete', post, head])

  const traffic = await discover(server, () => ({}))

  assert.deepEqual(server.asked, ['GET /users'])
  assert.match(reasonOf(traffic, '/logout'), /was not called: by its name \('logout'\)/)
  assert.match(reasonOf(traffic, '/users/:id/delete'), /'delete'/)
  assert.match(
    reasonOf(traffic, '/orders'),
    /is not GET; to drive it, give traffic with --requests/,
  )
  assert.equal(traffic.notDriven.length, 3)
})

test('answers fill the parameters of other routes, with up to twenty values', async () => {
  const patterns = [
    '/users/:id/orders/:orderId',
    '/users/:id',
    '/users/:id/orders',
    '/users',
    '/tags/:tag',
  ]
  using server = new ObservedServer(patterns)
  const traffic = await discover(server, (path) => {
    const user = /^\/users\/(\d+)\/orders$/.exec(path)?.[1]
    if (user !== undefined) return { orders: [{ id: Number(user) * 100 }] }
    if (path === '/users') return Array.from({ length: 50 }, (_, id) => ({ id: id + 1 }))
    return { ok: true }
  })

  const paths = pathsOf(traffic)
  assert.equal(paths.filter((path) => /^\/users\/\d+$/.test(path)).length, 20)
  assert.equal(paths.filter((path) => /^\/users\/\d+\/orders$/.test(path)).length, 20)
  assert.deepEqual(
    paths.filter((path) => /orders\/\d/.test(path)),
    ['/users/1/orders/100'],
  )
  assert.equal(reasonOf(traffic, '/tags/:tag'), "no value is known for 'tag': give --params tag=…")
  // Each route once, though its parameters have twenty values.
  assert.equal(server.asked.length, 4)
  const weights = new Map<string, number>()
  for (const { route = '', path, weight } of traffic.requests) {
    const shape = path.replaceAll(/\d+/g, ':n')
    weights.set(shape, (weights.get(shape) ?? 0) + weight)
    assert.notEqual(route, '')
  }
  for (const [shape, weight] of weights)
    assert.ok(Math.abs(weight - 1) < 1e-9, `${shape} ${weight}`)
})

test('values that were given come first, and are encoded', async () => {
  using server = new ObservedServer(['/items', '/items/:id'])
  const handler = (path: string) => (path === '/items' ? [{ id: 1 }] : {})

  const traffic = await discover(server, handler, { params: ['id=a/b,id=c d'] })

  assert.deepEqual(pathsOf(traffic), ['/items', '/items/a%2Fb', '/items/c%20d'])
})

test('a value that is not found is followed by the next', async () => {
  using server = new ObservedServer(['/items/:id'])
  const handler = (path: string, response: ServerResponse) => {
    if (path !== '/items/3') response.statusCode = 404
    return {}
  }

  const traffic = await discover(server, handler, { params: ['id=1,id=2,id=3,id=4'] })
  assert.deepEqual(pathsOf(traffic), ['/items/3', '/items/4'])

  using other = new ObservedServer(['/items/:id'])
  const none = await discover(other, handler, { params: ['id=1,id=2,id=5,id=6'] })
  assert.equal(reasonOf(none, '/items/:id'), 'answers 404')
  assert.deepEqual(other.asked, ['GET /items/1', 'GET /items/2', 'GET /items/5'])
})

test('a description that the server serves fills parameters and query strings', async () => {
  using server = new ObservedServer(['/openapi.json', '/pets/:petId', '/search'])
  const parameter = { in: 'query', required: true, name: 'q', example: 'a b' }
  const document = {
    openapi: '3.0.0',
    paths: {
      '/pets/{petId}': {
        get: { parameters: [{ in: 'path', name: 'petId', schema: { enum: ['rex', 'tom'] } }] },
      },
      '/search': { get: { parameters: [parameter] } },
    },
  }

  const traffic = await discover(server, (path) => (path === '/openapi.json' ? document : {}))

  assert.deepEqual(pathsOf(traffic).sort(), ['/pets/rex', '/pets/tom', '/search?q=a+b'])
  assert.match(reasonOf(traffic, '/openapi.json'), /serves the description/)
})

test('where no framework tells its routes, the description that was given does', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'openapi-'))
  const file = join(folder, 'openapi.json')
  await writeFile(
    file,
    JSON.stringify({ openapi: '3.0.0', paths: { '/a': { get: {} }, '/send': { get: {} } } }),
  )
  using server = new ObservedServer([])

  const traffic = await discover(server, () => ({}), { openapi: file })
  await rm(folder, { recursive: true })

  assert.deepEqual(pathsOf(traffic), ['/a'])
  assert.match(reasonOf(traffic, '/send'), /by its name/)
})

for (const [what, status, headers, says] of [
  [
    'asks for a password',
    401,
    { 'www-authenticate': 'Basic realm="x"' },
    /answers 401, it needs signing in: give --header 'authorization: Basic …'/,
  ],
  ['forbids', 403, {}, /answers 403, it needs signing in: give --header 'authorization: Bearer …'/],
  [
    'sends to the login',
    302,
    { location: '/auth/login?next=/' },
    /redirects to \/auth\/login, it needs signing in/,
  ],
  ['fails', 500, {}, /^answers 500$/],
  ['is gone', 404, {}, /^answers 404$/],
] as const) {
  test(`a route that ${what} is listed with what would help`, async () => {
    using server = new ObservedServer(['/x'])
    const traffic = await discover(server, (_, response) => {
      response.writeHead(status, headers)
      return {}
    })

    assert.deepEqual(traffic.requests, [])
    assert.match(reasonOf(traffic, '/x'), says)
    assert.equal(server.asked.length, 1)
  })
}

test('headers that were given go with every request', async () => {
  using server = new ObservedServer(['/x'])
  const headers = { authorization: 'Bearer t' }
  const traffic = await discover(
    server,
    (_, response, request) => {
      if (request.headers.authorization !== 'Bearer t') response.statusCode = 401
      return {}
    },
    { headers },
  )
  assert.deepEqual(traffic.requests, [
    { method: 'GET', path: '/x', headers, weight: 1, route: '/x' },
  ])
})

test('a redirect elsewhere is an answer like any other', async () => {
  using server = new ObservedServer(['/r'])
  const traffic = await discover(server, (_, response) => {
    response.writeHead(302, { location: 'https://elsewhere.test/' })
    return {}
  })
  assert.deepEqual(pathsOf(traffic), ['/r'])
})

test('an answer without an end is cut off and not driven', async () => {
  using server = new ObservedServer(['/events', '/plain'])
  const traffic = await discover(server, (path, response) => {
    if (path === '/plain') return {}
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: 1\n\n')
    return undefined
  })

  assert.deepEqual(pathsOf(traffic), ['/plain'])
  assert.equal(reasonOf(traffic, '/events'), 'answers without an end (a stream of events)')
})

test('as soon as a database elsewhere is seen, nothing more is sent', async () => {
  using server = new ObservedServer(['/a', '/b', '/c/:id'])
  const remote = { host: 'db.prod.test', port: 5432, database: 'shop', isLoopback: false }
  const handler = () => {
    server.databaseList = [remote]
    return []
  }

  const traffic = await discover(server, handler, { params: ['id=1'] })

  assert.deepEqual(server.asked, ['GET /a'])
  assert.deepEqual(traffic.requests, [])
  for (const pattern of ['/a', '/b', '/c/:id']) {
    assert.match(
      reasonOf(traffic, pattern),
      /shop on db\.prod\.test:5432 is not on this machine; --allow-remote/,
    )
  }

  const allowed = await discover(server, handler, { params: ['id=1'], allowRemoteDatabase: true })
  assert.equal(allowed.requests.length, 3)
})

test('what nobody could see is not driven', async () => {
  using server = new ObservedServer(['/a'])
  server.isBlind = true
  const blind = await discover(server, () => ({}))
  assert.match(reasonOf(blind, '/a'), /was not seen by the observer/)

  using busy = new ObservedServer(['/a'])
  busy.droppedSpans = 12
  const partly = await discover(busy, () => ({}))
  assert.match(reasonOf(partly, '/a'), /12 of its calls were not seen/)
})

test('patterns that take anything are listed', async () => {
  using server = new ObservedServer(['/static/*', '/^\\/x(.*)$/'])
  const traffic = await discover(server, () => ({}))
  assert.match(reasonOf(traffic, '/static/*'), /wildcard/)
  assert.match(reasonOf(traffic, '/^\\/x(.*)$/'), /regular expression/)
  assert.deepEqual(server.asked, [])
})

test('when the time is over the rest is listed', async () => {
  using server = new ObservedServer(['/a', '/b'])
  const traffic = await discover(server, () => ({}), { budgetMs: 0 })
  assert.equal(reasonOf(traffic, '/b'), 'there was no time left to try it')
})

test('when the signal fires, what was found until then comes back', async () => {
  using server = new ObservedServer(['/a', '/b'])
  const leaving = new AbortController()
  const handler = (path: string) => {
    if (path === '/b') leaving.abort()
    return {}
  }
  const traffic = await discover(server, handler, { signal: leaving.signal })
  assert.deepEqual(pathsOf(traffic), ['/a'])
})

test('a real Fastify application is found out', async () => {
  using server = new ObservedServer(['/users', '/users/:id', '/logout', '/audit'])
  let handle: ((request: IncomingMessage, response: ServerResponse) => void) | undefined
  const app = fastify({
    serverFactory: (handler) => {
      handle = handler
      return { on: () => {}, once: () => {}, removeListener: () => {} } as never
    },
  })
  app.addHook('preHandler', async (request) => server.found(request.routeOptions.url ?? ''))
  app.get('/users', async () => {
    server.query('SELECT id, name FROM users')
    return [{ id: 1 }, { id: 2 }]
  })
  app.get('/users/:id', async (request) => {
    server.query('SELECT * FROM users WHERE id = $1')
    return request.params
  })
  app.get('/logout', async () => assert.fail('must not be called'))
  app.get('/audit', async () => {
    server.query('INSERT INTO audit DEFAULT VALUES')
    return {}
  })
  await app.ready()

  const origin = await server.listen((request, response) => handle?.(request, response))
  const traffic = await discoverTraffic({ target: server, origin })

  assert.deepEqual(
    traffic.requests.map(({ path, route }) => [path, route]),
    [
      ['/users', '/users'],
      ['/users/1', '/users/:id'],
      ['/users/2', '/users/:id'],
    ],
  )
  assert.match(reasonOf(traffic, '/audit'), /INSERT/)
  assert.match(reasonOf(traffic, '/logout'), /by its name/)
})

test('a real Express application is found out', async () => {
  using server = new ObservedServer(['/api/users', '/api/users/:id', '/api/me'])
  const app = express()
  const router = express.Router()
  router.get('/users', (request: ExpressRequest, response: ExpressResponse) => {
    server.found(request.baseUrl + request.route.path)
    server.query('SELECT id FROM users')
    response.json({ data: [{ id: 'a1' }] })
  })
  router.get('/users/:id', (request: ExpressRequest, response: ExpressResponse) => {
    server.found(request.baseUrl + request.route.path)
    server.query('SELECT * FROM users WHERE id = $1')
    response.json({ id: request.params['id'] })
  })
  router.get('/me', (_: ExpressRequest, response: ExpressResponse) => {
    response.sendStatus(401)
  })
  app.use('/api', router)

  const origin = await server.listen(app)
  const traffic = await discoverTraffic({ target: server, origin })

  assert.deepEqual(
    traffic.requests.map(({ path, route }) => [path, route]),
    [
      ['/api/users', '/api/users'],
      ['/api/users/a1', '/api/users/:id'],
    ],
  )
  assert.match(reasonOf(traffic, '/api/me'), /answers 401/)
})

interface ExpressRequest {
  readonly baseUrl: string
  readonly route: { readonly path: string }
  readonly params: Readonly<Record<string, string>>
}

interface ExpressResponse {
  json(body: unknown): void
  sendStatus(status: number): void
}

type Handler = (path: string, response: ServerResponse, request: IncomingMessage) => unknown

/** What the handler returns is the answer, as JSON; undefined leaves it open. */
async function discover(
  server: ObservedServer,
  handler: Handler,
  options: Partial<DiscoverOptions> = {},
): Promise<DiscoveredTraffic> {
  const origin = await server.listen((request, response) => {
    const answer = handler(request.url ?? '', response, request)
    if (answer !== undefined) response.end(JSON.stringify(answer))
  })
  return discoverTraffic({ target: server, origin, ...options })
}

function pathsOf({ requests }: DiscoveredTraffic): string[] {
  return requests.map(({ path }) => path)
}

function reasonOf({ notDriven }: DiscoveredTraffic, pattern: string): string {
  const found = notDriven.filter(({ route }) => route === pattern)
  assert.equal(found.length, 1, `${pattern} is listed ${found.length} times`)
  return found[0]?.reason ?? ''
}
