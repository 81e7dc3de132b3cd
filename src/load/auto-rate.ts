/**
 * Auto rate: a rate at which a server that nobody described is busy, and keeps up.
 *
 * The goal follows from what the requests take alone: a server keeps up as long as 95 in 100 take no
 * longer than three times the slowest 5 in 100 did alone, or 50 ms more, whichever allows more. The
 * rate that is then held lies `share` below the highest that kept up: waiting shows, collapse does not.
 */
import { LatencyHistogram } from '../core/histogram.ts'
import { positive } from '../core/options.ts'
import type { SearchOptions, SearchResult } from './search-rate.ts'
import { searchRate } from './search-rate.ts'
import type { Answer } from './sequence.ts'

export interface AutoRateOptions extends Omit<SearchOptions, 'goal' | 'budgetSeconds'> {
  /** What the requests took one at a time, from `runSequence`. */
  readonly solo: readonly Answer[]
  /** Longest search. @default 20 */
  readonly budgetSeconds?: number | undefined
  /** Held rate against the highest that kept up. @default 0.8 */
  readonly share?: number | undefined
}

export interface AutoRate {
  /** To be held. */
  readonly ratePerSecond: number
  /** False where not even the lowest rate kept up; `ratePerSecond` is then that. */
  readonly keepsUp: boolean
  readonly search: SearchResult
}

export async function autoRate(options: AutoRateOptions): Promise<AutoRate> {
  const { solo, share = 0.8, budgetSeconds = 20, ...rest } = options
  positive('share', share)
  const search = await searchRate({
    stepSeconds: 1.5,
    stepRequests: 60,
    maxStepSeconds: 4,
    settleMs: 3000,
    precision: 0.15,
    maxRate: 5000,
    startRate: startRateOf(solo),
    ...rest,
    budgetSeconds,
    goal: { quantile: 0.95, ms: soloGoalMs(solo) },
  })
  const keepsUp = search.ratePerSecond > 0
  const ratePerSecond = keepsUp ? search.ratePerSecond * share : (options.minRate ?? 1)
  return { ratePerSecond, keepsUp, search }
}

/** Half of what one worker could do without a pause: a few steps below the limit of most servers. */
function startRateOf(solo: readonly Answer[]): number {
  const weight = solo.reduce((sum, { request }) => sum + request.weight, 0)
  const spentMs = solo.reduce(
    (sum, { request, durationMs }) => sum + request.weight * durationMs,
    0,
  )
  const fit = spentMs > 0 ? (500 * weight) / spentMs : 0
  return Math.min(500, Math.max(5, fit))
}

/** p95 under load that still counts as keeping up. */
export function soloGoalMs(solo: readonly Answer[]): number {
  const latency = new LatencyHistogram()
  for (const { durationMs, error, request } of solo) {
    // Weighted as in the load, in hundredths: a slow request that is asked seldom decides no p95.
    const times = Math.max(1, Math.min(1000, Math.round(request.weight * 100)))
    for (let time = 0; error === undefined && time < times; time++) latency.record(durationMs)
  }
  const p95Ms = latency.count === 0 ? 0 : latency.quantile(0.95)
  return Math.max(3 * p95Ms, p95Ms + 50)
}
