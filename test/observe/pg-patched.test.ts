import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { serviceOr } from '#services/missing-service.js'
import { startPostgres } from '#services/postgres.js'
import { fixture, formats, ObservedProcess } from './observed-process.ts'

const postgres = await serviceOr(() => startPostgres())
const url = typeof postgres === 'string' ? '' : postgres.url()
const skip = typeof postgres === 'string' ? postgres : false
after(() => (typeof postgres === 'string' ? undefined : postgres.stop()))

const env = { DATABASE_URL: url }

for (const format of formats) {
  for (const library of ['pg', 'pg-older']) {
    test(`${library}, ${format}: an application that subclasses and patches pg sees what it saw before`, {
      skip,
    }, async (t) => {
      const options = { format, libraries: [library], env } as const
      const plain = await ObservedProcess.start(t, 'patched', { ...options, preload: [] })
      const app = await ObservedProcess.start(t, 'patched', options)

      const expected = JSON.parse((await plain.get('/')).body) as { seen: string[] }
      const observed = JSON.parse((await app.get('/')).body) as unknown

      assert.deepEqual(observed, expected)
      assert.ok(expected.seen.includes('own client') && expected.seen.includes('connect'))
      const { spans } = await app.request('/')
      const queries = spans.filter(({ kind }) => kind === 'query')
      assert.deepEqual(
        queries.map(({ error }) => error),
        [undefined, '22012', undefined, undefined],
      )
      assert.equal((await app.facts()).failures.count, 0)
    })
  }
}

test('two copies of pg in one process, of different versions, are both seen', {
  skip,
}, async (t) => {
  const app = await ObservedProcess.start(t, 'copies', { libraries: ['pg', 'pg-older'], env })

  const { body } = await app.get('/')

  assert.deepEqual(JSON.parse(body), [1, 2])
  const { spans } = await app.request('/')
  assert.equal(spans.filter(({ kind }) => kind === 'query').length, 2)
  assert.equal(spans.filter(({ kind }) => kind === 'connect').length, 2)
  const versions = (await app.facts()).modules.filter(({ name }) => name === 'pg')
  assert.equal(new Set(versions.map(({ version }) => version)).size, 2)
})

for (const what of ['open', 'end']) {
  test(`timing that throws in \`${what}\` does not reach the application`, { skip }, async (t) => {
    const app = await ObservedProcess.start(t, 'patched', {
      libraries: ['pg'],
      env: { ...env, FAULT: what },
      preload: ['hasten/observe', fixture('faulty-spans.mjs')],
    })

    const { status, body } = await app.get('/')

    assert.equal(status, 200)
    assert.deepEqual((JSON.parse(body) as { rows: unknown }).rows, [{ n: 1 }])
    const { failures } = await app.facts()
    assert.ok(failures.count > 0)
    assert.match(failures.first[0] ?? '', /a fault of ours/)
  })
}
