/** How long a `pg.Pool` keeps its clients, and how it ends. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type pg from 'pg'
import { testPostgres } from '../service.ts'
import { called, eachPool, emitted, isSame } from './pool-kinds.ts'
import { until } from './until.ts'

const postgres = await testPostgres()
// Compiled tests lie in build/test/pool; fixtures run where they were written.
const idleApp = fileURLToPath(new URL('../../../test/pool/fixtures/idle.app.mjs', import.meta.url))

eachPool(postgres, (kind) => {
  test('an idle client is closed after a while', async (t) => {
    const pool = kind.open(t, { idleTimeoutMillis: 20 })
    const removed = emitted(pool, 'remove')

    await pool.query('SELECT 1')
    await removed

    assert.deepEqual([pool.totalCount, pool.idleCount], [0, 0])
    assert.equal((await pool.query('SELECT 1')).rowCount, 1)
  })

  test('`min` clients are kept', async (t) => {
    const pool = kind.open(t, { min: 1, max: 3, idleTimeoutMillis: 20 })
    const clients = await Promise.all([pool.connect(), pool.connect(), pool.connect()])
    let removals = 0
    pool.on('remove', () => {
      removals++
    })

    for (const client of clients) client.release()
    await until('two are closed', () => removals === 2)

    assert.deepEqual([pool.totalCount, pool.idleCount], [1, 1])
  })

  test('a client is closed after `maxUses`', async (t) => {
    const pool = kind.open(t, { max: 1, maxUses: 2 })

    const used: pg.PoolClient[] = []
    for (let n = 0; n < 5; n++) {
      const client = await pool.connect()
      used.push(client)
      client.release()
    }

    assert.deepEqual(
      used.map((client) => used.findIndex((each) => isSame(each, client))),
      [0, 0, 2, 2, 4],
    )
  })

  test('a query of the pool is a use', async (t) => {
    const pool = kind.open(t, { max: 1, maxUses: 3 })
    const pids = new Set<number>()

    for (let n = 0; n < 9; n++) {
      const { rows } = await pool.query('SELECT pg_backend_pid() AS pid')
      pids.add(rows[0].pid)
    }

    assert.equal(pids.size, 3)
  })

  test('a client that is too old is closed when it is idle', async (t) => {
    const pool = kind.open(t, { maxLifetimeSeconds: 1, idleTimeoutMillis: 60_000 })
    const removed = emitted(pool, 'remove')

    await pool.query('SELECT 1')
    assert.equal(pool.totalCount, 1)
    await removed

    assert.deepEqual([pool.totalCount, pool.expiredCount], [0, 0])
  })

  test('a client that is too old is closed when it comes back', async (t) => {
    const pool = kind.open(t, { maxLifetimeSeconds: 1 })
    const client = await pool.connect()
    await until('it has expired', () => pool.expiredCount === 1)
    assert.equal((await client.query('SELECT 1')).rowCount, 1)
    const removed = emitted(pool, 'remove')

    client.release()

    assert.ok(isSame((await removed)[0], client))
    assert.deepEqual([pool.totalCount, pool.expiredCount], [0, 0])
  })

  for (const allowExitOnIdle of [true, false]) {
    const what = allowExitOnIdle ? 'does not keep' : 'keeps'
    test(`an idle pool ${what} the process (allowExitOnIdle: ${allowExitOnIdle})`, async (t) => {
      const config = { connectionString: postgres.url, allowExitOnIdle, idleTimeoutMillis: 300 }
      const child = spawn(process.execPath, [idleApp, kind.name, JSON.stringify(config)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      t.after(() => child.kill('SIGKILL'))
      let told = ''
      child.stdout.on('data', (chunk: Buffer) => {
        told += chunk.toString()
      })

      const [code] = await once(child, 'close')

      assert.equal(code, 0)
      assert.equal(told, allowExitOnIdle ? 'answered\n' : 'answered\nremoved\n')
    })
  }
})

/** The end. */
eachPool(postgres, (kind) => {
  test('a pool that was never used ends', async () => {
    const pool = new kind.Pool()

    assert.deepEqual([pool.ending, pool.ended], [false, false])
    await pool.end()

    assert.deepEqual([pool.ending, pool.ended], [true, true])
  })

  test('it ends by callback', async (t) => {
    const pool = kind.open(t)
    await pool.query('SELECT 1')

    const [error] = await called<[unknown]>((cb) => {
      assert.equal(pool.end(cb as never) as unknown, undefined)
    })

    assert.equal(error ?? undefined, undefined)
    assert.equal(pool.ended, true)
  })

  test('what is under way is finished', async (t) => {
    const pool = kind.open(t, { max: 10 })

    const answers = Array.from({ length: 10 }, (_, n) => pool.query('SELECT $1::int AS n', [n]))
    await pool.end()

    const results = await Promise.all(answers)
    assert.deepEqual(
      results.map(({ rows }) => rows[0].n),
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    )
    assert.equal(pool.totalCount, 0)
  })

  test('it waits for clients that are lent', async (t) => {
    const pool = kind.open(t)
    const client = await pool.connect()
    let hasEnded = false

    const end = pool.end().then(() => {
      hasEnded = true
    })
    assert.deepEqual([pool.ending, pool.ended], [true, false])
    const { rows } = await client.query('SELECT 1 AS n')
    const wasEnded = hasEnded
    client.release()
    await end

    assert.deepEqual(rows, [{ n: 1 }])
    assert.equal(wasEnded, false)
    assert.equal(pool.ended, true)
  })

  test('who waits for a client when it ends hears of it', { skip: kind.mended(2) }, async (t) => {
    const pool = kind.open(t, { max: 1 })
    const client = await pool.connect()
    const waiting = [
      pool.connect().then((lent) => {
        lent.release()
      }),
      pool.query('SELECT 1'),
      called<[Error | undefined, unknown, () => void]>((cb) => {
        pool.connect(cb as never)
      }).then(([error, , done]) => {
        if (error === undefined) done()
      }),
    ]

    const end = pool.end()
    client.release()
    await Promise.allSettled(waiting)
    await end

    assert.deepEqual([pool.totalCount, pool.waitingCount, pool.ended], [0, 0, true])
  })

  test('nothing is left on the server', async (t) => {
    const application_name = `ended ${kind.name}`
    const pool = kind.open(t, { application_name })
    const other = kind.open(t)
    await Promise.all(Array.from({ length: 20 }, () => pool.query('SELECT 1')))

    await pool.end()

    await until('no session is left', async () => {
      const { rows } = await other.query(
        'SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = $1',
        [application_name],
      )
      return rows[0].n === 0
    })
  })

  test('nothing more is taken', async (t) => {
    const pool = kind.open(t)
    await pool.end()
    const message = /Cannot use a pool after calling end on the pool/

    await assert.rejects(pool.connect(), message)
    await assert.rejects(pool.query('SELECT 1'), message)
    const [connectError] = await called<[Error]>((cb) => {
      pool.connect(cb as never)
    })
    const [queryError] = await called<[Error]>((cb) => {
      void pool.query('SELECT 1', cb as never)
    })

    assert.match(connectError.message, message)
    assert.match(queryError.message, message)
  })

  test('it ends once', async (t) => {
    const pool = kind.open(t)
    await pool.end()

    await assert.rejects(pool.end(), /Called end on pool more than once/)
    const [error] = await called<[Error]>((cb) => {
      pool.end(cb as never)
    })

    assert.match(error.message, /Called end on pool more than once/)
  })
})
