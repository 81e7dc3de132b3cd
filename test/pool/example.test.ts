import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { testPostgres } from '../service.ts'

const postgres = await testPostgres()
// Compiled this lies in build/test/pool.
const example = fileURLToPath(new URL('../../../examples/pool/start.mjs', import.meta.url))

test('the example of the pool runs, and sees what it says', { skip: postgres.skip }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [example], {
    env: { ...process.env, DATABASE_URL: postgres.url },
  })

  const scenes = stdout.trimEnd().split('\n')
  assert.match(scenes[0] ?? '', /^warm +2 connections are open/)
  assert.match(scenes[1] ?? '', /^shared +3,200 statements on \d connections, \d+ of them side/)
  assert.match(scenes[2] ?? '', /^slow +select pg_sleep\(\$1\) goes alone: /)
  assert.match(scenes[3] ?? '', /^deadline +STATEMENT_TIMEOUT after 100 ms.* the server: 0$/)
  assert.match(scenes[4] ?? '', /^tidy +4 of 4 connections are as new/)
  assert.match(scenes[5] ?? '', /^line +POOL_ACQUIRE_TIMEOUT; held for \d+ ms from pool\.mjs:\d+$/)
  assert.equal(scenes.length, 6)
})
