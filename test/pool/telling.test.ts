/** What the pool tells of itself, and hears of the HTTP client. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { clientSignal, Pool, poolPrometheus } from 'hasten/pool'
import { testPostgres } from '../service.ts'

const { skip, url } = await testPostgres()

test('figures for Prometheus: one family each, a series for each pool, no text of a statement', {
  skip,
}, async () => {
  const pool = new Pool({ connectionString: url, max: 3 })
  await pool.query('SELECT 1 AS secret')
  const holder = await pool.connect()

  const text = poolPrometheus({ main: pool, 'a "b"': pool })
  holder.release()
  await pool.end()

  const lines = text.trimEnd().split('\n')
  assert.equal(new Set(lines).size, lines.length)
  for (const line of lines) {
    assert.match(line, /^(?:# (?:HELP|TYPE) hasten_\w+ .+|hasten_\w+\{.+\} \d+)$/)
  }
  assert.match(text, /^hasten_pool_max\{pool="main"\} 3$/m)
  assert.match(text, /^hasten_pool_connections\{pool="a \\"b\\"",state="lent"\} 1$/m)
  assert.doesNotMatch(text, /secret/)
})

test('a client that goes stops its statement on the server', { skip }, async () => {
  const pool = new Pool({ connectionString: url, max: 2 })
  let failed: unknown
  const ended = new Promise<void>((resolve) => {
    server.on('request', (_request, response) => {
      const signal = clientSignal(response)
      assert.equal(clientSignal(response), signal)
      pool.query({ text: 'SELECT pg_sleep(60)', signal }).catch((error: unknown) => {
        failed = error
        resolve()
      })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo

  const request = http.get({ port, host: '127.0.0.1' })
  request.on('error', () => {})
  while (!pool.stats().connections.some(({ underWay }) => underWay === 1)) {
    await new Promise((resolve) => setImmediate(resolve))
  }
  request.destroy()
  await ended
  server.close()

  assert.equal((failed as { code: string }).code, 'STATEMENT_ABORTED')
  assert.equal((await pool.query('SELECT 1 AS one')).rows[0].one, 1)
  await pool.end()
})

test('a client that got its answer stops nothing', { skip: false }, async () => {
  let signal: AbortSignal | undefined
  const quick = http.createServer((_request, response) => {
    signal = clientSignal(response)
    response.end('done')
  })
  quick.listen(0, '127.0.0.1')
  await once(quick, 'listening')
  const { port } = quick.address() as AddressInfo

  const response = await fetch(`http://127.0.0.1:${port}`, { headers: { connection: 'close' } })
  assert.equal(await response.text(), 'done')
  quick.close()
  await once(quick, 'close')

  assert.equal(signal?.aborted, false)
})

const server = http.createServer()
