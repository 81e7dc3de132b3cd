import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { serviceOr } from '#services/missing-service.js'
import { startPostgres } from '#services/postgres.js'
import { formats } from './observed-process.ts'
import { accounting, attribution } from './pg-exactness.ts'

const postgres = await serviceOr(() =>
  startPostgres({ settings: { shared_preload_libraries: 'pg_stat_statements' } }),
)
const url = typeof postgres === 'string' ? '' : postgres.url()
const skip = typeof postgres === 'string' ? postgres : false
after(() => (typeof postgres === 'string' ? undefined : postgres.stop()))

for (const format of formats) {
  for (const library of ['pg', 'pg-older']) {
    test(`${library}, ${format}: of 1,000 statements of 200 requests on 4 connections none is misattributed`, {
      skip,
    }, async () => {
      assert.deepEqual(await attribution({ url, format, library }), {
        requests: 200,
        statements: 1_000,
        wrong: 0,
        missing: 0,
        elsewhere: 0,
      })
    })
  }
}

test('hasten/pool: of 1,000 statements of 200 requests on shared connections none is misattributed', {
  skip,
}, async () => {
  assert.deepEqual(await attribution({ url, library: './hasten-pg.mjs' }), {
    requests: 200,
    statements: 1_000,
    wrong: 0,
    missing: 0,
    elsewhere: 0,
  })
})

for (const between of ['listener', 'patch']) {
  test(`what a ${between} of the application asks between pool and client is not misattributed`, {
    skip,
  }, async () => {
    const options = { url, app: 'between', env: { BETWEEN: between } }

    assert.deepEqual(await attribution(options), {
      requests: 200,
      statements: 1_000,
      wrong: 0,
      missing: 0,
      elsewhere: 0,
    })
  })
}

for (const library of ['pg', 'pg-older']) {
  test(`${library}: every statement that the server counted is accounted for`, {
    skip,
  }, async () => {
    const { server, observed, rows, differences } = await accounting({ url, library })

    assert.deepEqual(differences, [])
    assert.ok(server > 500, `${server} statements`)
    assert.equal(observed, server)
    assert.equal(rows.observed, rows.server)
  })
}

test('hasten/pool: every statement but its own question to each server is accounted for', {
  skip,
}, async () => {
  const { server, observed, differences } = await accounting({ url, library: './hasten-pg.mjs' })

  const own = differences.filter((text) => text.startsWith('select pg_catalog.pg_backend_pid()'))
  assert.deepEqual(differences, own)
  assert.ok(own.length <= 2 && server - observed <= 20, `${server} and ${observed} statements`)
  assert.ok(server > 500, `${server} statements`)
})
