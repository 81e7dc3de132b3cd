/** What a `pg.Pool` lends: a client, whole and alone, until it is brought back. */
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { test } from 'node:test'
import pg from 'pg'
import { testPostgres } from '../service.ts'
import { called, eachPool, emitted, isSame } from './pool-kinds.ts'
import { until } from './until.ts'

const postgres = await testPostgres()
type Lent = [Error | undefined, pg.PoolClient, (error?: unknown) => void]

eachPool(postgres, (kind) => {
  test('a client by promise', async (t) => {
    const pool = kind.open(t)

    const client = await pool.connect()
    const { rows } = await client.query('SELECT $1::int AS n', [1])
    client.release()

    assert.deepEqual(rows, [{ n: 1 }])
    assert.ok(client instanceof pg.Client)
  })

  test('a client by callback, with `done`', async (t) => {
    const pool = kind.open(t)

    const [error, client, done] = await called<Lent>((cb) => {
      assert.equal(pool.connect(cb as never) as unknown, undefined)
    })
    assert.equal(error, undefined)
    await client.query('SELECT 1')
    done()

    assert.deepEqual([pool.totalCount, pool.idleCount], [1, 1])
  })

  test('the callback comes later, also where a client is at hand', async (t) => {
    const pool = kind.open(t)
    ;(await pool.connect()).release()
    let hasReturned = false

    const wasAfter = await new Promise((resolve) => {
      pool.connect((_error, _client, done) => {
        done()
        resolve(hasReturned)
      })
      hasReturned = true
    })

    assert.equal(wasAfter, true)
  })

  test('a client that is lent twice is the same client', async (t) => {
    const pool = kind.open(t)

    const first = await pool.connect()
    first.release()
    const second = await pool.connect()
    second.release()

    assert.ok(isSame(second, first))
  })

  // Ours gives a view of the client to each borrower, that ends with the release (fault 1).
  test('unguarded, it is the same object, everywhere', async (t) => {
    const pool = kind.open(t, { guardReleased: false } as pg.PoolConfig)
    const told: unknown[] = []
    for (const event of ['connect', 'acquire', 'remove'] as const) {
      pool.on(event, (client) => told.push(client))
    }
    pool.on('release', (_error, client) => told.push(client))

    const client = await pool.connect()
    client.release()
    const again = await pool.connect()
    again.release()
    await pool.end()

    assert.equal(again, client)
    assert.ok(told.length >= 5)
    for (const each of told) assert.equal(each, client)
  })

  test('what is put on a client is there for the next borrower', async (t) => {
    const pool = kind.open(t, { max: 1 })
    const first = (await pool.connect()) as pg.PoolClient & { mark?: string }
    first.mark = 'of the first'
    first.release()

    const second = (await pool.connect()) as pg.PoolClient & { mark?: string }
    second.release()

    assert.equal(second.mark, 'of the first')
  })

  test('it is known how many there are, idle and awaited', async (t) => {
    const pool = kind.open(t, { max: 2 })
    const counts = () => [pool.totalCount, pool.idleCount, pool.waitingCount, pool.expiredCount]
    const seen = [counts()]

    const first = await pool.connect()
    seen.push(counts())
    const second = await pool.connect()
    const third = pool.connect()
    const fourth = pool.connect()
    seen.push(counts())
    first.release()
    const lentAgain = await third
    seen.push(counts())
    second.release()
    lentAgain.release()
    ;(await fourth).release()
    seen.push(counts())

    assert.deepEqual(seen, [
      [0, 0, 0, 0],
      [1, 0, 0, 0],
      [2, 0, 2, 0],
      [2, 0, 1, 0],
      [2, 2, 0, 0],
    ])
  })

  test('who waits is served in the order of asking', async (t) => {
    const pool = kind.open(t, { max: 1 })
    const client = await pool.connect()
    const order: number[] = []

    const waiting = [0, 1, 2, 3, 4].map(async (n) => {
      const lent = await pool.connect()
      order.push(n)
      lent.release()
    })
    client.release()
    await Promise.all(waiting)

    assert.deepEqual(order, [0, 1, 2, 3, 4])
  })

  test('never more than `max`', async (t) => {
    const application_name = `most ${kind.name}`
    const pool = kind.open(t, { max: 3, application_name })
    const other = kind.open(t)
    let most = 0

    await Promise.all(
      Array.from({ length: 30 }, async () => {
        const client = await pool.connect()
        await client.query('SELECT 1')
        most = Math.max(most, pool.totalCount)
        client.release()
        await pool.query('SELECT 2')
      }),
    )
    const { rows } = await other.query(
      'SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = $1',
      [application_name],
    )

    assert.ok(most <= 3, `${most}`)
    assert.ok(rows[0].n <= 3, `${rows[0].n}`)
  })

  test('what is open in a transaction, nobody else sees', async (t) => {
    const pool = kind.open(t)
    await pool.query('CREATE TABLE IF NOT EXISTS seen (n int)')
    await pool.query('TRUNCATE seen')
    const client = await pool.connect()

    await client.query('BEGIN')
    assert.equal(client.getTransactionStatus(), 'T')
    await client.query('INSERT INTO seen VALUES (1)')
    const during = await pool.query('SELECT count(*)::int AS n FROM seen')
    await client.query('COMMIT')
    const after = await pool.query('SELECT count(*)::int AS n FROM seen')
    client.release()

    assert.deepEqual([during.rows[0].n, after.rows[0].n], [0, 1])
  })

  test('a transaction is taken back, in part or whole', async (t) => {
    const pool = kind.open(t)
    await pool.query('CREATE TABLE IF NOT EXISTS taken_back (n int)')
    await pool.query('TRUNCATE taken_back')
    const client = await pool.connect()

    await client.query('BEGIN')
    await client.query('INSERT INTO taken_back VALUES (1)')
    await client.query('SAVEPOINT here')
    await client.query('INSERT INTO taken_back VALUES (2)')
    await client.query('ROLLBACK TO here')
    await client.query('COMMIT')
    await client.query('BEGIN')
    await client.query('INSERT INTO taken_back VALUES (3)')
    await client.query('ROLLBACK')
    client.release()

    assert.deepEqual((await pool.query('SELECT n FROM taken_back')).rows, [{ n: 1 }])
  })

  test('a session is kept for as long as the client is lent', async (t) => {
    const pool = kind.open(t)
    const client = await pool.connect()

    await client.query("SET application_name = 'kept'")
    await client.query('CREATE TEMP TABLE kept AS SELECT 7 AS n')
    await client.query('SELECT pg_advisory_lock(42)')
    await Promise.all(Array.from({ length: 20 }, () => pool.query('SELECT 1')))
    const { rows } = await client.query(
      `SELECT current_setting('application_name') AS name, (SELECT n FROM kept) AS n,
              (SELECT count(*)::int FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory') AS locks`,
    )
    await client.query('SELECT pg_advisory_unlock(42)')
    client.release(true)

    assert.deepEqual(rows, [{ name: 'kept', n: 7, locks: 1 }])
  })

  test('statements that are not awaited run in their order', async (t) => {
    const pool = kind.open(t)
    const client = await pool.connect()

    const [, , last] = await Promise.all([
      client.query('CREATE TEMP TABLE steps (n int)'),
      client.query('INSERT INTO steps VALUES (1), (2)'),
      client.query('SELECT count(*)::int AS n FROM steps'),
    ])
    client.release(true)

    assert.deepEqual(last.rows, [{ n: 2 }])
  })

  test('the client asks by callback too', async (t) => {
    const client = await kind.open(t).connect()

    const [error, result] = await called<[Error | null, pg.QueryResult]>((cb) => {
      client.query('SELECT $1::int AS n', [1], cb)
    })
    const [wrong] = await called<[pg.DatabaseError]>((cb) => {
      void client.query('SELECT 1/0', cb as never)
    })
    client.release()

    assert.equal(error, null)
    assert.deepEqual(result.rows, [{ n: 1 }])
    assert.equal(wrong.code, '22012')
  })

  test('the client has all that a client has', async (t) => {
    const url = new URL(postgres.url)
    const client = await kind.open(t).connect()
    const { rows } = await client.query('SELECT pg_backend_pid() AS pid')
    const { host, port, user, database, processID } = client as pg.PoolClient & {
      processID: number
    }
    client.setTypeParser(pg.types.builtins.TEXT, (value) => value.toUpperCase())
    const upper = await client.query("SELECT 'up'::text AS word")
    client.release(true)

    assert.deepEqual(
      { host, port, user, database, processID },
      {
        host: url.hostname,
        port: Number(url.port),
        user: url.username,
        database: url.pathname.slice(1),
        processID: rows[0].pid,
      },
    )
    assert.deepEqual(upper.rows, [{ word: 'UP' }])
    assert.equal(client.getTypeParser(pg.types.builtins.INT4, 'text')('12' as never), 12)
    assert.equal(client.escapeIdentifier('a"b'), '"a""b"')
    assert.equal(client.escapeLiteral("it's"), "'it''s'")
    assert.equal(typeof client.getTransactionStatus, 'function')
    for (const name of ['ref', 'unref', 'end', 'on', 'off', 'once', 'removeListener'] as const) {
      assert.equal(typeof (client as unknown as Record<string, unknown>)[name], 'function', name)
    }
  })

  test('notices reach the client who caused them', async (t) => {
    const client = await kind.open(t).connect()
    const notices: (string | undefined)[] = []
    client.on('notice', ({ message }) => notices.push(message))

    await client.query("DO $$ BEGIN RAISE NOTICE 'by the way'; END $$")
    client.removeAllListeners('notice')
    client.release()

    assert.deepEqual(notices, ['by the way'])
  })

  test('LISTEN on a client that is kept hears what others notify', async (t) => {
    const pool = kind.open(t)
    const client = await pool.connect()
    const heard: pg.Notification[] = []
    client.on('notification', (message) => heard.push(message))

    await client.query('LISTEN news')
    await pool.query("NOTIFY news, 'first'")
    await pool.query("SELECT pg_notify('news', $1)", ['second'])
    await until('two notifications', () => heard.length === 2)
    await client.query('UNLISTEN *')
    client.release(true)

    assert.deepEqual(
      heard.map(({ channel, payload }) => [channel, payload]),
      [
        ['news', 'first'],
        ['news', 'second'],
      ],
    )
  })
})

