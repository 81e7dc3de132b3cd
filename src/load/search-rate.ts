/**
 * Searches the highest rate at which a server holds a latency goal. The walk: rate-search.ts.
 *
 * A step is long enough in requests *and* in seconds: a quantile of forty requests is an anecdote, and
 * a quarter of a second at a high rate has not met a garbage collection yet. Its first part warms
 * connections and is not counted. A step in which the server falls behind beyond recovery is cut
 * short. After a failed step the server still works off what it took in; the next one begins when it
 * answers a single request within the goal again, or after `settleMs`.
 */
import { setTimeout } from 'node:timers/promises'
import { inspect } from 'node:util'
import { HastenError } from '../core/errors.ts'
import { positive } from '../core/options.ts'
import type { LoadProgress, LoadResult } from './load-result.ts'
import type { PlannedRequest } from './planned-request.ts'
import { findRate, type SearchLimit, type StepVerdict } from './rate-search.ts'
import { type LoadOptions, runLoad } from './run-load.ts'
import { Sequence } from './sequence.ts'

const WARMUP_SECONDS = 0.5

export interface LatencyGoal {
  /** @default 0.95 */
  readonly quantile?: number | undefined
  readonly ms: number
  /** Errors among all requests, 0 to 1. @default 0.01 */
  readonly maxErrorShare?: number | undefined
}

export interface SearchOptions
  extends Pick<
    LoadOptions,
    'origin' | 'requests' | 'arrivals' | 'seed' | 'maxInFlight' | 'timeoutMs' | 'signal'
  > {
  readonly goal: LatencyGoal
  /** @default 10 */
  readonly startRate?: number | undefined
  /** @default 1 */
  readonly minRate?: number | undefined
  /** @default 50,000 */
  readonly maxRate?: number | undefined
  /** @default 0.05 */
  readonly precision?: number | undefined
  /** Each step lasts at least so long, @default 2 */
  readonly stepSeconds?: number | undefined
  /** and until so many requests were due, @default 200 */
  readonly stepRequests?: number | undefined
  /** but at most so long. @default 10 */
  readonly maxStepSeconds?: number | undefined
  /** Longest wait for a failed server to recover. @default 5,000 */
  readonly settleMs?: number | undefined
  /** No step begins that would end later. @default 120 */
  readonly budgetSeconds?: number | undefined
  readonly onStep?: ((step: SearchStep) => void) | undefined
  readonly onProgress?: ((progress: LoadProgress, ratePerSecond: number) => void) | undefined
}

export interface SearchStep {
  readonly ratePerSecond: number
  readonly held: boolean
  /** Why not, where it was not. */
  readonly reason?: 'latency' | 'errors' | 'overload' | 'generator'
  readonly seconds: number
  readonly requests: number
  readonly errors: number
  readonly completedPerSecond: number
  /** At the goal's quantile; NaN where nothing was answered. */
  readonly latencyMs: number
}

export interface SearchResult {
  /** Highest rate that held the goal; 0 where none did. */
  readonly ratePerSecond: number
  /** `generator`: this machine could not send faster; the server may hold more. */
  readonly limit: SearchLimit | 'generator' | 'aborted'
  readonly goal: Required<LatencyGoal>
  /** In the order in which they ran. */
  readonly steps: readonly SearchStep[]
  /** Of the last step at `ratePerSecond`. */
  readonly load: LoadResult | undefined
}

export async function searchRate(options: SearchOptions): Promise<SearchResult> {
  const search = new Search(options)
  return search.run()
}

class Search {
  readonly #options: SearchOptions
  readonly #goal: { quantile: number; ms: number; maxErrorShare: number }
  readonly #steps: SearchStep[] = []
  readonly #startMs = performance.now()
  readonly #budgetMs: number
  #best: LoadResult | undefined
  #bestRate = 0
  #seed: number

  constructor(options: SearchOptions) {
    this.#options = options
    this.#goal = goalOf(options.goal)
    this.#budgetMs = positive('budgetSeconds', options.budgetSeconds ?? 120) * 1000
    this.#seed = options.seed ?? 1
  }

