import assert from 'node:assert/strict'
import { after, before, describe, test, type TestContext } from 'node:test'
import pg from 'pg'
import type { RequestFacts, SpanFacts } from '#src/core/facts.js'
import { serviceOr } from '#services/missing-service.js'
import { startPostgres } from '#services/postgres.js'
import { formats, ObservedProcess } from './observed-process.ts'

const postgres = await serviceOr(() => startPostgres())
const url = typeof postgres === 'string' ? '' : postgres.url()
const skip = typeof postgres === 'string' ? postgres : false

before(async () => {
  if (typeof postgres === 'string') return
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(
    `CREATE TABLE words (word text PRIMARY KEY); INSERT INTO words VALUES ('there')`,
  )
  await client.end()
})
after(() => (typeof postgres === 'string' ? undefined : postgres.stop()))

for (const format of formats) {
  for (const library of ['pg', 'pg-older']) {
    describe(`${library}, ${format}`, { skip }, () => {
      const start = (t: TestContext) =>
        ObservedProcess.start(t, 'pg', { format, libraries: [library], env: { DATABASE_URL: url } })

      test('each way of asking is one query span, and callbacks run for their request', async (t) => {
        const app = await start(t)

        for (const [path, rows, names] of [
          ['/text', [{ one: 1 }], ['SELECT']],
          ['/values', [{ n: 1, t: 'a' }], ['SELECT']],
          ['/config', [[1]], ['SELECT']],
          ['/named', [{ n: 2 }], ['SELECT', 'SELECT']],
          ['/pool-callback', [{ n: 1 }], ['SELECT']],
          ['/text-callback', [{ one: 1 }], ['SELECT']],
          ['/connect-callback', [{ one: 1 }], ['SELECT']],
          ['/object', series(3), ['SELECT generate_series']],
          ['/cursor', series(50), ['SELECT generate_series']],
          ['/cursor-closed', series(20), ['SELECT generate_series']],
          ['/stream', series(250), ['SELECT generate_series']],
          ['/several', [{ one: 1 }, ...series(4)], ['SELECT']],
        ] as const) {
          const { body } = await app.get(path)

          assert.deepEqual(parsed(body), { got: rows, same: true }, path)
          const queries = queriesOf(await app.request(path))
          assert.deepEqual(
            queries.map(({ name }) => name),
            names,
            path,
          )
          const query = queries.at(-1)
          assert.equal(query?.rows, rows.length, path)
          assert.ok(query.durationMs > 0 && (query.bytes ?? 0) > 0, path)
          assert.match(query.statement ?? '', /^[0-9a-f]{16}$/)
          assert.equal(query.transaction, undefined, path)
        }
        assert.deepEqual((await app.facts()).failures, { count: 0, first: [] })
      })

      test('statements know their transaction, and the one after it has none', async (t) => {
        const app = await start(t)

        await app.get('/transaction')
        await app.get('/two-transactions')
        await app.get('/refused-commit')

        assert.deepEqual(transactionsOf(await app.request('/transaction')), [1, 1, 1, 1, 0])
        const two = transactionsOf(await app.request('/two-transactions'))
        assert.deepEqual(two, [1, 1, 1, 1, 1, 2, 2, 2, 2, 2])
        assert.deepEqual(transactionsOf(await app.request('/refused-commit')), [1, 1, 1, 0])
      })

      test('errors carry their SQLSTATE, and what never left is no query', async (t) => {
        const app = await start(t)

        assert.deepEqual(parsed((await app.get('/violation')).body).got, ['23505'])
        assert.deepEqual(parsed((await app.get('/syntax')).body).got, ['42601'])
        assert.deepEqual(parsed((await app.get('/unsendable')).body).got, ['cannot be sent'])
        assert.deepEqual(parsed((await app.get('/not-a-query')).body).got, ['TypeError'])

        const [violation] = queriesOf(await app.request('/violation'))
        assert.deepEqual([violation?.name, violation?.error], ['INSERT words', '23505'])
        assert.equal(queriesOf(await app.request('/syntax'))[0]?.error, '42601')
        assert.deepEqual(queriesOf(await app.request('/unsendable')), [])
        assert.deepEqual(queriesOf(await app.request('/not-a-query')), [])
        assert.equal((await app.facts()).failures.count, 0)
      })

      test('waiting for a client, connecting and running are separate', async (t) => {
        const app = await start(t)

        await app.get('/wait')
        await Promise.all(Array.from({ length: 4 }, () => app.get('/wait')))
        await app.get('/queued')
        await app.get('/connect')

        const { requests } = await app.facts(({ routes }) =>
          routes.some(({ route, requests: count }) => route === '/wait' && count === 5),
        )
        const waits = requests.filter(({ route }) => route === '/wait')
        const [opening] = waits.filter(({ spans }) => spans.some(({ kind }) => kind === 'connect'))
        assert.deepEqual(
          opening?.spans.map(({ kind }) => kind),
          ['connect', 'query'],
        )
        const waited = waits.flatMap(({ spans }) => spans.filter((s) => s.kind === 'pool-wait'))
        assert.ok(waited.length >= 3, `${waited.length} waited`)
        for (const { durationMs, name } of waited) {
          assert.equal(name, 'pg.Pool')
          assert.ok(durationMs > 0, `${durationMs} ms`)
        }
        for (const { spans } of waits) {
          const query = spans.at(-1)
          assert.equal(query?.kind, 'query', JSON.stringify(spans))
          for (const { startMs, durationMs } of spans.slice(0, -1)) {
            assert.ok(query.startMs >= startMs + durationMs - 0.001, JSON.stringify(spans))
          }
        }
        const queued = (await app.request('/queued')).spans
        const wait = queued.find(({ kind }) => kind === 'pool-wait')
        assert.ok(wait !== undefined && wait.durationMs >= 40, `${wait?.durationMs} ms`)
        assert.equal(wait.name, 'pg.Client')
        const kinds = (await app.request('/connect')).spans.map(({ kind }) => kind)
        assert.deepEqual(kinds, ['connect', 'query'])
      })

      test('a lent client is a checkout from lending to release', async (t) => {
        const app = await start(t)

        await app.get('/transaction')
        await app.get('/text')

        const { spans } = await app.request('/transaction')
        const checkout = spans.find(({ name }) => name === 'pg.checkout')
        const queries = spans.filter(({ kind }) => kind === 'query')
        assert.equal(checkout?.kind, 'custom')
        assert.equal(checkout.connection, queries[0]?.connection)
        const held = queries.reduce((sum, { durationMs }) => sum + durationMs, 0)
        assert.ok(checkout.durationMs >= held, `${checkout.durationMs} < ${held}`)
        const plain = (await app.request('/text')).spans.map(({ kind }) => kind)
        assert.ok(!plain.includes('custom'), String(plain))
      })

      test('giving up on a pool ends the wait with an error', async (t) => {
        const app = await start(t)

        const { body } = await app.get('/impatient')

        assert.match(String(parsed(body).got[0]), /timeout/)
        const { spans } = await app.request('/impatient')
        const wait = spans.find(({ kind }) => kind === 'pool-wait')
        assert.equal(wait?.error, 'Error')
      })

      test('a lost connection and a server that is away', async (t) => {
        const app = await start(t)

        const lost = parsed((await app.get('/lost')).body)
        const away = parsed((await app.get('/away')).body)

        assert.deepEqual(lost, { got: [true], same: true })
        assert.equal(typeof queriesOf(await app.request('/lost'))[0]?.error, 'string')
        assert.deepEqual(away, { got: ['ECONNREFUSED'], same: true })
        const [connect] = (await app.request('/away')).spans
        assert.deepEqual([connect?.kind, connect?.error], ['connect', 'ECONNREFUSED'])
      })

      test('what runs after the response is charged to nobody', async (t) => {
        const app = await start(t)

        await app.get('/after')
        await app.get('/text')

        const { routes } = await app.facts(({ routes: all }) => all.length === 2)
        const of = (route: string) => routes.find((each) => each.route === route)?.queries
        assert.deepEqual([of('/after'), of('/text')], [0, 1])
      })

      test('values pasted into the text are one shape', async (t) => {
        const app = await start(t)

        for (const word of ['there', 'not there', 'x']) {
          await app.get(`/words?word=${encodeURIComponent(word)}`)
        }

        const { routes } = await app.facts(({ routes: [words] }) => words?.requests === 3)
        const [words] = routes
        assert.equal(words?.statements.length, 1)
        assert.deepEqual([words.statements[0]?.calls, words.statements[0]?.rows], [3, 1])
      })

      test('deep requests hash what goes in and what comes out', async (t) => {
        const app = await start(t)
        app.child.send({ deepEvery: 1 })
        await app.message('facts')

        await app.get('/words?word=there')
        await app.get('/values')
        await app.get('/cursor')

        const [words] = queriesOf(await app.request('/words'))
        assert.equal(words?.inputs?.length, 1)
        assert.deepEqual(words.outputs, words.inputs)
        const [values] = queriesOf(await app.request('/values'))
        assert.deepEqual(values?.inputs, values?.outputs)
        assert.equal(values?.inputs?.length, 2)
        assert.equal(queriesOf(await app.request('/cursor'))[0]?.outputs?.length, 20)
      })

      if (library === 'pg') {
        test('pipelined statements are spans of their own, in their transactions', async (t) => {
          const app = await start(t)

          const { body } = await app.get('/piped')
          await app.get('/piped-transaction')

          assert.deepEqual(parsed(body), { got: [{ n: 1 }, { t: 'a' }, { n: 2 }], same: true })
          const queries = queriesOf(await app.request('/piped'))
          assert.deepEqual(
            queries.map(({ rows }) => rows),
            [1, 1, 1],
          )
          const piped = transactionsOf(await app.request('/piped-transaction'))
          assert.deepEqual(piped, [1, 1, 1, 0])
        })
      }
    })
  }
}

function series(length: number): { n: number }[] {
  return Array.from({ length }, (_, i) => ({ n: i + 1 }))
}

function parsed(body: string): { got: unknown[]; same: boolean } {
  try {
    return JSON.parse(body) as { got: unknown[]; same: boolean }
  } catch {
    return assert.fail(body)
  }
}

function queriesOf({ spans }: RequestFacts): SpanFacts[] {
  return spans.filter(({ kind }) => kind === 'query')
}

/** 0 for none; else the how manyth of the request. */
function transactionsOf(request: RequestFacts): number[] {
  const seen: string[] = []
  return queriesOf(request).map(({ connection, transaction }) => {
    if (transaction === undefined) return 0
    const key = `${connection}.${transaction}`
    if (!seen.includes(key)) seen.push(key)
    return seen.indexOf(key) + 1
  })
}
