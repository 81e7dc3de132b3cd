/**
 * traceparent: the header of a call that is made for a request (W3C Trace Context level 2 [1]).
 *
 *   00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
 *   version  trace id                   one's own span id flags
 *
 * A request goes on with its caller's trace; where there is none it begins one. It has one span id for
 * all of its calls.
 *
 * [1] https://www.w3.org/TR/trace-context-2/
 */
import { randomBytes } from 'node:crypto'
import type { Timeline, TraceContext } from '../timing/index.ts'

/** "Sampled" says that a record was made, and it was; "random" that the trace id was drawn by lot. */
const SAMPLED_AND_RANDOM = 0x03

/** Value of the header; the same for every call of a request. */
export function traceparent(timeline: Timeline): string {
  const { traceId, spanId, flags } = (timeline.outgoing ??= continueTrace(timeline.incoming))
  return `00-${traceId}-${spanId}-0${flags}`
}

function continueTrace(incoming: TraceContext | undefined): TraceContext {
  const spanId = randomId(8)
  if (incoming !== undefined) return { ...incoming, spanId }
  return { traceId: randomId(16), spanId, flags: SAMPLED_AND_RANDOM }
}

function randomId(bytes: number): string {
  for (;;) {
    const id = randomBytes(bytes).toString('hex')
    // Zeros alone are invalid.
    if (/[^0]/.test(id)) return id
  }
}
