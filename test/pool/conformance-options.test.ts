/** What may be said to a `pg.Pool` when it is made. */
import assert from 'node:assert/strict'
import net from 'node:net'
import { type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import pg from 'pg'
import { testPostgres } from '../service.ts'
import { called, eachPool, endAfter, isSame } from './pool-kinds.ts'

const postgres = await testPostgres()

eachPool(postgres, (kind) => {
  test('defaults', async (t) => {
    const { options } = kind.open(t)
    const { max, min, maxUses, allowExitOnIdle, maxLifetimeSeconds, idleTimeoutMillis } = options

    assert.deepEqual(
      { max, min, maxUses, allowExitOnIdle, maxLifetimeSeconds, idleTimeoutMillis },
      {
        max: 10,
        min: 0,
        maxUses: Number.POSITIVE_INFINITY,
        allowExitOnIdle: false,
        maxLifetimeSeconds: 0,
        idleTimeoutMillis: 10_000,
      },
    )
  })

  test('what is given is kept, also what nobody knows, and not changed', async (t) => {
    const config = { connectionString: postgres.url, max: 3, somethingOfOnesOwn: { a: 1 } }
    const before = structuredClone(config)

    const pool = new kind.Pool(config)
    endAfter(t, pool)
    await pool.query('SELECT 1')

    assert.deepEqual(config, before)
    assert.notEqual(pool.options, config)
    assert.equal(pool.options.max, 3)
    assert.equal(
      (pool.options as unknown as typeof config).somethingOfOnesOwn,
      config.somethingOfOnesOwn,
    )
    assert.equal((pool.options as pg.PoolConfig).connectionString, postgres.url)
  })

  test('`poolSize` is an older name of `max`', async (t) => {
    const pool = kind.open(t, { poolSize: 2 } as pg.PoolConfig)

    assert.equal(pool.options.max, 2)
  })

  test('zero is the default, as it ever was', async (t) => {
    const pool = kind.open(t, { max: 0, maxUses: 0, min: 0 })

    assert.deepEqual([pool.options.max, pool.options.maxUses], [10, Number.POSITIVE_INFINITY])
    assert.equal((await pool.query('SELECT 1')).rowCount, 1)
  })

  test('the server in parts', async (t) => {
    const { hostname, port, username, password, pathname } = new URL(postgres.url)
    const pool = new kind.Pool({
      host: hostname,
      port: Number(port),
      user: username,
      password,
      database: pathname.slice(1),
    })
    endAfter(t, pool)

    const { rows } = await pool.query('SELECT current_user AS me, current_database() AS db')

    assert.deepEqual(rows, [{ me: username, db: pathname.slice(1) }])
  })

  test('the server by the environment', async (t) => {
    const { hostname, port, username, password, pathname } = new URL(postgres.url)
    setEnvironment(t, {
      PGHOST: hostname,
      PGPORT: port,
      PGUSER: username,
      PGPASSWORD: password,
      PGDATABASE: pathname.slice(1),
      PGAPPNAME: 'of the environment',
    })
    const pool = new kind.Pool()
    endAfter(t, pool)

    const { rows } = await pool.query("SELECT current_setting('application_name') AS name")

    assert.deepEqual(rows, [{ name: 'of the environment' }])
  })

  test('a password by a function', async (t) => {
    const { hostname, port, username, password, pathname } = new URL(postgres.url)
    let asked = 0
    const pool = new kind.Pool({
      host: hostname,
      port: Number(port),
      user: username,
      database: pathname.slice(1),
      password: async () => {
        asked++
        return password
      },
    })
    endAfter(t, pool)

    const clients = await Promise.all([pool.connect(), pool.connect()])
    for (const client of clients) client.release()

    assert.equal(asked, 2)
  })

  test('a password shows nowhere', async (t) => {
    const { hostname, port, username, password } = new URL(postgres.url)
    const pool = new kind.Pool({ host: hostname, port: Number(port), user: username, password })
    endAfter(t, pool)
    const client = await pool.connect()

    const shown = [
      inspect(pool.options, { depth: 5 }),
      JSON.stringify(pool.options),
      inspect(pool, { depth: 6 }),
      inspect(client, { depth: 6 }),
      Object.keys(pool.options).join(),
    ]
    client.release()

    for (const text of shown) assert.ok(!text.includes(password), text)
    assert.equal((pool.options as pg.PoolConfig).password, password)
  })

  test('a key of TLS shows nowhere', async (t) => {
    const pool = new kind.Pool({ ssl: { key: 'very secret', ca: 'known to all' } })
    endAfter(t, pool)

    assert.ok(!inspect(pool.options, { depth: 5 }).includes('very secret'))
    assert.ok(inspect(pool.options, { depth: 5 }).includes('known to all'))
  })

  test('TLS is asked for', async (t) => {
    const pool = kind.open(t, { ssl: true, connectionTimeoutMillis: 5_000 })

    await assert.rejects(pool.query('SELECT 1'), /The server does not support SSL connections/)
  })

  test('a client of one’s own class', async (t) => {
    class OwnClient extends pg.Client {
      readonly mark = 'own'
    }
    const pool = kind.open(t, { Client: OwnClient as never })

    const client = await pool.connect()
    client.release()

    assert.ok(client instanceof OwnClient)
    assert.equal((pool as unknown as { Client: unknown }).Client, OwnClient)
    assert.deepEqual((await pool.query('SELECT $1::int AS n', [1])).rows, [{ n: 1 }])
  })

  test('`Client` is that of pg by default', (t) => {
    assert.equal((kind.open(t) as unknown as { Client: unknown }).Client, pg.Client)
  })

  test('promises of one’s own class', async (t) => {
    class OwnPromise<T> extends Promise<T> {}
    const pool = kind.open(t, { Promise: OwnPromise })

    const query = pool.query('SELECT 1')
    const connect = pool.connect()
    await query
    ;(await connect).release()
    const end = pool.end()
    await end

    for (const promise of [query, connect, end]) assert.ok(promise instanceof OwnPromise)
  })

  test('a log hears what happens', async (t) => {
    const messages: unknown[] = []
    const pool = kind.open(t, {
      log: (...given) => {
        messages.push(given[0])
      },
    })

    await pool.query('SELECT 1')
    await pool.end()

    assert.ok(messages.length > 0)
    assert.ok(messages.every((message) => typeof message === 'string'))
    assert.equal(typeof (pool as unknown as { log: unknown }).log, 'function')
  })

  test('`onConnect` is awaited before a client is used, once for each', async (t) => {
    const prepared: unknown[] = []
    const pool = kind.open(t, {
      max: 1,
      onConnect: async (client) => {
        await client.query("SET application_name = 'prepared'")
        prepared.push(client)
      },
    })

    const client = await pool.connect()
    const { rows } = await client.query("SELECT current_setting('application_name') AS name")
    client.release()
    await pool.query('SELECT 1')

    assert.deepEqual(rows, [{ name: 'prepared' }])
    assert.equal(prepared.length, 1)
    assert.ok(isSame(prepared[0], client))
  })

  for (const [how, fail] of [
    [
      'throws',
      () => {
        throw new Error('not today')
      },
    ],
    ['rejects', () => Promise.reject(new Error('not today'))],
  ] as const) {
    test(`\`onConnect\` ${how}: the caller hears it, the client is closed`, async (t) => {
      let isFailing = true
      const onConnect = () => (isFailing ? fail() : undefined)
      const pool = kind.open(t, { max: 1, onConnect: onConnect as never })

      await assert.rejects(pool.connect(), /not today/)
      await assert.rejects(pool.query('SELECT 1'), /not today/)
      assert.deepEqual([pool.totalCount, pool.idleCount], [0, 0])
      isFailing = false

      assert.equal((await pool.query('SELECT 1')).rowCount, 1)
    })
  }

  test('`verify` sees each new client, and may refuse it', async (t) => {
    const refused = new Error('not this one')
    let answers: (Error | undefined)[] = [refused, undefined]
    const pool = kind.open(t, {
      verify: (client, done) => {
        assert.equal(typeof client.query, 'function')
        done(answers[0])
        answers = answers.slice(1)
      },
    })

    const [error, client, done] = await called<[Error, unknown, unknown]>((cb) => {
      pool.connect(cb as never)
    })
    assert.deepEqual([error, client, typeof done], [refused, undefined, 'function'])
    assert.deepEqual([pool.totalCount, pool.idleCount], [0, 0])

    const verified = await pool.connect()
    verified.release()
    ;(await pool.connect()).release()
    assert.deepEqual(answers, [])
  })
})

/** Times. */
eachPool(postgres, (kind) => {
  test('nobody waits for a client longer than `connectionTimeoutMillis`', async (t) => {
    const pool = kind.open(t, { max: 1, connectionTimeoutMillis: 100 })
    const client = await pool.connect()
    const message = /timeout exceeded when trying to connect/

    await assert.rejects(pool.connect(), message)
    await assert.rejects(pool.query('SELECT 1'), message)
    const [error] = await called<[Error]>((cb) => {
      pool.connect(cb as never)
    })
    assert.match(error.message, message)
    assert.equal(pool.waitingCount, 0)
    client.release()

    assert.equal((await pool.query('SELECT 1')).rowCount, 1)
  })

  test('nobody waits for a silent server longer either', async (t) => {
    const { port } = await silentServer(t)
    const pool = new kind.Pool({ host: '127.0.0.1', port, connectionTimeoutMillis: 100 })
    endAfter(t, pool)

    await assert.rejects(pool.connect(), /timeout/)
    await assert.rejects(pool.query('SELECT 1'), /timeout/)

    assert.deepEqual([pool.totalCount, pool.idleCount, pool.waitingCount], [0, 0, 0])
  })

  test('`statement_timeout` is the server’s', async (t) => {
    const pool = kind.open(t, { statement_timeout: 50 })

    await assert.rejects(pool.query('SELECT pg_sleep(60)'), { code: '57014' })

    assert.equal((await pool.query('SELECT 1')).rowCount, 1)
  })

  test('`query_timeout` is the client’s', async (t) => {
    const pool = kind.open(t, { query_timeout: 50 })

    await assert.rejects(pool.query('SELECT pg_sleep(2)'), /timeout/)

    assert.equal((await pool.query('SELECT 1')).rowCount, 1)
  })

  test('`query_timeout` of one query', async (t) => {
    const pool = kind.open(t)

    const outcome = pool.query({ text: 'SELECT pg_sleep(2)', query_timeout: 50 } as never)

    await assert.rejects(outcome, /timeout/)
    assert.equal((await pool.query('SELECT 1')).rowCount, 1)
  })

  test('settings of the session', async (t) => {
    const pool = kind.open(t, {
      application_name: 'named',
      lock_timeout: 1234,
      idle_in_transaction_session_timeout: 5678,
      options: '-c search_path=elsewhere',
    })

    const { rows } = await pool.query(
      `SELECT current_setting('application_name') AS name, current_setting('lock_timeout') AS lock,
              current_setting('idle_in_transaction_session_timeout') AS idle,
              current_setting('search_path') AS path`,
    )

    assert.deepEqual(rows, [{ name: 'named', lock: '1234ms', idle: '5678ms', path: 'elsewhere' }])
  })
})

/** The connection itself. */
eachPool(postgres, (kind) => {
  test('sockets by a function', async (t) => {
    const sockets: net.Socket[] = []
    const pool = kind.open(t, {
      stream: () => {
        const socket = new net.Socket()
        sockets.push(socket)
        return socket
      },
    })

    const client = await pool.connect()
    client.release()

    assert.deepEqual(sockets, [client.connection.stream])
  })

  test('keep-alive reaches the connection', async (t) => {
    const client = await kind.open(t, { keepAlive: true }).connect()
    client.release()

    assert.equal((client.connection as unknown as { _keepAlive: boolean })._keepAlive, true)
  })

  test('`pipeline` reaches the clients that are lent', async (t) => {
    const plain = await kind.open(t).connect()
    const client = await kind.open(t, { pipeline: true }).connect()
    const pipelines = [plain.pipeline, client.pipeline]

    const outcomes = await Promise.allSettled([
      client.query('SELECT 1 AS n'),
      client.query('SELECT 1/0'),
      client.query('SELECT $1::int AS n', [3]),
    ])
    plain.release()
    client.release()

    assert.deepEqual(pipelines, [false, true])
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
  })
})

/** Takes connections and says nothing. */
async function silentServer(t: TestContext): Promise<{ port: number }> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).resume()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as net.AddressInfo).port }
}

function setEnvironment(t: TestContext, variables: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(variables)) {
    const before = process.env[name]
    process.env[name] = value
    t.after(() => {
      if (before === undefined) delete process.env[name]
      else process.env[name] = before
    })
  }
}
