import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { serviceOr } from '#services/missing-service.js'
import { startRedis } from '#services/redis.js'
import { formats, ObservedProcess } from './observed-process.ts'

const redis = await serviceOr(() => startRedis())
const url = typeof redis === 'string' ? '' : redis.url
const skip = typeof redis === 'string' ? redis : false
after(() => (typeof redis === 'string' ? undefined : redis.stop()))

const libraries = ['ioredis', 'ioredis-older', 'redis', 'redis-older']

for (const format of formats) {
  for (const library of libraries) {
    describe(`${library}, ${format}`, { skip }, () => {
      const start = { format, libraries: [library], env: { REDIS_URL: url } } as const

      test('a command is a span with its name, and a read says whether it hit', async (t) => {
        const app = await ObservedProcess.start(t, 'redis', start)

        const { body } = await app.get('/hit')
        await app.get('/miss')

        assert.deepEqual(JSON.parse(body), { got: '{"id":4711}', same: true })
        const [hit] = (await app.request('/hit')).spans
        const [miss] = (await app.request('/miss')).spans
        assert.deepEqual([hit?.kind, hit?.name, hit?.hit], ['cache', 'get', true])
        assert.deepEqual([miss?.kind, miss?.name, miss?.hit], ['cache', 'get', false])
        assert.ok(hit !== undefined && hit.durationMs > 0)
        assert.equal((await app.facts()).failures.count, 0)
      })

      test('a command that fails keeps failing, and its span has an error', async (t) => {
        const app = await ObservedProcess.start(t, 'redis', start)

        const { body } = await app.get('/wrong')

        assert.match(body, /not an integer/)
        const [span] = (await app.request('/wrong')).spans
        assert.equal(span?.name, 'incr')
        assert.equal(typeof span.error, 'string')
      })

      test('of 100 requests at once each has its own command', async (t) => {
        const app = await ObservedProcess.start(t, 'redis', start)

        const answers = await Promise.all(
          Array.from({ length: 100 }, (_, i) => app.get(`/piped?n=${i}`)),
        )

        for (const { body } of answers)
          assert.deepEqual(JSON.parse(body), { got: null, same: true })
        const { requests } = await app.facts(({ routes: [route] }) => route?.requests === 100)
        assert.ok(requests.length > 0)
        for (const { spans } of requests)
          assert.deepEqual(
            spans.map(({ name }) => name),
            ['get'],
          )
      })

      test('the commands of a transaction belong to the request', async (t) => {
        const app = await ObservedProcess.start(t, 'redis', start)

        await app.get('/several')

        const { spans } = await app.request('/several')
        const names = spans.map(({ name }) => name)
        if (library === 'redis') assert.deepEqual(names, ['multi'])
        else assert.deepEqual(names, ['multi', 'get', 'get', 'exec'])
        for (const { durationMs } of spans) assert.ok(durationMs > 0)
      })
    })
  }
}

test('a deep request has the hashes of keys and replies, and no key anywhere', {
  skip,
}, async (t) => {
  const app = await ObservedProcess.start(t, 'redis', {
    libraries: ['ioredis'],
    env: { REDIS_URL: url },
  })
  app.child.send({ deepEvery: 1 })
  await app.message('facts')

  await app.get('/hit')

  const request = await app.request('/hit')
  const [span] = request.spans
  assert.ok(span?.inputs !== undefined && span.inputs.length >= 2)
  assert.ok(span.outputs !== undefined && span.outputs.length === 2)
  assert.doesNotMatch(JSON.stringify(request), /hasten-test|4711/)
})
