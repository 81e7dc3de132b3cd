import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatTraceparent, parseTraceparent, Timing } from './index.ts'

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

test('whatever a header holds, it is read as one that can be written, or not at all', () => {
  const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`))
  const valid = fc.tuple(hex(2), hex(32), hex(16), hex(2)).map((fields) => fields.join('-'))
  fc.assert(
    fc.property(fc.oneof(valid, fc.string()), (header) => {
      const context = parseTraceparent(header)
      if (context === undefined) return
      assert.deepEqual(parseTraceparent(formatTraceparent(context)), context)
    }),
  )
})

test('a request goes on with its caller’s trace, under a span id of its own', () => {
  const timing = new Timing()
  const timeline = timing.begin('GET', '/', `00-${traceId}-${spanId}-00`)
  assert.deepEqual([timeline.traceId, timeline.parentSpanId], [traceId, spanId])

  const [first, second] = [timing.traceparent(timeline), timing.traceparent(timeline)]
  assert.equal(first, second)
  const out = parseTraceparent(first)
  assert.equal(out?.traceId, traceId)
  assert.notEqual(out?.spanId, spanId)
  assert.equal(out?.flags, 0)
  assert.equal(timeline.toFacts().traceId, traceId)
})

test('a request without a caller’s trace begins one when it is needed, and does not claim it came', () => {
  const timing = new Timing()
  const timeline = timing.begin('GET', '/', 'rubbish')
  assert.equal(timeline.traceId, undefined)
  assert.ok(parseTraceparent(timing.traceparent(timeline)))
  assert.equal(timeline.toFacts().traceId, undefined)
})

test('a header of kilobytes is not kept', () => {
  const header = `01-${traceId}-${spanId}-01-${'x'.repeat(8000)}`
  assert.equal(new Timing().begin('GET', '/', header).traceId, undefined)
})
