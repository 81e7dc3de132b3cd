/**
 * W3C trace context: reads and writes the `traceparent` header.
 *
 *   00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
 *   version  trace id (32 hex)          parent id (16)   flags
 *
 * A later version may append fields; its first four are read as these. Version ff, ids of zeros and
 * upper case are invalid, and what is invalid is as if it were not there.
 *
 * Source: https://www.w3.org/TR/trace-context-2/
 */
import { randomBytes } from 'node:crypto'

export interface TraceParent {
  readonly traceId: string
  readonly parentId: string
  readonly isSampled: boolean
}

const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

export function parseTraceparent(header: string): TraceParent | undefined {
  if (header.length < 55 || header.length > 512) return undefined
  const [, version, traceId, parentId, flags, more] = form.exec(header.trim()) ?? []
  if (traceId === undefined || parentId === undefined || version === 'ff') return undefined
  if (version === '00' && more !== undefined) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(parentId)) return undefined
  return { traceId, parentId, isSampled: (Number.parseInt(flags ?? '0', 16) & 1) === 1 }
}

export function formatTraceparent(traceId: string, spanId: string, isSampled: boolean): string {
  return `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`
}

export function newTraceId(): string {
  return randomBytes(16).toString('hex')
}

export function newSpanId(): string {
  return randomBytes(8).toString('hex')
}