/** The caller's async context. */
eachPool(postgres, (kind) => {
  test('it is there after each await', async (t) => {
    const pool = kind.open(t, { max: 2 })
    const storage = new AsyncLocalStorage<number>()

    const seen = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        storage.run(n, async () => {
          await pool.query('SELECT 1')
          const client = await pool.connect()
          await client.query('SELECT 2')
          client.release()
          return storage.getStore()
        }),
      ),
    )

    assert.deepEqual(
      seen,
      Array.from({ length: 20 }, (_, n) => n),
    )
  })

  // pg calls back in the context of whoever opened the connection or gave it back.
  const isKept = kind.isOurs ? false : 'pg.Pool loses it in callbacks'
  test('it is there in each callback', { skip: isKept }, async (t) => {
    const pool = kind.open(t, { max: 2 })
    const storage = new AsyncLocalStorage<number>()

    const seen = await Promise.all(
      Array.from({ length: 20 }, async (_, n) =>
        storage.run(n, async () => {
          const inQuery = new Promise((resolve) => {
            pool.query('SELECT 1', () => {
              resolve(storage.getStore())
            })
          })
          const inConnect = new Promise((resolve) => {
            pool.connect((_error, _client, done) => {
              done()
              resolve(storage.getStore())
            })
          })
          return Promise.all([inQuery, inConnect])
        }),
      ),
    )

    assert.deepEqual(
      seen,
      Array.from({ length: 20 }, (_, n) => [n, n]),
    )
  })
})

