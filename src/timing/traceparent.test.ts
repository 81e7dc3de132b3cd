import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseTraceparent, Timing } from './index.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const spanId = '00f067aa0ba902b7'

test('reads the four fields', () => {
  assert.deepEqual(parseTraceparent(`00-${traceId}-${spanId}-01`), { traceId, spanId, flags: 1 })
})

test('a later version is read by its first four fields', () => {
  for (const header of [`01-${traceId}-${spanId}-01`, `cc-${traceId}-${spanId}-01-what-ever`]) {
    assert.deepEqual(parseTraceparent(header), { traceId, spanId, flags: 1 })
  }
})

test('flags that this version does not know are not handed on', () => {
  assert.equal(parseTraceparent(`00-${traceId}-${spanId}-ff`)?.flags, 3)
})

for (const [what, header] of [
  ['nothing', ''],
  ['version ff', `ff-${traceId}-${spanId}-01`],
  ['a trace id of zeros', `00-${'0'.repeat(32)}-${spanId}-01`],
  ['a span id of zeros', `00-${traceId}-${'0'.repeat(16)}-01`],
  ['upper case', `00-${traceId.toUpperCase()}-${spanId}-01`],
  ['a fifth field in version 00', `00-${traceId}-${spanId}-01-x`],
  ['a dash at the end in version 00', `00-${traceId}-${spanId}-01-`],
  ['something glued to the flags', `01-${traceId}-${spanId}-01x`],
  ['a short trace id', `00-${traceId.slice(1)}-${spanId}-01`],
  ['no flags', `00-${traceId}-${spanId}`],
] as const) {
  test(`ignores ${what}`, () => assert.equal(parseTraceparent(header), undefined))
}

test('a header of kilobytes is not kept', () => {
  const header = `01-${traceId}-${spanId}-01-${'x'.repeat(8000)}`
  assert.equal(new Timing().begin('GET', '/', header).traceId, undefined)
})
