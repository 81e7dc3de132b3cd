import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { formats, ObservedProcess } from './observed-process.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'
const traced = { traceparent: `00-${traceId}-b7ad6b7169203331-01` }
const ways = ['fetch', 'undici', 'http'] as const
// undici 6, which Node 20 and 22 hold, does not show the chunks of a body.
const nodeMajor = Number(process.versions.node.split('.')[0])

for (const format of formats) {
  const options = { format, libraries: ['undici'] } as const
  for (const way of ways) {
    describe(`outbound by ${way}, ${format}`, () => {
      test('a call is a span with method, host, folded path and status', async (t) => {
        const app = await ObservedProcess.start(t, 'outbound', options)

        const { body } = await app.get(`/${way}?path=/missing/41?token=secret`)

        assert.equal((JSON.parse(body) as { status: number }).status, 404)
        const { spans } = await app.request(`/${way}`)
        const [span] = spans
        assert.equal(spans.length, 1)
        assert.equal(span?.kind, 'http')
        assert.equal(span.method, 'GET')
        assert.match(String(span.host), /^127\.0\.0\.1:\d+$|^localhost:\d+$/)
        assert.equal(span.name, `GET ${span.host}/missing/:id`)
        assert.equal(span.status, 404)
        assert.equal(span.error, undefined)
        assert.ok(span.durationMs > 0)
      })

      test('the span lasts until the body has come', async (t) => {
        const app = await ObservedProcess.start(t, 'outbound', options)

        await app.get(`/${way}?path=/slow`)

        const [span] = (await app.request(`/${way}`)).spans
        assert.ok(span !== undefined && span.durationMs >= 55, `${span?.durationMs}`)
      })

      test('a call that breaks off has an error', async (t) => {
        const app = await ObservedProcess.start(t, 'outbound', options)

        const { body } = await app.get(`/${way}?path=/cut`)

        assert.ok('error' in (JSON.parse(body) as object), body)
        const [span] = (await app.request(`/${way}`)).spans
        assert.equal(typeof span?.error, 'string')
      })

      test('a trace is handed on where the request came with one, and only there', async (t) => {
        const app = await ObservedProcess.start(t, 'outbound', options)

        const without = await app.get(`/${way}?path=/a`)
        const within = await app.get(`/${way}?path=/a`, { headers: traced })

        const traceOf = ({ body }: { body: string }) => {
          const answer = JSON.parse((JSON.parse(body) as { body: string }).body)
          return (answer as { trace: string | null }).trace
        }
        assert.equal(traceOf(without), null)
        assert.match(String(traceOf(within)), new RegExp(`^00-${traceId}-[0-9a-f]{16}-0[01]$`))
      })
    })
  }

  for (const way of ['fetch', 'pool', 'agent']) {
    test(`of 100 requests at once each has its own call, ${way}, ${format}`, async (t) => {
      const app = await ObservedProcess.start(t, 'outbound', options)

      await Promise.all(
        Array.from({ length: 100 }, (_, i) => app.get(`/${way}?path=/call-${letters(i)}`)),
      )

      const { routes } = await app.facts(({ routes: [r] }) => r?.requests === 100)
      assert.equal(routes.find(({ route }) => route === `/${way}`)?.requests, 100)
      const { requests } = await app.facts()
      const kept = requests.filter(({ route }) => route === `/${way}`)
      assert.ok(kept.length > 0)
      for (const { spans } of kept) {
        assert.equal(spans.filter(({ kind }) => kind === 'http').length, 1)
      }
    })
  }
}

test('a connection that is refused has its code', async (t) => {
  const app = await ObservedProcess.start(t, 'outbound', { libraries: ['undici'] })

  await app.get('/refused')

  const [span] = (await app.request('/refused')).spans
  assert.equal(span?.error, 'ECONNREFUSED')
})

test('a deep request tells by hashes that the second call needs what the first gave', async (t) => {
  const app = await ObservedProcess.start(t, 'outbound', { libraries: ['undici'] })
  app.child.send({ deepEvery: 1 })
  await app.message('facts')

  // By a pool of the package: what it does without one may go through the copy inside of Node.
  await app.get('/pool?path=/accounts')
  await app.get('/fetch?path=/accounts/7781')

  const first = (await app.request('/pool')).spans[0]
  const second = await app.request('/fetch')
  const needed = second.spans[0]?.inputs ?? []
  assert.equal(needed.length, 2)
  assert.ok(first?.outputs?.includes(needed[1] as number), JSON.stringify(first))
  assert.ok(second.inputs !== undefined && second.inputs.length > 0)
  if (nodeMajor >= 24) assert.ok(second.spans[0]?.outputs?.includes(needed[1] as number))
})

test('with HASTEN_PROPAGATE=0 no trace is handed on', async (t) => {
  const env = { HASTEN_PROPAGATE: '0' }
  const app = await ObservedProcess.start(t, 'outbound', { libraries: ['undici'], env })

  const { body } = await app.get('/fetch?path=/a', { headers: traced })

  assert.match(body, /trace\\":null/)
})

function letters(i: number): string {
  return String.fromCharCode(97 + (i % 26)) + String.fromCharCode(97 + Math.floor(i / 26))
}

test('the host is the one that is called, whatever the header says', async (t) => {
  const app = await ObservedProcess.start(t, 'outbound')

  await app.get('/forwarded?path=/a')

  const [span] = (await app.request('/forwarded')).spans
  assert.equal(span?.host, 'localhost')
  assert.equal(span.name, 'GET localhost/a')
})

test('httpPool: each call is a span of its own request, and so is the wait for a connection', async (t) => {
  const app = await ObservedProcess.start(t, 'outbound', { libraries: ['undici'] })

  await Promise.all([1, 2, 3].map(() => app.get('/pooled?path=/slow')))

  const isMine = ({ route }: { route: string }): boolean => route === '/pooled'
  const facts = await app.facts(({ requests: all }) => all.filter(isMine).length === 3)
  const requests = facts.requests.filter(isMine)
  const waits = requests.flatMap(({ spans }) => spans.filter(({ kind }) => kind === 'pool-wait'))
  assert.deepEqual(
    requests.map(({ spans }) => spans.filter(({ kind }) => kind === 'http').length),
    [1, 1, 1],
  )
  assert.equal(waits.length, 2)
  for (const { name, durationMs } of waits) {
    assert.match(String(name), /^connection to 127\.0\.0\.1:\d+$/)
    assert.ok(durationMs > 30, `${durationMs}`)
  }
})
