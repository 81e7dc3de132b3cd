import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { type CompareDocument, compareMeasurements, turnsOf } from '../../compare/index.ts'
import { renderComparison } from './report.ts'

test('says the verdict in words, then what it rests on, with the control beside it', () => {
  const text = renderComparison(sample(0.5), { color: false, width: 100 })

  assert.match(
    text,
    /^hasten compare\n {2}A {2}node 0\.js {2}500 requests, no errors\n {2}B {2}node 1\.js/,
  )
  assert.match(text, /40 requests per second for 3 s, 5 rounds in turn, fresh processes/)
  assert.match(text, /VERDICT {2}B is faster than A: by the mean and the 95th percentile/)
  assert.match(text, /^ +A +B +B \/ A +at 95 % +A′ \/ A$/m)
  assert.match(
    text,
    /^ {2}mean +\S+ ms +\S+ ms +0\.50 +0\.50 … 0\.50 +\S+ % less, better +\S+ … \S+$/m,
  )
  assert.doesNotMatch(text, /database/, 'nobody looked')
})

test('keeps within a narrow terminal by leaving the control to --json', () => {
  const text = renderComparison(sample(2), { color: false, width: 76 })

  assert.match(text, /B is slower than A/)
  assert.doesNotMatch(text, /^ +A +B .*A′ \/ A$/m)
  assert.match(text, /the control, A′ against A, is in --json/)
  const table = text.slice(text.indexOf('at 95 %'))
  assert.ok(
    table.split('\n').every((line) => line.length <= 76),
    text,
  )
})

test('has the same text with colour, and shows escape sequences instead of sending them', () => {
  const document = sample(1, 'node \u001b[2Jx.js')

  const plain = renderComparison(document, { color: false, width: 100 })
  const coloured = renderComparison(document, { color: true, width: 100 })

  assert.equal(stripVTControlCharacters(coloured), plain)
  assert.ok(!plain.includes('\u001b'))
  assert.match(plain, /node \\x1b\[2Jx\.js/)
  assert.match(plain, /no difference between B and A/)
})

function sample(effect: number, command = 'node 0.js'): CompareDocument {
  return compareMeasurements({
    version: '0.1.0',
    load: { requests: 'r.jsonl', ratePerSecond: 40, seconds: 3, warmupSeconds: 1, seed: 1 },
    commands: [command, 'node 1.js'],
    measurements: turnsOf(2, 5).map((turn) => {
      const ms = 20 * (turn.side === 1 ? effect : 1) * (1 + 0.004 * turn.round)
      return {
        ...turn,
        requests: 100,
        errors: 0,
        meanMs: ms,
        p50Ms: ms * 0.9,
        p95Ms: ms * 2,
        p99Ms: ms * 3,
        throughput: 40,
        dbMsPerRequest: null,
        dbCallsPerRequest: null,
        cpuMsPerRequest: 1,
        peakMemoryMb: 70,
        statuses: {},
        lateP99Ms: 1,
      }
    }),
  })
}
