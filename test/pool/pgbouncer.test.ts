/**
 * The pool behind a real PgBouncer, old and new, by session and by transaction, found out by itself:
 * what an application does, under load and with faults. Whoever asks gets his own answer.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Pool, type PoolOptions } from 'hasten/pool'
import pg from 'pg'
import { FaultProxy } from '#services/fault-proxy.js'
import { type PgBouncer, type PgBouncerVersion, startPgBouncer } from '#services/pgbouncer.js'
import { startPostgres } from '#services/postgres.js'
import { service } from '../service.ts'
import { until } from './until.ts'

const postgres = await service(() => startPostgres({ settings: { max_connections: '100' } }))
const { skip } = postgres

interface Setting {
  readonly version: PgBouncerVersion
  readonly mode: 'session' | 'transaction'
  readonly told: PoolOptions['pgbouncer']
  /** Who may not ask PgBouncer, so that its mode is not known. */
  readonly isPlain?: boolean
}

const users = { plain: 'plain-secret' }
if (skip === false) {
  await postgresRun(`CREATE USER plain PASSWORD '${users.plain}'`)
}

const settings: readonly Setting[] = [
  { version: '1.18', mode: 'transaction', told: 'auto' },
  { version: '1.18', mode: 'transaction', told: 'auto', isPlain: true },
  { version: '1.18', mode: 'session', told: 'auto' },
  { version: '1.18', mode: 'session', told: 'auto', isPlain: true },
  { version: '1.18', mode: 'session', told: 'session' },
  { version: '1.24', mode: 'transaction', told: 'auto' },
  { version: '1.24', mode: 'transaction', told: 'transaction' },
  { version: '1.24', mode: 'session', told: 'auto' },
]

