import assert from 'node:assert/strict'
import { test } from 'node:test'
import { originOf } from './origin.ts'

const at = (host: string, port: number) => ({ host, port, protocol: 'http' as const, pid: 1 })

test('the first that listens, on loopback where it listens everywhere', () => {
  assert.equal(originOf([at('::', 3000), at('127.0.0.1', 4000)]), 'http://127.0.0.1:3000')
  assert.equal(originOf([at('::1', 3000)]), 'http://[::1]:3000')
})

test('the one on the given port, and no other', () => {
  const listening = [at('127.0.0.1', 3000), at('127.0.0.1', 4000)]

  assert.equal(originOf(listening, 4000), 'http://127.0.0.1:4000')
  assert.throws(() => originOf(listening, 5000), { code: 'OPTION_INVALID', message: /3000, 4000/ })
})

test('nobody listens any more', () => {
  assert.throws(() => originOf([]), { code: 'TARGET_EXITED' })
})
