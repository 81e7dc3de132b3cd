/** The connector on real servers: a primary with its standby, ports that refuse, servers that are silent. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { after, type TestContext, test } from 'node:test'
import pg from 'pg'
import { freePort } from '#services/free-port.js'
import { type Postgres, startPostgres } from '#services/postgres.js'
import { startStandby } from '#services/postgres-standby.js'
import { Connector, type ConnectorOptions } from '#src/pool/connector.js'
import type { PgClient, PgClientClass } from '#src/pool/pg.js'
import { service } from '../service.ts'

const unhandled: unknown[] = []
process.on('unhandledRejection', (error) => unhandled.push(error))
after(() => assert.deepEqual(unhandled, []))

const primary = await service(() =>
  startPostgres({ settings: { max_connections: '20', superuser_reserved_connections: '0' } }),
)
const pair = await service(async () => {
  const first = await startPostgres()
  try {
    const second = await startStandby(first)
    return {
      primary: first,
      standby: second,
      async stop() {
        await second.stop()
        await first.stop()
      },
    }
  } catch (error) {
    await first.stop()
    throw error
  }
})
const { skip } = primary

test('connects with the very object that was given, and leaves nothing of its own', {
  skip,
}, async (t) => {
  const config = Object.freeze({ connectionString: primary.it.url(), application_name: 'mine' })
  const seen: object[] = []
  class Client extends pg.Client {
    constructor(given: object) {
      super(given)
      seen.push(given)
    }
  }
  const connector = connectorOf(t, config, { Client: Client as unknown as PgClientClass })

  const client = await connector.connect()

  assert.deepEqual(seen, [config])
  assert.equal(seen[0], config)
  assert.deepEqual([client.listenerCount('error'), client.listenerCount('end')], [0, 0])
  assert.equal(await value(client, 'SHOW application_name'), 'mine')
  await client.end()
})

test('a password function is asked for each connection', { skip }, async (t) => {
  let asked = 0
  const { host, port, user, password } = primary.it
  const config = {
    host,
    port,
    user,
    database: 'postgres',
    password: async () => {
      asked++
      return password
    },
  }
  const connector = connectorOf(t, config)

  const clients = await Promise.all([connector.connect(), connector.connect()])

  assert.equal(asked, 2)
  await Promise.all(clients.map((client) => client.end()))
})

test('with one host an error is what pg says, and the password is not in it', {
  skip,
}, async (t) => {
  const { host, port } = primary.it
  const refused = connectorOf(t, { host, port: await freePort() })
  const wrong = connectorOf(t, {
    connectionString: `postgres://postgres:not-it@${host}:${port}/postgres`,
  })

  const one = await failure(refused.connect())
  const two = await failure(wrong.connect())

  assert.equal(one.code, 'ECONNREFUSED')
  assert.equal(refused.isTransient(one), true)
  assert.equal(two.code, '28P01')
  assert.equal(wrong.isTransient(two), false)
  assert.doesNotMatch(two.message, /not-it/)
})

test('a wrong password answers everybody in line, with few attempts', { skip }, async (t) => {
  let attempts = 0
  class Client extends pg.Client {
    constructor(given: object) {
      super(given)
      attempts++
    }
  }
  const { host, port } = primary.it
  const connector = connectorOf(
    t,
    { host, port, user: 'postgres', database: 'postgres', password: 'not-it' },
    { Client: Client as unknown as PgClientClass },
  )

  const all = await Promise.allSettled(Array.from({ length: 500 }, () => connector.connect()))

  assert.deepEqual(new Set(all.map(({ status }) => status)), new Set(['rejected']))
  assert.ok(attempts <= 2, `${attempts} attempts`)
})

test('never more than four are under way, in the order of asking', { skip }, async (t) => {
  let underWay = 0
  let most = 0
  const order: number[] = []
  class Client extends pg.Client {
    constructor(given: object) {
      super(given)
      most = Math.max(most, ++underWay)
      this.once('connect', () => underWay--)
    }
  }
  const connector = connectorOf(
    t,
    { connectionString: primary.it.url() },
    { Client: Client as unknown as PgClientClass },
  )

  const clients = await Promise.all(
    Array.from({ length: 12 }, async (_, i) => {
      const client = await connector.connect()
      order.push(i)
      return client
    }),
  )

  assert.ok(most <= 4, `${most} at once`)
  assert.equal(order[0], 0)
  await Promise.all(clients.map((client) => client.end()))
})

test('a server that is full is tried again until there is room', { skip }, async (t) => {
  const connector = connectorOf(t, { connectionString: primary.it.url() }, { backoffFirstMs: 2 })
  const holders = await Promise.all(Array.from({ length: 20 }, () => holder(primary.it)))
  const errors: unknown[] = []

  const connecting = (async () => {
    for (;;) {
      try {
        return await connector.connect()
      } catch (error) {
        assert.equal(connector.isTransient(error), true, String(error))
        errors.push(error)
        if (errors.length === 3) await holders.pop()?.end()
      }
    }
  })()
  const client = await connecting

  assert.equal((errors[0] as pg.DatabaseError).code, '53300')
  assert.equal(await value(client, 'SELECT 1::text'), '1')
  await client.end()
  await Promise.all(holders.map((one) => one.end()))
})

test('a server that accepts and says nothing is given up in time, its socket with it', async (t) => {
  const silent = await silentServer(t)
  const connector = connectorOf(t, { host: '127.0.0.1', port: silent.port }, { timeoutMs: 50 })

  const error = await failure(connector.connect())

  assert.match(error.message, /timeout expired/)
  assert.equal(connector.isTransient(error), true)
  await silent.empty()
})

test('an attempt under way is aborted: the socket is gone, and nothing is heard of it', async (t) => {
  const silent = await silentServer(t)
  const connector = connectorOf(t, { host: '127.0.0.1', port: silent.port })
  const abort = new AbortController()

  const connecting = connector.connect({ signal: abort.signal })
  const waiting = connector.connect({ signal: abort.signal })
  await silent.accepted()
  abort.abort(new Error('the client went away'))

  assert.equal((await failure(connecting)).message, 'the client went away')
  assert.equal((await failure(waiting)).message, 'the client went away')
  await silent.empty()
  assert.deepEqual(connector.stats(), { waiting: 0, underWay: 0, failures: 0, retryInMs: 0 })
  assert.equal(
    (await failure(connector.connect({ signal: abort.signal }))).message,
    'the client went away',
  )
})

test('an abort while a password is being fetched leaves nothing behind', { skip }, async (t) => {
  const { host, port, user, password } = primary.it
  const asked = deferred<void>()
  const answer = deferred<string>()
  const config = {
    host,
    port,
    user,
    password: () => {
      asked.resolve()
      return answer.promise
    },
  }
  const connector = connectorOf(t, config)
  const abort = new AbortController()

  const connecting = connector.connect({ signal: abort.signal })
  await asked.promise
  abort.abort()
  assert.equal((await failure(connecting)).name, 'AbortError')
  answer.resolve(password)

  await sessionsAre(primary.it, 0)
})

test('close ends what is under way and what waits', async (t) => {
  const silent = await silentServer(t)
  const connector = connectorOf(t, { host: '127.0.0.1', port: silent.port })
  const all = Promise.allSettled([connector.connect(), connector.connect(), connector.connect()])
  await silent.accepted()

  await connector.close()

  for (const one of await all) {
    assert.equal(one.status === 'rejected' && (one.reason as { code: string }).code, 'POOL_ENDED')
  }
  assert.equal((await failure(connector.connect())).code, 'POOL_ENDED')
  await silent.empty()
})

test('an error in the same packet as the readiness is not lost', { skip }, async (t) => {
  // AuthenticationOk, ReadyForQuery, and FATAL 57P01 behind it.
  const fatal = Buffer.from('SFATAL\0VFATAL\0C57P01\0Mterminating\0\0', 'latin1')
  const length = Buffer.alloc(4)
  length.writeInt32BE(fatal.length + 4)
  const words = Buffer.concat([
    Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0]),
    Buffer.from([0x5a, 0, 0, 0, 5, 0x49]),
    Buffer.from('E'),
    length,
    fatal,
  ])
  const port = await listen(t, (socket) => socket.once('data', () => socket.end(words)))
  const connector = connectorOf(t, { host: '127.0.0.1', port, user: 'u' })

  const error = await failure(connector.connect())

  assert.equal(error.code, '57P01')
  assert.equal(connector.isTransient(error), true)
})

test('hosts are tried in order, and one that is dead is tried last from then on', {
  skip,
}, async (t) => {
  const dead = await freePort()
  const tried: number[] = []
  class Client extends pg.Client {
    constructor(given: object) {
      super(given)
      tried.push(this.port)
    }
  }
  const { port, user, password } = primary.it
  const config = { host: '127.0.0.1,127.0.0.1', port: `${dead},${port}`, user, password }
  const connector = connectorOf(t, config, { Client: Client as unknown as PgClientClass })

  const one = await connector.connect()
  const two = await connector.connect()

  assert.deepEqual(tried, [dead, port, port])
  await Promise.all([one.end(), two.end()])
})

test('where no host will do, each is named with its reason', { skip }, async (t) => {
  const dead = await freePort()
  const silent = await silentServer(t)
  const connector = connectorOf(
    t,
    { connectionString: `postgres://u:hush@127.0.0.1:${dead},127.0.0.1:${silent.port}/db` },
    { timeoutMs: 50 },
  )

  const error = await failure(connector.connect())

  assert.equal(error.code, 'POOL_NO_HOST')
  assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${dead} .*ECONNREFUSED`))
  assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${silent.port} .*timeout expired`))
  assert.doesNotMatch(error.message, /hush/)
  assert.equal((error as unknown as AggregateError).errors.length, 2)
  assert.equal(connector.isTransient(error), true)
})

test('a wrong password ends the search', { skip }, async (t) => {
  const { port } = primary.it
  const silent = await silentServer(t)
  const connector = connectorOf(t, {
    connectionString: `postgres://postgres:hush@127.0.0.1:${port},127.0.0.1:${silent.port}/postgres`,
  })

  const error = await failure(connector.connect())

  assert.equal(error.code, 'POOL_NO_HOST')
  assert.equal((error as unknown as AggregateError).errors.length, 1)
  assert.equal(connector.isTransient(error), false)
  assert.doesNotMatch(error.message, /hush/)
})

for (const [target, expected] of Object.entries({
  any: 'standby',
  'read-write': 'primary',
  primary: 'primary',
  'read-only': 'standby',
  standby: 'standby',
  'prefer-standby': 'standby',
})) {
  test(`target_session_attrs=${target} finds the ${expected}`, { skip: pair.skip }, async (t) => {
    const connector = connectorOf(t, { connectionString: both(`target_session_attrs=${target}`) })
    const asking = connectorOf(t, { connectionString: both(`target_session_attrs=${target}`) })
    asking.suspect()

    const client = await connector.connect()
    const asked = await asking.connect()

    for (const one of [client, asked]) {
      assert.equal(one.port, pair.it[expected as 'primary' | 'standby'].port)
      await one.end()
    }
  })
}

test('prefer-standby takes the primary where there is no standby', {
  skip: pair.skip,
}, async (t) => {
  const { port } = pair.it.primary
  const dead = await freePort()
  const connectionString = `postgres://postgres:${pair.it.primary.password}@127.0.0.1:${dead},127.0.0.1:${port}/postgres?target_session_attrs=prefer-standby`
  const connector = connectorOf(t, { connectionString })

  const client = await connector.connect()

  assert.equal(client.port, port)
  await client.end()
})

test('one host of the wrong role is refused, and leaves no session', {
  skip: pair.skip,
}, async (t) => {
  const connector = connectorOf(t, {
    connectionString: pair.it.primary.url(),
    targetSessionAttrs: 'standby',
  })

  const error = await failure(connector.connect())

  assert.equal(error.code, 'POOL_NO_HOST')
  assert.match(error.message, /wanted: standby.*is not a standby/)
  assert.equal(connector.isTransient(error), true)
  await sessionsAre(pair.it.primary, 0)
})

test('load_balance_hosts=random goes to both', { skip: pair.skip }, async (t) => {
  // One for the order, one for the gate, in turn.
  const numbers = [0.9, 0, 0.1, 0, 0.9, 0, 0.1, 0]
  const connector = connectorOf(
    t,
    { connectionString: both('load_balance_hosts=random') },
    { random: () => numbers.shift() ?? 0 },
  )
  const ports = new Set<unknown>()

  for (let i = 0; i < 4; i++) {
    const client = await connector.connect()
    ports.add(client.port)
    await client.end()
  }

  assert.equal(ports.size, 2)
})

test('after a failover the new primary is found', { skip: pair.skip }, async (t) => {
  const connector = connectorOf(
    t,
    { connectionString: both('target_session_attrs=primary') },
    { backoffFirstMs: 2, backoffMaxMs: 50 },
  )
  const before = await connector.connect()
  assert.equal(before.port, pair.it.primary.port)
  before.on('error', () => {})

  await pair.it.primary.stop()
  const error = await failure(connector.connect())
  assert.match(error.message, /is a standby/)
  const admin = await holder(pair.it.standby)
  await value(admin, 'SELECT pg_promote()::text')
  await admin.end()

  const client = await (async () => {
    for (;;) {
      try {
        return await connector.connect()
      } catch (reason) {
        assert.equal(connector.isTransient(reason), true)
      }
    }
  })()
  assert.equal(client.port, pair.it.standby.port)
  await client.end()
})

function connectorOf(
  t: TestContext,
  config: object,
  options: Partial<ConnectorOptions> = {},
): Connector {
  const connector = new Connector({
    Client: pg.Client as unknown as PgClientClass,
    config,
    ...options,
  })
  t.after(() => connector.close())
  return connector
}

/** The standby first. */
function both(parameters: string): string {
  const { standby, primary: first } = pair.it
  return `postgres://postgres:${first.password}@127.0.0.1:${standby.port},127.0.0.1:${first.port}/postgres?${parameters}`
}

