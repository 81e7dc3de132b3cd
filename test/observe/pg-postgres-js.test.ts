import assert from 'node:assert/strict'
import { after, describe, test, type TestContext } from 'node:test'
import type { RequestFacts, SpanFacts } from '#src/core/facts.js'
import { serviceOr } from '#services/missing-service.js'
import { startPostgres } from '#services/postgres.js'
import { formats, ObservedProcess } from './observed-process.ts'

const postgres = await serviceOr(() => startPostgres())
const url = typeof postgres === 'string' ? '' : postgres.url()
const skip = typeof postgres === 'string' ? postgres : false
after(() => (typeof postgres === 'string' ? undefined : postgres.stop()))

for (const format of formats) {
  describe(`postgres, ${format}`, { skip }, () => {
    const start = (t: TestContext) =>
      ObservedProcess.start(t, 'postgres', {
        format,
        libraries: ['postgres'],
        env: { DATABASE_URL: url },
      })

    test('each way of asking is one query span, and callbacks run for their request', async (t) => {
      const app = await start(t)

      for (const [path, got, name] of [
        ['/tagged', [{ n: 1, t: 'a' }], 'SELECT'],
        ['/unsafe', [{ one: 1 }], 'SELECT'],
        ['/callback', [{ one: 1 }], 'SELECT'],
        ['/values', [[1]], 'SELECT'],
        ['/several', [{ n: 1 }, { n: 2 }], 'SELECT'],
        ['/fragment', [{ one: 1 }], 'SELECT'],
        ['/for-each', [{ n: 1 }, { n: 2 }, { n: 3 }], 'SELECT generate_series'],
        ['/cursor', [1, 2, 3, 4, 5].map((n) => ({ n })), 'SELECT generate_series'],
        ['/cursor-callback', [1, 2, 3, 4, 5].map((n) => ({ n })), 'SELECT generate_series'],
      ] as const) {
        const { body } = await app.get(path)

        assert.deepEqual(JSON.parse(body), { got, same: true }, path)
        const [query, ...others] = queriesOf(await app.request(path))
        assert.deepEqual(others, [], path)
        assert.deepEqual(
          [query?.name, query?.rows, query?.error],
          [name, got.length, undefined],
          path,
        )
        assert.ok(query !== undefined && query.durationMs > 0, path)
      }
      assert.deepEqual((await app.facts()).failures, { count: 0, first: [] })
    })

    test('a query that nobody asks for is none, and the function is the same as before', async (t) => {
      const app = await start(t)

      const { body } = await app.get('/lazy')

      assert.deepEqual(JSON.parse(body), { got: ['number', 'function', 'object'], same: true })
      assert.deepEqual((await app.request('/lazy')).spans, [])
    })

    test('statements know their transaction', async (t) => {
      const app = await start(t)

      await app.get('/transaction')

      const queries = queriesOf(await app.request('/transaction'))
      assert.deepEqual(
        queries.map(({ name }) => name),
        ['BEGIN', 'SELECT', 'SELECT', 'COMMIT'],
      )
      assert.equal(new Set(queries.map(({ transaction }) => transaction)).size, 1)
      assert.equal(typeof queries[0]?.transaction, 'number')
    })

    test('connecting, waiting and running are separate', async (t) => {
      const app = await start(t)

      await app.get('/wait')
      await Promise.all([app.get('/wait'), app.get('/wait'), app.get('/wait')])

      const { requests } = await app.facts(({ routes: [route] }) => route?.requests === 4)
      const kinds = requests.map(({ spans }) => spans.map(({ kind }) => kind)).map((all) => all[0])
      assert.ok(kinds.includes('connect'), String(kinds))
      assert.ok(kinds.filter((kind) => kind === 'pool-wait').length >= 2, String(kinds))
    })

    test('errors carry their code', async (t) => {
      const app = await start(t)

      assert.deepEqual(JSON.parse((await app.get('/error')).body), { got: ['22012'], same: true })
      assert.deepEqual(JSON.parse((await app.get('/away')).body).got, ['ECONNREFUSED'])
      assert.equal(queriesOf(await app.request('/error'))[0]?.error, '22012')
      assert.deepEqual(queriesOf(await app.request('/away')), [])
    })

    test('deep requests hash what goes in and what comes out', async (t) => {
      const app = await start(t)
      app.child.send({ deepEvery: 1 })
      await app.message('facts')

      await app.get('/tagged')

      const [query] = queriesOf(await app.request('/tagged'))
      assert.equal(query?.inputs?.length, 2)
      assert.deepEqual(query.outputs, query.inputs)
    })
  })
}

/** Without what it asks by itself when it connects. */
function queriesOf({ spans }: RequestFacts): SpanFacts[] {
  return spans.filter(({ kind, name }) => kind === 'query' && name !== 'SELECT pg_type')
}
