/**
 * HTTP retry: which failures may be tried again, and after how long.
 *
 * - A method that is idempotent (RFC 9110 §9.2.2) may be repeated after its connection broke, or after
 *   429, 502, 503, 504. Any method may, where not a byte of it was sent: the connection never was.
 * - Not after something of the response was handed on, and not with a body that is read only once.
 * - Not after a timeout of ours: the server is slow, more of the same makes it slower.
 * - The wait is random between nothing and a bound that doubles; `Retry-After` is waited for on top,
 *   and where it asks for more than `maxWaitMs` the response goes to the caller as it is.
 */
import type { IncomingHttpHeaders } from 'node:http'

export interface HttpRetryPolicy {
  /** For one request, besides the first attempt. */
  readonly max: number
  readonly firstWaitMs: number
  readonly maxWaitMs: number
  readonly random: () => number
}

const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])
const statuses = new Set([429, 502, 503, 504])

const neverConnected = new Set([
  'ECONNREFUSED',
  'EAI_AGAIN',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
])
const broken = new Set(['ECONNRESET', 'ECONNABORTED', 'EPIPE', 'ETIMEDOUT', 'UND_ERR_SOCKET'])

export function isIdempotent(method: string): boolean {
  return idempotent.has(method.toUpperCase())
}

/** Text and bytes can be sent twice; streams, generators and forms cannot. */
export function isRepeatable(body: unknown): boolean {
  return (
    body === null || body === undefined || typeof body === 'string' || body instanceof Uint8Array
  )
}

export function isRetriedError(method: string, error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code
  if (typeof code !== 'string') return false
  return neverConnected.has(code) || (broken.has(code) && isIdempotent(method))
}

export function isRetriedStatus(method: string, status: number): boolean {
  return statuses.has(status) && isIdempotent(method)
}

/** Milliseconds before try number `tries` + 1; `undefined`: the server asks for too much. */
export function retryWaitMs(
  policy: HttpRetryPolicy,
  tries: number,
  headers: IncomingHttpHeaders | undefined,
): number | undefined {
  const { firstWaitMs, maxWaitMs, random } = policy
  const jitter = random() * Math.min(maxWaitMs, firstWaitMs * 2 ** (tries - 1))
  const asked = retryAfterMs(headers?.['retry-after'])
  if (asked === undefined) return jitter
  return asked > maxWaitMs ? undefined : asked + jitter
}

/** Seconds or a date; anything else says nothing. */
function retryAfterMs(value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  if (/^\s*\d+\s*$/.test(value)) return Number(value) * 1000
  const at = Date.parse(value)
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now())
}