  async run(): Promise<SearchResult> {
    const { startRate = 10, minRate = 1, maxRate = 50_000, precision = 0.05 } = this.#options
    const bounds = {
      startRate: positive('startRate', startRate),
      minRate: positive('minRate', minRate),
      maxRate: positive('maxRate', maxRate),
      precision: positive('precision', precision),
    }
    const { limit } = await findRate(bounds, (rate) => this.#step(rate))
    return {
      ratePerSecond: this.#bestRate,
      limit: this.#limit(limit),
      goal: this.#goal,
      steps: this.#steps,
      load: this.#best,
    }
  }

  #limit(limit: SearchLimit): SearchResult['limit'] {
    if (this.#options.signal?.aborted === true) return 'aborted'
    const above = this.#steps.filter((step) => !step.held && step.ratePerSecond > this.#bestRate)
    if (limit === 'found' && above.length > 0) {
      if (above.every(({ reason }) => reason === 'generator')) return 'generator'
    }
    return limit
  }

  async #step(ratePerSecond: number): Promise<StepVerdict> {
    const { stepSeconds = 2, stepRequests = 200, maxStepSeconds = 10, signal } = this.#options
    const wanted = Math.max(stepSeconds, stepRequests / ratePerSecond)
    const seconds = Math.min(wanted, Math.max(maxStepSeconds, stepSeconds))
    const endMs = performance.now() - this.#startMs + (seconds + WARMUP_SECONDS) * 1000
    if (signal?.aborted === true || endMs > this.#budgetMs) return undefined

    const { load, isOverloaded } = await this.#load(ratePerSecond, seconds)
    if (load.aborted && !isOverloaded) return undefined
    const step = this.#judge(ratePerSecond, load, isOverloaded)
    this.#steps.push(step)
    if (step.held && ratePerSecond >= this.#bestRate) {
      this.#bestRate = ratePerSecond
      this.#best = load
    }
    this.#options.onStep?.(step)
    if (!step.held) await this.#settle()
    return step.held
  }

  async #load(ratePerSecond: number, seconds: number) {
    const { signal, onProgress, onStep: _, goal: __, ...options } = this.#options
    const overload = new AbortController()
    const forward = () => overload.abort()
    signal?.addEventListener('abort', forward, { once: true })
    let isOverloaded = false
    // Little's law: more in flight than would be if each took ten times the goal. They wait in a
    // queue that grows, and the rest of the step would only make it longer.
    const mostInFlight = Math.max(50, (ratePerSecond * this.#goal.ms * 10) / 1000)
    try {
      const load = await runLoad({
        ...options,
        ratePerSecond,
        seconds,
        warmupSeconds: WARMUP_SECONDS,
        // Another one for each step: the repeat must not meet the same bursts.
        seed: this.#seed++,
        drainMs: Math.max(1000, this.#goal.ms * 10),
        signal: overload.signal,
        onProgress: (progress) => {
          onProgress?.(progress, ratePerSecond)
          if (progress.inFlight < mostInFlight || overload.signal.aborted) return
          isOverloaded = true
          overload.abort()
        },
      })
      return { load, isOverloaded: isOverloaded && signal?.aborted !== true }
    } finally {
      signal?.removeEventListener('abort', forward)
    }
  }

  #judge(ratePerSecond: number, load: LoadResult, isOverloaded: boolean): SearchStep {
    const { quantile, ms, maxErrorShare } = this.#goal
    const latencyMs = load.latency.count === 0 ? Number.NaN : load.latency.quantile(quantile)
    const reason = ((): SearchStep['reason'] => {
      if (isOverloaded) return 'overload'
      if (load.errors > load.requests * maxErrorShare) return 'errors'
      // Nothing due: a step of no requests shows nothing, and holds.
      if (!(latencyMs > ms)) return undefined
      return load.behind.lateP99Ms > ms / 2 ? 'generator' : 'latency'
    })()
    return {
      ratePerSecond,
      held: reason === undefined,
      ...(reason && { reason }),
      seconds: load.seconds,
      requests: load.requests,
      errors: load.errors,
      completedPerSecond: load.completedPerSecond,
      latencyMs,
    }
  }

  async #settle(): Promise<void> {
    const { origin, requests, signal, settleMs = 5000 } = this.#options
    const untilMs = performance.now() + settleMs
    const sequence = new Sequence({ origin, timeoutMs: settleMs, signal })
    try {
      while (performance.now() < untilMs) {
        const { durationMs, error } = await sequence.ask(heaviest(requests))
        if (error === undefined && durationMs <= this.#goal.ms) return
        // A refused connection comes back at once: without a pause this would spin.
        if (error !== undefined) await setTimeout(100, undefined, { signal })
      }
    } catch (error) {
      if (signal?.aborted !== true) throw error
    } finally {
      await sequence.close()
    }
  }
}

function goalOf({ quantile = 0.95, ms, maxErrorShare = 0.01 }: LatencyGoal) {
  positive('goal.ms', ms)
  if (!(quantile > 0 && quantile < 1)) {
    const rule = 'goal.quantile must be between 0 and 1'
    throw new HastenError('OPTION_INVALID', `${rule}, got ${inspect(quantile)}`)
  }
  if (!(maxErrorShare >= 0 && maxErrorShare <= 1)) {
    const rule = 'goal.maxErrorShare must be 0 to 1'
    throw new HastenError('OPTION_INVALID', `${rule}, got ${inspect(maxErrorShare)}`)
  }
  return { quantile, ms, maxErrorShare }
}

function heaviest(requests: readonly PlannedRequest[]): PlannedRequest {
  return requests.reduce((most, request) => (request.weight > most.weight ? request : most))
}