for (const { version, mode, told, isPlain = false } of settings) {
  const who = isPlain ? ', for a user who may not ask it' : ''
  describe(`behind PgBouncer ${version} by ${mode}, pgbouncer: ${told}${who}`, { skip }, () => {
    let bouncer: PgBouncer
    let pool: Pool

    before(async () => {
      bouncer = await startPgBouncer({
        server: postgres.it,
        version,
        mode,
        users,
        settings: { default_pool_size: '6', server_login_retry: '1' },
      })
      await postgresRun(
        'DROP TABLE IF EXISTS item; CREATE TABLE item (id int PRIMARY KEY, note text); GRANT ALL ON item TO PUBLIC',
      )
      pool = usePool({
        connectionString: isPlain ? asPlain(bouncer.url()) : bouncer.url(),
        max: 6,
        pgbouncer: told,
      })
    })
    after(async () => {
      await pool?.end()
      await bouncer?.stop()
    })

    test('rows are made, read, changed and removed', async () => {
      const made = await pool.query('INSERT INTO item VALUES ($1, $2), (2, $2) RETURNING id', [
        1,
        'ä',
      ])
      const changed = await pool.query('UPDATE item SET note = $1 WHERE id = $2', ['b', 2])
      const read = await pool.query({ text: 'SELECT * FROM item ORDER BY id', rowMode: 'array' })
      const removed = await pool.query('DELETE FROM item')

      assert.deepEqual(made.rows, [{ id: 1 }, { id: 2 }])
      assert.equal(changed.rowCount, 1)
      assert.deepEqual(read.rows, [
        [1, 'ä'],
        [2, 'b'],
      ])
      assert.equal(removed.rowCount, 2)
    })

    test('500 statements at once, with texts up to 10 kB, each get their own answer', async () => {
      for (let round = 0; round < 4; round++) {
        const texts = Array.from(
          { length: 500 },
          (_, n) => `${n} ${'x'.repeat((n * 7_919) % 10_000)}`,
        )

        const answers = await Promise.all(
          texts.map((text, n) =>
            n % 2 === 0
              ? pool.query('SELECT $1::text AS text', [text])
              : pool.query('SELECT $1 || $2 AS text, length($1) AS length', [text, '']),
          ),
        )

        answers.forEach(({ rows: [row] }, n) => {
          assert.equal(row.text, texts[n])
        })
      }
    })

    test('an error is its own caller’s, and costs no connection', async () => {
      await pool.query('INSERT INTO item VALUES (10, NULL)')
      const results = await Promise.allSettled(
        Array.from({ length: 100 }, (_, n) =>
          n % 5 === 0
            ? pool.query('INSERT INTO item VALUES ($1, NULL)', [10])
            : n % 5 === 1
              ? pool.query('SELECT $1::int / 0 AS n', [n])
              : pool.query('SELECT $1::int AS n', [n]),
        ),
      )

      results.forEach((result, n) => {
        if (n % 5 === 0) assert.equal(codeOf(result), '23505')
        else if (n % 5 === 1) assert.equal(codeOf(result), '22012')
        else assert.equal(result.status === 'fulfilled' && result.value.rows[0].n, n)
      })
      await pool.query('DELETE FROM item')
      assert.ok(pool.totalCount <= 6)
    })

    test('transactions keep to themselves, and an abandoned one is rolled back', async () => {
      await Promise.all(
        Array.from({ length: 30 }, async (_, n) => {
          const client = await pool.connect()
          try {
            await client.query('BEGIN')
            await client.query('INSERT INTO item VALUES ($1, $2)', [100 + n, 'x'.repeat(5_000)])
            const { rows } = await client.query('SELECT count(*)::int AS mine FROM item')
            assert.ok(rows[0].mine >= 1)
            if (n % 3 === 0) await client.query('ROLLBACK')
            else if (n % 3 === 1) await client.query('COMMIT')
          } finally {
            // Every third forgets how it ends.
            client.release()
          }
        }),
      )

      const { rows } = await pool.query('DELETE FROM item RETURNING id')
      assert.deepEqual(
        rows.map(({ id }) => id).sort((a, b) => a - b),
        Array.from({ length: 10 }, (_, n) => 101 + 3 * n),
      )
    })

    test('statements that callers name are found again, whatever server they come to', async () => {
      await Promise.all(
        Array.from({ length: 40 }, async (_, n) => {
          const named = { name: 'of-callers', text: 'SELECT $1::int AS n', values: [n] }
          const { rows } = await pool.query(named)
          const client = await pool.connect()
          try {
            const one = await client.query(named)
            const two = await client.query(named)
            assert.deepEqual([rows, one.rows, two.rows], [[{ n }], [{ n }], [{ n }]])
          } finally {
            client.release()
          }
        }),
      )
    })

    test('a deadline cancels on the server, and hits nobody else', async () => {
      const others = Promise.all(
        Array.from({ length: 50 }, (_, n) => pool.query('SELECT $1::int AS n', [n])),
      )
      const slow = pool.query({ text: 'SELECT pg_sleep(60) /* cancel me */', timeoutMs: 150 })

      await assert.rejects(slow, { code: 'STATEMENT_TIMEOUT' })
      const answers = await others
      assert.deepEqual(
        answers.map(({ rows: [row] }) => row.n),
        Array.from({ length: 50 }, (_, n) => n),
      )
      await until('the statement is cancelled on the server', async () => (await sleeping()) === 0)
      const after = await Promise.all(
        Array.from({ length: 20 }, (_, n) => pool.query('SELECT $1::int AS n', [n])),
      )
      assert.equal(after.length, 20)
    })

    test('PgBouncer restarted under load: nothing hangs, no write is doubled or lost unsaid', async () => {
      const results: Promise<PromiseSettledResult<unknown>>[] = []
      let id = 1_000
      const ask = (): void => {
        const own = id++
        results.push(settled(pool.query('INSERT INTO item VALUES ($1, $2)', [own, 'once'])))
        results.push(settled(pool.query('SELECT $1::int AS n', [own])))
      }
      for (let n = 0; n < 100; n++) ask()
      const restarted = bouncer.restart()
      for (let n = 0; n < 100; n++) {
        ask()
        await sleep(2)
      }
      await restarted

      const all = await Promise.all(results)
      const there = new Set((await postgresRun('SELECT id FROM item')).map(({ id: own }) => own))
      all.forEach((result, at) => {
        if (at % 2 === 1) {
          assert.equal(result.status, 'fulfilled', `a read is repeated: ${reasonOf(result)}`)
          return
        }
        const own = 1_000 + at / 2
        if (result.status === 'fulfilled') assert.ok(there.has(own), `${own} was told as done`)
        else if (codeOf(result) !== 'STATEMENT_UNCERTAIN') {
          assert.ok(!there.has(own), `${own} was told as not done (${codeOf(result)})`)
        }
      })
      await pool.query('DELETE FROM item')
      assert.deepEqual((await pool.query('SELECT 1 AS one')).rows, [{ one: 1 }])
    })

    for (const way of isPlain || told === 'transaction' ? [] : (['fast', 'immediate'] as const)) {
      test(`the server behind it restarted (${way}) under load: as before`, async () => {
        await postgresRun(
          'DROP TABLE IF EXISTS heap; CREATE TABLE heap (id int); GRANT ALL ON heap TO PUBLIC',
        )
        const results: Promise<PromiseSettledResult<unknown>>[] = []
        const ask = (count: number): void => {
          for (let n = 0; n < count; n++) {
            results.push(settled(pool.query('INSERT INTO heap VALUES ($1)', [results.length])))
          }
        }
        ask(200)
        await Promise.all(results)
        ask(400)
        const restarted = postgres.it.restart(way)
        for (let n = 0; n < 100; n++) {
          ask(4)
          await sleep(2)
        }
        await restarted

        const all = await Promise.all(results)
        const times = new Map(
          (await postgresRun('SELECT id, count(*)::int AS n FROM heap GROUP BY id')).map((row) => [
            row['id'],
            Number(row['n']),
          ]),
        )
        all.forEach((result, id) => {
          const written = times.get(id) ?? 0
          assert.ok(written <= 1, `${id} was written ${written} times`)
          if (result.status === 'fulfilled') assert.equal(written, 1, `${id} was told as done`)
          else if (codeOf(result) !== 'STATEMENT_UNCERTAIN') {
            assert.equal(written, 0, `${id} was told as not done (${codeOf(result)})`)
          }
        })
        assert.deepEqual((await pool.query('SELECT 1 AS one')).rows, [{ one: 1 }])
      })
    }
  })
}

