/** What may be set about timing, with its defaults. Unknown names and bad values throw OPTION_INVALID. */
import { inspect } from 'node:util'
import { type Clock, monotonic } from '../core/clock.ts'
import { HastenError } from '../core/errors.ts'

export interface TimingOptions {
  /**
   * Routes with totals of their own; the rest share `(other)`.
   * @default 1000
   */
  readonly maxRoutes?: number | undefined
  /**
   * Spans kept of one request; the rest are counted and in all totals.
   * @default 1000
   */
  readonly maxSpans?: number | undefined
  /**
   * Slowest requests kept, over all routes.
   * @default 50
   */
  readonly slowest?: number | undefined
  /**
   * Slowest requests kept of each route.
   * @default 3
   */
  readonly slowestPerRoute?: number | undefined
  /**
   * Requests of each route in the fair sample.
   * @default 5
   */
  readonly samplePerRoute?: number | undefined
  /**
   * Bound of all kept requests together, by estimate. Over it, routes with much give up some.
   * @default 8388608 (8 MiB)
   */
  readonly maxKeptBytes?: number | undefined
  /**
   * Whether `serverTiming` gives a header.
   * @default true where the environment has HASTEN_SERVER_TIMING=1
   */
  readonly serverTiming?: boolean | undefined
  /**
   * Reads the event loop's active time at the start and end of each request (`loopActiveMs`).
   * Costs half a microsecond.
   * @default false
   */
  readonly detail?: boolean | undefined
  /**
   * Every n-th request of a route is `deep`: hooks hash the values that it sends and receives.
   * @default 0, never
   */
  readonly deepEvery?: number | undefined
  /** @default performance */
  readonly clock?: Clock | undefined
  /**
   * Draws the sample: 0 to 1, without 1.
   * @default Math.random
   */
  readonly random?: (() => number) | undefined
}

export type TimingSettings = {
  readonly [Name in keyof TimingOptions]-?: Exclude<TimingOptions[Name], undefined>
}

export function defaultSettings(): TimingSettings {
  return {
    maxRoutes: 1000,
    maxSpans: 1000,
    slowest: 50,
    slowestPerRoute: 3,
    samplePerRoute: 5,
    maxKeptBytes: 8 * 2 ** 20,
    serverTiming: process.env['HASTEN_SERVER_TIMING'] === '1',
    detail: false,
    deepEvery: 0,
    clock: monotonic,
    random: Math.random,
  }
}

/** `options` over `settings`; `undefined` leaves what was. */
export function withOptions(settings: TimingSettings, options: TimingOptions): TimingSettings {
  const result: Record<string, unknown> = { ...settings }
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue
    if (!Object.hasOwn(settings, name)) {
      throw new HastenError(
        'OPTION_INVALID',
        `timing has no option ${name}; it has ${Object.keys(settings).join(', ')}`,
      )
    }
    const rule = ruleOf(name, value)
    if (rule !== undefined) {
      throw new HastenError('OPTION_INVALID', `${name} must be ${rule}, got ${inspect(value)}`)
    }
    result[name] = value
  }
  return result as unknown as TimingSettings
}

/** What `value` should have been; `undefined` where it is. */
function ruleOf(name: string, value: unknown): string | undefined {
  switch (name) {
    case 'serverTiming':
    case 'detail':
      return typeof value === 'boolean' ? undefined : 'true or false'
    case 'random':
      return typeof value === 'function' ? undefined : 'a function'
    case 'clock':
      return typeof (value as Clock | null)?.now === 'function' ? undefined : 'an object with now()'
    case 'maxRoutes':
    case 'maxSpans':
      return isWhole(value, 1) ? undefined : 'a whole number from 1'
    default:
      return isWhole(value, 0) ? undefined : 'a whole number from 0'
  }
}

function isWhole(value: unknown, least: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least
}
