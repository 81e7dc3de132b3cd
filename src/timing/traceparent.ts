/**
 * traceparent: the header by which services tell that their work belongs together.
 *
 *   00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
 *   version  trace id                   caller's span id  flags
 *
 * By W3C Trace Context level 2 [1]: version `ff` and ids of zeros alone are invalid, hex is lower
 * case, version 00 has exactly these four fields, and a later version is read by its first four, what
 * follows being its own affair. Flags that we do not know are not handed on.
 *
 * [1] https://www.w3.org/TR/trace-context-2/
 */
import { randomBytes } from 'node:crypto'

export interface TraceContext {
  /** 32 lower-case hex digits. */
  readonly traceId: string
  /** 16 lower-case hex digits: of the caller where it came in, one's own where it goes out. */
  readonly spanId: string
  readonly flags: number
}

const SAMPLED = 0x01
/** Level 2: at least the last 7 bytes of the trace id were drawn by lot. */
const RANDOM = 0x02
const KNOWN_FLAGS = SAMPLED | RANDOM

const FIELDS = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-|$)/
const LENGTH = 55

/** `undefined` where the header is to be ignored. */
export function parseTraceparent(header: string): TraceContext | undefined {
  const value = header.trim()
  const fields = FIELDS.exec(value)
  if (fields === null) return undefined
  const [, version, traceId, spanId, flags] = fields as unknown as string[]
  if (version === 'ff' || isZero(traceId as string) || isZero(spanId as string)) return undefined
  if (version === '00' && value.length !== LENGTH) return undefined
  return {
    traceId: traceId as string,
    spanId: spanId as string,
    flags: Number.parseInt(flags as string, 16) & KNOWN_FLAGS,
  }
}

export function formatTraceparent({ traceId, spanId, flags }: TraceContext): string {
  return `00-${traceId}-${spanId}-${(flags & KNOWN_FLAGS).toString(16).padStart(2, '0')}`
}

/** What a request sends on: the caller's trace, or a new one, and a span id of its own. */
export function continueTrace(incoming: TraceContext | undefined): TraceContext {
  const spanId = randomId(8)
  if (incoming !== undefined) return { ...incoming, spanId }
  // "Sampled" says that a record was made, and it was.
  return { traceId: randomId(16), spanId, flags: SAMPLED | RANDOM }
}

function randomId(bytes: number): string {
  for (;;) {
    const id = randomBytes(bytes).toString('hex')
    if (!isZero(id)) return id
  }
}

function isZero(hex: string): boolean {
  return /^0+$/.test(hex)
}