test('a wrong password is told at once, and not tried for ever', { skip }, async () => {
  for (const version of ['1.18', '1.24'] as const) {
    await using bouncer = await startPgBouncer({ server: postgres.it, version })
    const url = bouncer.url().replace(postgres.it.password, 'wrong')
    const pool = usePool({ connectionString: url, max: 2 })

    await assert.rejects(pool.query('SELECT 1'), /SASL authentication failed/)
    await pool.end()
  }
})

test('a start-up parameter that PgBouncer refuses is told with its name', { skip }, async () => {
  await using bouncer = await startPgBouncer({ server: postgres.it })
  const pool = usePool({ connectionString: bouncer.url(), statement_timeout: 1_000 })

  await assert.rejects(pool.query('SELECT 1'), /unsupported startup parameter: statement_timeout/)
  await pool.end()
})

test('a pipeline that the user asks for is not given where it is not borne', { skip }, async () => {
  await using bouncer = await startPgBouncer({
    server: postgres.it,
    settings: { default_pool_size: '3' },
  })
  const pool = usePool({ connectionString: bouncer.url(), max: 3, pipeline: true } as PoolOptions)

  await Promise.all(
    Array.from({ length: 3 }, async (_, caller) => {
      const client = await pool.connect()
      const texts = Array.from({ length: 100 }, (_, n) => `${caller} ${n} ${'x'.repeat(n * 97)}`)
      const answers = await Promise.all(
        texts.map((text) => client.query('SELECT $1::text AS text', [text])),
      )
      client.release()
      assert.deepEqual(
        answers.map(({ rows: [row] }) => row.text),
        texts,
      )
    }),
  )
  await pool.end()
})

test('a PgBouncer that goes silent holds nobody beyond his deadline', { skip }, async () => {
  await using bouncer = await startPgBouncer({ server: postgres.it })
  await using proxy = await FaultProxy.start(bouncer)
  const pool = usePool({ connectionString: proxy.url(bouncer.url()), max: 2 })
  await pool.query('SELECT 1')
  proxy.stall()

  await assert.rejects(pool.query({ text: 'SELECT 2', timeoutMs: 200 }), {
    code: 'STATEMENT_TIMEOUT',
  })

  await proxy.heal()
  assert.deepEqual((await pool.query('SELECT 3 AS three')).rows, [{ three: 3 }])
  await pool.end()
})

test('more callers than PgBouncer has servers wait in order, and all are served', {
  skip,
}, async () => {
  await using bouncer = await startPgBouncer({
    server: postgres.it,
    version: '1.24',
    settings: { default_pool_size: '2' },
  })
  const pool = usePool({ connectionString: bouncer.url(), max: 20 })

  const answers = await Promise.all(
    Array.from({ length: 400 }, (_, n) => pool.query('SELECT $1::int AS n', [n])),
  )

  assert.deepEqual(
    answers.map(({ rows: [row] }) => row.n),
    Array.from({ length: 400 }, (_, n) => n),
  )
  await pool.end()
})

