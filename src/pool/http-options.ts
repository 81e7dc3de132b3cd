/** Options of the HTTP pool: defaults, and the rules that they must keep. */
import { inspect } from 'node:util'
import { HastenError } from '../core/errors.ts'
import { positive, refuseUnknown } from '../core/options.ts'
import type { LookupAll } from './dns-cache.ts'

export interface HttpPoolOptions {
  /** Connections to each origin. @default 16 */
  readonly connections?: number | undefined
  /** Requests that may wait for a connection to one origin; beyond: `POOL_FULL`. @default 10_000 */
  readonly maxQueued?: number | undefined
  /** Longest wait for a connection; beyond: `POOL_ACQUIRE_TIMEOUT`. @default 10_000 */
  readonly waitTimeoutMs?: number | undefined
  /** Origins; beyond, the idle one that was used least recently is closed. @default 256 */
  readonly maxOrigins?: number | undefined
  /** @default 5_000 */
  readonly connectTimeoutMs?: number | undefined
  /** Until the response begins. @default 30_000 */
  readonly headersTimeoutMs?: number | undefined
  /** Between two pieces of the response. @default 30_000 */
  readonly bodyTimeoutMs?: number | undefined
  /** For how long an idle connection is kept where the server says nothing. @default 4_000 */
  readonly keepAliveMs?: number | undefined
  /** The same where the server says so by itself. @default 600_000 */
  readonly keepAliveMaxMs?: number | undefined
  /** Handed on to `tls.connect`: `ca`, `rejectUnauthorized` … */
  readonly tls?: object | undefined
  /** Of idempotent requests. `false`: none. */
  readonly retry?: HttpRetryOptions | false | undefined
  /** `false`: each connection asks the system. */
  readonly dns?: HttpDnsOptions | false | undefined
}

export interface HttpRetryOptions {
  /** For one request, besides the first attempt. @default 2 */
  readonly max?: number | undefined
  /** Bound of the random wait before the first; doubles from then on. @default 50 */
  readonly firstWaitMs?: number | undefined
  /** Longest wait, and the longest `Retry-After` that is waited for. @default 2_000 */
  readonly maxWaitMs?: number | undefined
  /** Retries are never more than this share of an origin's requests … @default 0.1 */
  readonly share?: number | undefined
  /** … and this many besides. @default 10 */
  readonly reserve?: number | undefined
  /** From 0 to below 1. @default Math.random */
  readonly random?: (() => number) | undefined
}

export interface HttpDnsOptions {
  /** @default 30_000 */
  readonly ttlMs?: number | undefined
  /** @default 1_000 */
  readonly maxNames?: number | undefined
  /** As `dns.lookup` with `all: true`. */
  readonly lookup?: LookupAll | undefined
}

type Complete<T> = { readonly [K in keyof T]-?: Exclude<T[K], undefined> }

export type HttpPoolSettings = Complete<Omit<HttpPoolOptions, 'retry' | 'dns'>> & {
  readonly retry: Complete<HttpRetryOptions> | false
  readonly dns: (Complete<Omit<HttpDnsOptions, 'lookup'>> & Pick<HttpDnsOptions, 'lookup'>) | false
}

export function httpPoolSettings(options: HttpPoolOptions): HttpPoolSettings {
  const names = Object.keys({
    connections: 0,
    maxQueued: 0,
    waitTimeoutMs: 0,
    maxOrigins: 0,
    connectTimeoutMs: 0,
    headersTimeoutMs: 0,
    bodyTimeoutMs: 0,
    keepAliveMs: 0,
    keepAliveMaxMs: 0,
    tls: 0,
    retry: 0,
    dns: 0,
  } satisfies Record<keyof HttpPoolOptions, 0>)
  refuseUnknown('httpPool', options, names)
  return {
    connections: whole('connections', options.connections ?? 16, 1),
    maxQueued: whole('maxQueued', options.maxQueued ?? 10_000, 0),
    waitTimeoutMs: positive('waitTimeoutMs', options.waitTimeoutMs ?? 10_000),
    maxOrigins: whole('maxOrigins', options.maxOrigins ?? 256, 1),
    connectTimeoutMs: positive('connectTimeoutMs', options.connectTimeoutMs ?? 5_000),
    headersTimeoutMs: positive('headersTimeoutMs', options.headersTimeoutMs ?? 30_000),
    bodyTimeoutMs: positive('bodyTimeoutMs', options.bodyTimeoutMs ?? 30_000),
    keepAliveMs: positive('keepAliveMs', options.keepAliveMs ?? 4_000),
    keepAliveMaxMs: positive('keepAliveMaxMs', options.keepAliveMaxMs ?? 600_000),
    tls: options.tls ?? {},
    retry: options.retry !== false && retrySettings(options.retry ?? {}),
    dns: options.dns !== false && dnsSettings(options.dns ?? {}),
  }
}

function retrySettings(options: HttpRetryOptions): Complete<HttpRetryOptions> {
  refuseUnknown('httpPool.retry', options, [
    'max',
    'firstWaitMs',
    'maxWaitMs',
    'share',
    'reserve',
    'random',
  ])
  const share = options.share ?? 0.1
  if (!(share >= 0 && share <= 1)) {
    throw new HastenError(
      'OPTION_INVALID',
      `retry.share must be a number from 0 to 1, got ${inspect(share)}`,
    )
  }
  return {
    max: whole('retry.max', options.max ?? 2, 1),
    firstWaitMs: positive('retry.firstWaitMs', options.firstWaitMs ?? 50),
    maxWaitMs: positive('retry.maxWaitMs', options.maxWaitMs ?? 2_000),
    share,
    reserve: whole('retry.reserve', options.reserve ?? 10, 0),
    random: options.random ?? Math.random,
  }
}

function dnsSettings(options: HttpDnsOptions): Exclude<HttpPoolSettings['dns'], false> {
  refuseUnknown('httpPool.dns', options, ['ttlMs', 'maxNames', 'lookup'])
  return {
    ttlMs: positive('dns.ttlMs', options.ttlMs ?? 30_000),
    maxNames: whole('dns.maxNames', options.maxNames ?? 1_000, 1),
    lookup: options.lookup,
  }
}

function whole(option: string, value: number, least: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value
  throw new HastenError(
    'OPTION_INVALID',
    `${option} must be a whole number of at least ${least}, got ${inspect(value)}`,
  )
}
