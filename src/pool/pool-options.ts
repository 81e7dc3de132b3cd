/**
 * Options of the pool: those of `pg.Pool` as `pg` takes them, and ours, checked at construction.
 *
 * A drop-in hands on what it does not know, so an unknown key is no error here. Of two names for one
 * thing, both may be given where they say the same.
 */
import { inspect } from 'node:util'
import type { PoolConfig } from 'pg'
import { HastenError } from '../core/errors.ts'
import { positive } from '../core/options.ts'
import type { TargetSessionAttrs } from './session-target.ts'

export type Priority = 'critical' | 'default' | 'background'

/** What a call or a borrower may ask for beyond the statement. */
export interface CallOptions {
  /** Stops waiting, and the statement on the server. */
  readonly signal?: AbortSignal | undefined
  /** The same after so long, from now. */
  readonly timeoutMs?: number | undefined
  /** Who goes first when connections are short. Default `default`. */
  readonly priority?: Priority | undefined
}

export interface PoolOptions extends PoolConfig {
  /** A better name of `connectionTimeoutMillis`: how long a caller waits for a connection. 0: for ever. */
  readonly acquireTimeoutMs?: number | undefined
  /** Callers that may wait; the next is refused with POOL_FULL. Default 100,000. */
  readonly maxWaiting?: number | undefined
  /** Most connections that are shared by callers at one time; false: none. Default 4, at most `max`. */
  readonly express?: number | false | undefined
  /** Statements that must never share a connection, by their text. */
  readonly expressExclude?: readonly RegExp[] | undefined
  /** What takes the server longer does not share a connection. Default 10. */
  readonly expressMaxMs?: number | undefined
  /** Prepare statements without being asked. Default true. */
  readonly prepare?: boolean | undefined
  /** Prepared statements on each connection. Default 256. */
  readonly maxPrepared?: number | undefined
  /** Texts that each new connection prepares before it serves. */
  readonly warm?: readonly string[] | undefined
  /** Put back what a borrower left in the session. Default true. */
  readonly resetSession?: boolean | undefined
  /** Refuse what is done with a client after its release. Default true. */
  readonly guardReleased?: boolean | undefined
  /** Warn of a client that is kept for longer. 0: never, the default. */
  readonly leakDetectionMs?: number | undefined
  /** Repeat what was lost with its connection, where that is safe. Default true. */
  readonly repeat?: boolean | undefined
  /** How long a caller without a deadline waits for a database that has gone. Default 5,000. */
  readonly reconnectMs?: number | undefined
  /** A connection unused for longer is asked for a sign of life before it is lent. Default 10,000. */
  readonly validateAfterIdleMs?: number | undefined
  /** What is between here and the server. Default `auto`: found out on the first connection. */
  readonly pgbouncer?: 'auto' | 'session' | 'transaction' | false | undefined
  /** Which of several hosts to take. Default `any`. */
  readonly targetSessionAttrs?: TargetSessionAttrs | undefined
}

export interface PoolSettings {
  readonly acquireTimeoutMs: number
  readonly maxWaiting: number
  readonly express: number
  readonly expressExclude: readonly RegExp[]
  readonly expressMaxMs: number
  readonly prepare: boolean
  readonly maxPrepared: number
  readonly warm: readonly string[]
  readonly resetSession: boolean
  readonly guardReleased: boolean
  readonly leakDetectionMs: number
  readonly repeat: boolean
  readonly reconnectMs: number
  readonly validateAfterIdleMs: number
  readonly pgbouncer: 'auto' | 'session' | 'transaction' | false
}