test('a write for which PgBouncer had no server in time is run once it has one', {
  skip,
}, async () => {
  for (const version of ['1.18', '1.24'] as const) {
    await using bouncer = await startPgBouncer({
      server: postgres.it,
      version,
      settings: { default_pool_size: '1', query_wait_timeout: '1' },
    })
    await postgresRun('DROP TABLE IF EXISTS waited; CREATE TABLE waited (id int)')
    const pool = usePool({ connectionString: bouncer.url(), max: 2 })
    await pool.query('SELECT 1')
    const holder = new pg.Client({ connectionString: bouncer.url() })
    await holder.connect()
    await holder.query('BEGIN')
    const write = pool.query('INSERT INTO waited VALUES (1)')
    await until('the write is asked again', () => pool.stats().counts.repeated > 0)

    await holder.query('COMMIT')
    await holder.end()
    await write

    assert.deepEqual(await postgresRun('SELECT id FROM waited'), [{ id: 1 }])
    await pool.end()
  }
})

test('by session and unknown as such, what a borrower left is put back', { skip }, async () => {
  await using bouncer = await startPgBouncer({ server: postgres.it, mode: 'session', users })
  const pool = usePool({ connectionString: asPlain(bouncer.url()), max: 1 })

  const client = await pool.connect()
  await client.query("SET statement_timeout = '7s'; CREATE TEMP TABLE left_over (id int); BEGIN")
  client.release()
  const { rows } = await pool.query(
    "SELECT current_setting('statement_timeout') AS timeout, to_regclass('left_over') AS left",
  )

  assert.equal(pool.stats().pooler?.mode, 'unknown')
  assert.deepEqual(rows, [{ timeout: '0', left: null }])
  await pool.end()
})

test('a PgBouncer that lets no more clients in is lived with', { skip }, async () => {
  for (const version of ['1.18', '1.24'] as const) {
    await using bouncer = await startPgBouncer({
      server: postgres.it,
      version,
      settings: { max_client_conn: '3' },
    })
    const pool = usePool({ connectionString: bouncer.url(), max: 10 })

    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, n) => pool.query('SELECT $1::int AS n', [n])),
    )

    assert.deepEqual(
      answers.map(({ rows: [row] }) => row.n),
      Array.from({ length: 200 }, (_, n) => n),
    )
    assert.ok(pool.stats().connections.length <= 3)
    await pool.end()
  }
})

test('more texts than a pooler keeps are asked, and none is closed under way', {
  skip,
}, async () => {
  await using bouncer = await startPgBouncer({
    server: postgres.it,
    version: '1.24',
    settings: { default_pool_size: '3', max_prepared_statements: '5' },
  })
  const pool = usePool({ connectionString: bouncer.url(), max: 4, maxPrepared: 8 })

  for (let round = 0; round < 4; round++) {
    const answers = await Promise.all(
      Array.from({ length: 120 }, (_, n) =>
        pool.query(`SELECT $1::int AS "column_${n % 30}"`, [n]),
      ),
    )
    answers.forEach(({ rows: [row] }, n) => {
      assert.equal(row[`column_${n % 30}`], n)
    })
  }
  assert.ok(pool.stats().connections.every(({ prepared }) => prepared <= 8))
  await pool.end()
})

function usePool(options: PoolOptions): Pool {
  const pool = new Pool(options)
  pool.on('error', () => {})
  return pool
}

function asPlain(url: string): string {
  const own = new URL(url)
  own.username = 'plain'
  own.password = users.plain
  return own.href
}

async function postgresRun(text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: postgres.it.url() })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(text)).rows
  } finally {
    await client.end()
  }
}

async function sleeping(): Promise<number> {
  const [row] = await postgresRun(
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%cancel me%' AND pid <> pg_backend_pid()",
  )
  return Number(row?.['n'])
}

function settled(work: Promise<unknown>): Promise<PromiseSettledResult<unknown>> {
  return work.then(
    (value) => ({ status: 'fulfilled', value }),
    (reason: unknown) => ({ status: 'rejected', reason }),
  )
}

function codeOf(result: PromiseSettledResult<unknown>): unknown {
  return result.status === 'rejected' ? (result.reason as { code?: unknown }).code : undefined
}

function reasonOf(result: PromiseSettledResult<unknown>): unknown {
  return result.status === 'rejected' ? result.reason : undefined
}
