import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { serviceOr } from '#services/missing-service.js'
import { startPostgres } from '#services/postgres.js'
import { formats, ObservedProcess } from './observed-process.ts'
import { attribution } from './pg-exactness.ts'

const postgres = await serviceOr(() => startPostgres())
const url = typeof postgres === 'string' ? '' : postgres.url()
const skip = typeof postgres === 'string' ? postgres : false
after(() => (typeof postgres === 'string' ? undefined : postgres.stop()))

for (const [library, pool] of [
  ['knex', 'tarn'],
  ['sequelize', 'sequelize-pool'],
  ['drizzle-orm/node-postgres', 'pg.Pool'],
  ['postgres', 'postgres'],
] as const) {
  for (const format of formats) {
    describe(`${library}, ${format}`, { skip }, () => {
      test('each statement is booked to the request that asked', async () => {
        const options = { url, app: 'orm', format, library, requests: 100, plain: 3 }

        assert.deepEqual(await attribution(options), {
          requests: 100,
          statements: 300,
          wrong: 0,
          missing: 0,
          elsewhere: 0,
        })
      })

      // postgres.js pipelines, so nobody waits: see pg-postgres-js.test.ts.
      const skipWait = library === 'postgres'
      test('waiting in its own pool is seen', { skip: skipWait }, async (t) => {
        const env = { DATABASE_URL: url }
        const app = await ObservedProcess.start(t, 'orm', { format, libraries: [library], env })

        await app.get('/tagged?n=1')
        await Promise.all(Array.from({ length: 20 }, (_, n) => app.get(`/tagged?n=${n}`)))

        const { requests, failures } = await app.facts(
          ({ routes: [route] }) => route?.requests === 21,
        )
        const spans = requests.flatMap((request) => request.spans)
        const waits = spans.filter(({ kind }) => kind === 'pool-wait')
        assert.ok(waits.length > 0, JSON.stringify(spans))
        assert.deepEqual([...new Set(waits.map(({ name }) => name))], [pool])
        assert.ok(spans.some(({ kind }) => kind === 'connect'))
        assert.deepEqual(failures, { count: 0, first: [] })
      })
    })
  }
}
