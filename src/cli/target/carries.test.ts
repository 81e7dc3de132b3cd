import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { carries } from './carries.ts'

const skip = process.platform === 'linux' ? false : 'told by /proc alone'

test('a process that was given our socket is ours, any other is not', { skip }, async (t) => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], {
    env: { ...process.env, HASTEN_AGENT: '/tmp/hasten-ours/s' },
  })
  t.after(() => child.kill())
  await new Promise((resolve) => child.once('spawn', resolve))
  const pid = child.pid ?? 0

  assert.equal(carries(pid, '/tmp/hasten-ours/s'), true)
  assert.equal(carries(pid, '/tmp/hasten-other/s'), false)
  assert.equal(carries(process.pid, '/tmp/hasten-ours/s'), false)
  assert.equal(carries(2 ** 30, '/tmp/hasten-ours/s'), false)
})