/** Throws OPTION_INVALID with name, rule and value. `max` as the pool will use it. */
export function poolSettings(options: PoolOptions, max: number): PoolSettings {
  const express = options.express ?? Math.min(4, max)
  return {
    acquireTimeoutMs: acquireTimeout(options),
    maxWaiting: whole('maxWaiting', options.maxWaiting ?? 100_000, 0),
    express: express === false ? 0 : Math.min(whole('express', express, 0), max),
    expressExclude: patterns(options.expressExclude ?? []),
    expressMaxMs: positive('Pool: expressMaxMs', options.expressMaxMs ?? 10),
    prepare: flag('prepare', options.prepare ?? true),
    maxPrepared: whole('maxPrepared', options.maxPrepared ?? 256, 1),
    warm: texts(options.warm ?? []),
    resetSession: flag('resetSession', options.resetSession ?? true),
    guardReleased: flag('guardReleased', options.guardReleased ?? true),
    leakDetectionMs: duration('leakDetectionMs', options.leakDetectionMs ?? 0),
    repeat: flag('repeat', options.repeat ?? true),
    reconnectMs: duration('reconnectMs', options.reconnectMs ?? 5_000),
    validateAfterIdleMs: duration('validateAfterIdleMs', options.validateAfterIdleMs ?? 10_000),
    pgbouncer: bouncer(options.pgbouncer ?? 'auto'),
  }
}

function acquireTimeout(options: PoolOptions): number {
  const { acquireTimeoutMs, connectionTimeoutMillis } = options
  if (acquireTimeoutMs === undefined) return connectionTimeoutMillis ?? 0
  duration('acquireTimeoutMs', acquireTimeoutMs)
  if (connectionTimeoutMillis != null && connectionTimeoutMillis !== acquireTimeoutMs) {
    throw invalid(
      `acquireTimeoutMs (${acquireTimeoutMs}) and connectionTimeoutMillis (${connectionTimeoutMillis}) are two names of one option and contradict each other; give one`,
    )
  }
  return acquireTimeoutMs
}

export function priorityOf(value: unknown): number {
  if (value === undefined || value === 'default') return 1
  if (value === 'critical') return 0
  if (value === 'background') return 2
  throw invalid(`priority must be 'critical', 'default' or 'background', got ${inspect(value)}`)
}

/** Milliseconds of a deadline that a caller gives; undefined: none. */
export function deadlineOf(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'number' && value > 0 && value <= 2 ** 31 - 1) return value
  throw invalid(`timeoutMs must be above 0 and below 2^31, got ${inspect(value)}`)
}

export function signalOf(value: unknown): AbortSignal | undefined {
  if (value === undefined || value === null) return undefined
  if (value instanceof AbortSignal) return value
  throw invalid(`signal must be an AbortSignal, got ${inspect(value)}`)
}

function whole(name: string, value: number, least: number): number {
  if (Number.isInteger(value) && value >= least) return value
  throw invalid(`${name} must be a whole number of at least ${least}, got ${inspect(value)}`)
}

function duration(name: string, value: number): number {
  if (Number.isFinite(value) && value >= 0 && value <= 2 ** 31 - 1) return value
  throw invalid(`${name} must be milliseconds from 0 to 2^31, got ${inspect(value)}`)
}

function flag(name: string, value: boolean): boolean {
  if (typeof value === 'boolean') return value
  throw invalid(`${name} must be true or false, got ${inspect(value)}`)
}

function patterns(value: readonly RegExp[]): readonly RegExp[] {
  if (Array.isArray(value) && value.every((item) => item instanceof RegExp)) return value
  throw invalid(`expressExclude must be an array of regular expressions, got ${inspect(value)}`)
}

function texts(value: readonly string[]): readonly string[] {
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value
  throw invalid(`warm must be an array of statements, got ${inspect(value)}`)
}

function bouncer(value: PoolSettings['pgbouncer']): PoolSettings['pgbouncer'] {
  if (!value || value === 'auto' || value === 'session' || value === 'transaction') {
    return value
  }
  throw invalid(
    `pgbouncer must be 'auto', 'session', 'transaction' or false, got ${inspect(value)}`,
  )
}

function invalid(message: string): HastenError {
  return new HastenError('OPTION_INVALID', `Pool: ${message}`)
}
