/**
 * Advise options: the thresholds of each detector, each with a default that its own file explains.
 *
 * Shares lie between 0 and 1, all others are finite and not negative; anything else, and any key that
 * no detector reads, throws OPTION_INVALID.
 */
import { inspect } from 'node:util'
import { HastenError } from '../core/errors.ts'
import { refuseUnknown } from '../core/options.ts'
import {
  type ConnectionPerRequestThresholds,
  connectionPerRequestThresholds,
} from './connection-per-request.ts'
import { type DuplicateQueryThresholds, duplicateQueryThresholds } from './duplicate-query.ts'
import {
  type EventLoopBlockedThresholds,
  eventLoopBlockedThresholds,
} from './event-loop-blocked.ts'
import { type LargeResponseThresholds, largeResponseThresholds } from './large-response.ts'
import { type NPlusOneThresholds, nPlusOneThresholds } from './n-plus-one.ts'
import { type PoolStarvationThresholds, poolStarvationThresholds } from './pool-starvation.ts'
import { type SequentialAwaitsThresholds, sequentialAwaitsThresholds } from './sequential-awaits.ts'
import { type SlowQueryThresholds, slowQueryThresholds } from './slow-query.ts'

export interface Thresholds {
  readonly connectionPerRequest: ConnectionPerRequestThresholds
  readonly nPlusOne: NPlusOneThresholds
  readonly duplicateQuery: DuplicateQueryThresholds
  readonly sequentialAwaits: SequentialAwaitsThresholds
  readonly slowQuery: SlowQueryThresholds
  readonly poolStarvation: PoolStarvationThresholds
  readonly eventLoopBlocked: EventLoopBlockedThresholds
  readonly largeResponse: LargeResponseThresholds
}

/** Of each detector the thresholds that are not to be the default. */
export type AdviseOptions = {
  readonly [Name in keyof Thresholds]?: Partial<Thresholds[Name]> | undefined
}

export const defaultThresholds: Thresholds = {
  connectionPerRequest: connectionPerRequestThresholds,
  nPlusOne: nPlusOneThresholds,
  duplicateQuery: duplicateQueryThresholds,
  sequentialAwaits: sequentialAwaitsThresholds,
  slowQuery: slowQueryThresholds,
  poolStarvation: poolStarvationThresholds,
  eventLoopBlocked: eventLoopBlockedThresholds,
  largeResponse: largeResponseThresholds,
}

export function thresholdsOf(options: AdviseOptions): Thresholds {
  refuseUnknown('advise', options, Object.keys(defaultThresholds))
  return {
    connectionPerRequest: merged('connectionPerRequest', options),
    nPlusOne: merged('nPlusOne', options),
    duplicateQuery: merged('duplicateQuery', options),
    sequentialAwaits: merged('sequentialAwaits', options),
    slowQuery: merged('slowQuery', options),
    poolStarvation: merged('poolStarvation', options),
    eventLoopBlocked: merged('eventLoopBlocked', options),
    largeResponse: merged('largeResponse', options),
  }
}

function merged<Name extends keyof Thresholds>(
  name: Name,
  options: AdviseOptions,
): Thresholds[Name] {
  const defaults = defaultThresholds[name]
  const given = Object.entries(options[name] ?? {}).filter(([, value]) => value !== undefined)
  refuseUnknown(`advise's ${name}`, options[name] ?? {}, Object.keys(defaults))
  for (const [key, value] of given) {
    const most = /Share$|^maxLoop$|^minLent$|OfHold$/.test(key) ? 1 : Number.MAX_SAFE_INTEGER
    if (typeof value === 'number' && value >= 0 && value <= most) continue
    throw new HastenError(
      'OPTION_INVALID',
      `${name}.${key} must be a number from 0 to ${most === 1 ? '1' : 'any'}, got ${inspect(value)}`,
    )
  }
  return { ...defaults, ...Object.fromEntries(given) }
}
