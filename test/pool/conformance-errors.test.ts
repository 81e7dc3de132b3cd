/** How a `pg.Pool` fails: the error's own fields, and that nobody else notices. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { freePort } from '#services/free-port.js'
import { testPostgres } from '../service.ts'
import { called, eachPool, emitted, isSame, knownPool } from './pool-kinds.ts'

const postgres = await testPostgres()

eachPool(
  postgres,
  (kind) => {
    test('an error tells what the server told', async (t) => {
      const pool = kind.open(t)
      await pool.query('CREATE TABLE IF NOT EXISTS only_once (n int CONSTRAINT only_one UNIQUE)')
      await pool.query('INSERT INTO only_once VALUES (1) ON CONFLICT DO NOTHING')

      const error = await rejection(pool.query('INSERT INTO only_once VALUES ($1)', [1]))

      assert.ok(error instanceof pg.DatabaseError)
      assert.match(error.message, /duplicate key value violates unique constraint "only_one"/)
      const { severity, code, detail, schema, table, constraint, routine } = error
      assert.deepEqual(
        { severity, code, detail, schema, table, constraint, routine },
        {
          severity: 'ERROR',
          code: '23505',
          detail: 'Key (n)=(1) already exists.',
          schema: 'public',
          table: 'only_once',
          constraint: 'only_one',
          routine: '_bt_check_unique',
        },
      )
    })

    test('a syntax error tells its position', async (t) => {
      const error = await rejection(kind.open(t).query('SELECT FROM WHERE'))

      assert.deepEqual([error.code, error.position], ['42601', '13'])
    })

    test('an error raised by a function tells hint, context and its own code', async (t) => {
      const text = `DO $$ BEGIN RAISE EXCEPTION 'no' USING HINT = 'ask later', ERRCODE = 'HA001'; END $$`

      const error = await rejection(kind.open(t).query(text))

      assert.deepEqual([error.message, error.hint, error.code], ['no', 'ask later', 'HA001'])
      assert.match(error.where ?? '', /PL\/pgSQL function inline_code_block/)
    })

    test("an error's stack leads to who asked", async (t) => {
      const pool = kind.open(t)

      const error = await rejection(askWrongly(pool))

      assert.match(error.stack ?? '', /askWrongly|conformance-errors/)
    })

    test('a callback is given the error and nothing else', async (t) => {
      const pool = kind.open(t)

      const [error, result] = await called<[Error, unknown]>((cb) => pool.query('SELECT 1/0', cb))

      assert.equal((error as pg.DatabaseError).code, '22012')
      assert.equal(result, undefined)
    })

    test('a constraint that is checked at the end fails the statement', async (t) => {
      const pool = kind.open(t)
      await pool.query(
        `CREATE TABLE IF NOT EXISTS at_the_end (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)`,
      )
      await pool.query('TRUNCATE at_the_end')

      await assert.rejects(pool.query('INSERT INTO at_the_end VALUES ($1), ($1)', [1]), {
        code: '23505',
      })

      assert.deepEqual((await pool.query('SELECT * FROM at_the_end')).rows, [])
    })

    test('among many callers each error reaches its own', async (t) => {
      const pool = kind.open(t, { max: 4 })

      const outcomes = await Promise.allSettled(
        Array.from({ length: 200 }, (_, n) =>
          pool.query('SELECT 100 / ($1::int % 5) AS n', [n]).then(({ rows }) => rows[0].n),
        ),
      )

      for (const [n, outcome] of outcomes.entries()) {
        if (n % 5 === 0) {
          assert.equal(outcome.status, 'rejected')
          assert.equal((outcome as PromiseRejectedResult).reason.code, '22012')
        } else
          assert.equal((outcome as PromiseFulfilledResult<number>).value, Math.floor(100 / (n % 5)))
      }
    })

    test('an error of the caller’s SQL costs no connection', {
      skip: kind.mended(3),
    }, async (t) => {
      const pool = kind.open(t, { max: 2 })
      let connects = 0
      pool.on('connect', () => {
        connects++
      })

      for (let n = 0; n < 50; n++) await pool.query('SELECT 1/0').catch(() => {})

      assert.ok(connects <= 2, `${connects} connections for 50 errors`)
    })

    test('in a transaction that failed, everything fails until it is rolled back', async (t) => {
      const pool = kind.open(t, { max: 1 })
      const client = await pool.connect()
      await client.query('BEGIN')

      await assert.rejects(client.query('SELECT 1/0'), { code: '22012' })
      await assert.rejects(client.query('SELECT 1'), { code: '25P02' })
      assert.equal(client.getTransactionStatus(), 'E')
      await client.query('ROLLBACK')

      assert.equal(client.getTransactionStatus(), 'I')
      assert.equal((await client.query('SELECT 1')).rowCount, 1)
      client.release()
    })

    test('the wrong password', async (t) => {
      const url = new URL(postgres.url)
      url.password = 'wrong'
      const pool = kind.open(t, { connectionString: url.href })

      await assert.rejects(pool.query('SELECT 1'), { code: '28P01' })
      await assert.rejects(pool.connect(), { code: '28P01' })

      assert.deepEqual([pool.totalCount, pool.waitingCount], [0, 0])
    })

    test('a database that does not exist', async (t) => {
      const url = new URL(postgres.url)
      url.pathname = '/nowhere'
      const pool = kind.open(t, { connectionString: url.href })

      await assert.rejects(pool.query('SELECT 1'), { code: '3D000' })

      const [error, client, done] = await called<[pg.DatabaseError, unknown, unknown]>((cb) => {
        pool.connect(cb as never)
      })
      assert.equal(error.code, '3D000')
      assert.equal(client, undefined)
      assert.equal(typeof done, 'function')
    })

    test('nobody listens at the port', async (t) => {
      const url = new URL(postgres.url)
      url.port = String(await freePort())
      const pool = kind.open(t, { connectionString: url.href, connectionTimeoutMillis: 1_000 })

      const error = await rejection(pool.query('SELECT 1'))

      assert.ok(mentions(error, 'ECONNREFUSED'), String(error.stack))
      assert.equal(pool.totalCount, 0)
    })

    test('the server ends a session between two uses: the next caller gets another', async (t) => {
      const pool = kind.open(t, { max: 1 })
      const other = kind.open(t)
      const client = await pool.connect()
      const pid = processId(client)
      client.release()

      const [[error, of]] = await Promise.all([
        emitted(pool, 'error'),
        other.query('SELECT pg_terminate_backend($1)', [pid]),
      ])

      assert.equal((error as pg.DatabaseError).code, '57P01')
      assert.ok(isSame(of, client))
      assert.ok(isSame((error as { client?: unknown }).client, client))
      const { rows } = await pool.query('SELECT pg_backend_pid() AS pid')
      assert.notEqual(rows[0].pid, pid)
    })

    test('the server ends the session of a statement: the statement fails', async (t) => {
      const pool = kind.open(t, { max: 1 })
      const other = kind.open(t)
      const client = await pool.connect()
      const errors: Error[] = []
      client.on('error', (error) => errors.push(error))

      const outcome = rejection(client.query('SELECT pg_sleep(60)'))
      await other.query('SELECT pg_terminate_backend($1)', [processId(client)])
      const error = await outcome
      await assert.rejects(client.query('SELECT 1'))
      client.release(error)

      assert.equal(error.code, '57P01')
      assert.equal((await pool.query('SELECT 1')).rowCount, 1)
    })
  },
  [knownPool(postgres)],
)

async function askWrongly(pool: pg.Pool): Promise<unknown> {
  return pool.query('SELECT nowhere')
}

async function rejection(promise: Promise<unknown>): Promise<pg.DatabaseError> {
  return promise.then(
    () => assert.fail('did not fail'),
    (error: unknown) => error as pg.DatabaseError,
  )
}

/** Also one that another error names as its cause. */
function mentions(error: unknown, code: string): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ((at as { code?: unknown }).code === code) return true
    const { errors } = at as { errors?: unknown[] }
    if (errors?.some((one) => mentions(one, code)) === true) return true
  }
  return false
}

function processId(client: pg.PoolClient): number {
  return (client as pg.PoolClient & { readonly processID: number }).processID
}
