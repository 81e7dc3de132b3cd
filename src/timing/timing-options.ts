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

export const defaults: TimingSettings = {
  maxRoutes: 1000,
  maxSpans: 1000,
  slowest: 50,
  slowestPerRoute: 3,
  samplePerRoute: 5,
  maxKeptBytes: 8_388_608,
  detail: false,
  deepEvery: 0,
  clock: monotonic,
  random: Math.random,
}

/** `options` over `settings`; `undefined` leaves what was. */
export function withOptions(settings: TimingSettings, options: TimingOptions): TimingSettings {
  const result: Record<string, unknown> = { ...settings }
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue
    const rule = ruleOf(name, value, result[name])
    if (rule !== '') {
      const message = `timing: option ${name} ${rule}, got ${inspect(value)}`
      throw new HastenError('OPTION_INVALID', message)
    }
    result[name] = value
  }
  return result as unknown as TimingSettings
}

/** What `value` should have been, after its default; empty where it is. */
function ruleOf(name: string, value: unknown, now: unknown): string {
  if (now === undefined) return 'is not known'
  if (name === 'clock') {
    return typeof (value as Clock | null)?.now === 'function' ? '' : 'must have now()'
  }
  if (typeof now !== 'number') return typeof value === typeof now ? '' : `must be a ${typeof now}`
  const least = name === 'maxRoutes' || name === 'maxSpans' ? 1 : 0
  const isWhole = Number.isSafeInteger(value) && (value as number) >= least
  return isWhole ? '' : `must be a whole number from ${least}`
}
