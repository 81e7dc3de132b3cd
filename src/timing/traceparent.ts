/**
 * traceparent: the header by which services tell that their work belongs together, as it comes in.
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

export interface TraceContext {
  /** 32 lower-case hex digits. */
  readonly traceId: string
  /** 16 lower-case hex digits: of the caller where it came in, one's own where it goes out. */
  readonly spanId: string
  readonly flags: number
}

/** "Sampled", and of level 2 "random": at least the last 7 bytes of the trace id were drawn by lot. */
const KNOWN_FLAGS = 0x03

/** Of version 00 there are 53 characters behind the version. */
const FIELDS =
  /^(?:00(?=.{53}$)|(?!00|ff)[\da-f]{2})-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(?![^-])/

/** `undefined` where the header is to be ignored. */
export function parseTraceparent(header: string): TraceContext | undefined {
  const [, traceId, spanId, flags] = FIELDS.exec(header.trim()) ?? []
  if (traceId === undefined) return undefined
  return { traceId, spanId: spanId as string, flags: Number(`0x${flags}`) & KNOWN_FLAGS }
}