/** How it may be brought back. */
eachPool(postgres, (kind) => {
  for (const nothing of [undefined, null, false, 0, '']) {
    test(`released with ${JSON.stringify(nothing)}, a client stays`, async (t) => {
      const pool = kind.open(t)
      const client = await pool.connect()

      client.release(nothing as never)

      assert.deepEqual([pool.totalCount, pool.idleCount], [1, 1])
    })
  }

  for (const bad of [true, new Error('bad'), 'bad']) {
    test(`released with ${String(bad)}, a client is closed`, async (t) => {
      const pool = kind.open(t)
      const client = await pool.connect()
      const removed = emitted(pool, 'remove')

      client.release(bad as never)

      assert.deepEqual([pool.totalCount, pool.idleCount], [0, 0])
      assert.ok(isSame((await removed)[0], client))
      const next = await pool.connect()
      assert.ok(!isSame(next, client))
      next.release()
    })
  }

  test('`done` with an error closes the client', async (t) => {
    const pool = kind.open(t)

    const [, , done] = await called<Lent>((cb) => {
      pool.connect(cb as never)
    })
    done(new Error('bad'))

    assert.equal(pool.totalCount, 0)
  })

  test('released twice, a client throws, each time', async (t) => {
    const pool = kind.open(t)
    const client = await pool.connect()
    client.release()
    const message = /Release called on client which has already been released to the pool/

    assert.throws(() => {
      client.release()
    }, message)
    assert.throws(() => {
      client.release(true)
    }, message)

    assert.deepEqual([pool.totalCount, pool.idleCount], [1, 1])
  })

  test('a client that its borrower ended is not lent again', async (t) => {
    const pool = kind.open(t, { max: 1 })
    const client = await pool.connect()

    const ended = client.end()
    client.release()
    await ended

    assert.equal(pool.totalCount, 0)
    assert.equal((await pool.query('SELECT 1')).rowCount, 1)
  })

  test('the place of a bad client is free at once', { skip: kind.mended(8) }, async (t) => {
    const pool = kind.open(t, { max: 1 })
    const client = await pool.connect()
    const { stream } = client.connection
    let isClosed = false
    stream.once('close', () => {
      isClosed = true
    })
    // Nothing goes out any more: the goodbye is never answered by the server's closing.
    stream.end = () => stream

    const next = pool.connect()
    client.release(true)
    const other = await next
    const wasClosed = isClosed
    other.release()
    stream.destroy()

    assert.ok(!isSame(other, client))
    assert.equal(wasClosed, false)
  })
})
