import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseTraceparent, Timing } from '../timing/index.ts'
import { traceparent } from './index.ts'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const spanId = '00f067aa0ba902b7'

test('whatever a header holds, it is read as one that can be written, or not at all', () => {
  const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`))
  const valid = fc.tuple(hex(2), hex(32), hex(16), hex(2)).map((fields) => fields.join('-'))
  fc.assert(
    fc.property(fc.oneof(valid, fc.string()), (header) => {
      const context = parseTraceparent(header)
      if (context === undefined) return
      const written = traceparent(new Timing().begin('GET', '/', header))
      assert.deepEqual(parseTraceparent(written), { ...context, spanId: written.slice(36, 52) })
    }),
  )
})

test('a request goes on with its caller’s trace, under a span id of its own', () => {
  const timing = new Timing()
  const timeline = timing.begin('GET', '/', `00-${traceId}-${spanId}-00`)
  assert.deepEqual([timeline.traceId, timeline.parentSpanId], [traceId, spanId])

  const [first, second] = [traceparent(timeline), traceparent(timeline)]
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
  assert.ok(parseTraceparent(traceparent(timeline)))
  assert.equal(timeline.toFacts().traceId, undefined)
})