async function holder(server: Postgres): Promise<PgClient> {
  const client = new pg.Client({ connectionString: server.url() })
  await client.connect()
  return client as unknown as PgClient
}

async function value(client: PgClient, text: string): Promise<unknown> {
  const { rows } = (await client.query({ text, rowMode: 'array' })) as { rows: unknown[][] }
  return rows[0]?.[0]
}

/** Sessions besides the one that looks. */
async function sessionsAre(server: Postgres, expected: number): Promise<void> {
  const client = await holder(server)
  const text = `SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`
  const deadline = performance.now() + 10_000
  let last: unknown
  do {
    last = await value(client, text)
  } while (last !== expected && performance.now() < deadline)
  await client.end()
  assert.equal(last, expected)
}

interface CodedError extends Error {
  readonly code?: string
}

async function failure(promise: Promise<PgClient>): Promise<CodedError> {
  const client = await promise.then(
    (one) => one,
    (error: unknown) => error as CodedError,
  )
  assert.ok(client instanceof Error, 'it connected')
  return client
}

async function silentServer(t: TestContext) {
  const sockets = new Set<Socket>()
  let server: Server | undefined
  const port = await listen(
    t,
    (socket) => {
      sockets.add(socket)
      socket.resume()
      socket.on('close', () => {
        sockets.delete(socket)
        server?.emit('gone')
      })
      server?.emit('here')
    },
    (made) => {
      server = made
    },
  )
  return {
    port,
    async accepted() {
      while (sockets.size === 0) await once(server as Server, 'here')
    },
    async empty() {
      while (sockets.size > 0) await once(server as Server, 'gone')
    },
  }
}

async function listen(
  t: TestContext,
  onSocket: (socket: Socket) => void,
  onServer: (server: Server) => void = () => {},
): Promise<number> {
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  onServer(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(async () => {
    for (const socket of open) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  return (server.address() as { port: number }).port
}

function deferred<T>() {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
