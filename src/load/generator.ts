/**
 * Generator: sends requests when they are due, not when the server is ready for them.
 *
 * A closed loop (N connections, each asks again when it was answered) stops asking while the server
 * stalls, and so leaves out just those requests that would have waited: coordinated omission. Here
 * the arrivals are fixed before the first answer, and a latency counts from the moment at which its
 * request was *due*.
 *
 *   due   ─┼──┼─┼────┼─┼──┼───▶        server stalls ████████
 *   sent  ─┼──┼─┼────┼─┼──┼───▶        each of these waits, and each wait is counted
 *
 * Why not one that exists. autocannon 9 is a closed loop with a brake: a connection sends its next
 * request when the last one is answered, its share of a second's requests in one burst, then pauses
 * until the next second; the omission is *estimated* afterwards by back-filling the histogram
 * (`recordValueWithExpectedInterval` with `Math.ceil(1 / rate)`, which is 1 ms at any rate); a list
 * of requests is walked in turn, without weights. artillery has open arrivals and weights, as a
 * framework of scenarios with the clients of two clouds among its dependencies. wrk2 and k6 are no
 * npm packages, and the machine of somebody with Node alone has neither.
 *
 * Rules:
 *   1. Sends what is due whenever it runs: on the alarm's ring, and on a slow timer as a fallback.
 *   2. At most `maxInFlight` at once, each on its own kept-alive connection. What is due beyond that
 *      is not sent later, which would bend the schedule, but counted as dropped, an error.
 *   3. Its own lateness is measured (`behind`) and stays inside the latencies.
 *   4. After the last arrival it waits for the answers, at most `drainMs`; what is missing then is a
 *      timeout.
 */
import { type Dispatcher, Pool } from 'undici'
import { Arrivals } from './arrivals.ts'
import { Flight, type Landing } from './flight.ts'
import type { LoadErrorKind, LoadProgress } from './load-result.ts'
import { Mix } from './mix.ts'
import { isLoopback } from './origin.ts'
import type { PlannedRequest } from './planned-request.ts'
import { Tally, type TallyTotals } from './tally.ts'
import { threadNow } from './thread-clock.ts'

const SWEEP_MS = 50

/** Plain data: it crosses from thread to thread. */
export interface GeneratorPlan {
  readonly origin: string
  readonly requests: readonly PlannedRequest[]
  readonly arrivals: 'poisson' | 'even'
  readonly ratePerSecond: number
  /** Sent first and not counted. */
  readonly warmupMs: number
  /** Warm-up and what is counted. */
  readonly windowMs: number
  readonly seed: number
  readonly maxInFlight: number
  readonly timeoutMs: number
  readonly drainMs: number
}

export class Generator implements Landing {
  readonly finished: Promise<TallyTotals>
  readonly #plan: GeneratorPlan
  readonly #startMs: number
  readonly #arrivals: Arrivals
  readonly #mix: Mix
  readonly #tally: Tally
  readonly #pool: Pool
  readonly #calls: readonly Dispatcher.DispatchOptions[]
  readonly #flying = new Set<Flight>()
  readonly #sweeper: NodeJS.Timeout
  #sent = 0
  #landed = 0
  #landedBefore = 0
  #progressAt: number
  #lastLandingMs = 0
  #isOver = false
  #finish!: (totals: TallyTotals) => void

  constructor(plan: GeneratorPlan, startMs: number) {
    this.#plan = plan
    this.#startMs = startMs
    this.#progressAt = startMs
    this.#arrivals = new Arrivals(plan.arrivals, plan.ratePerSecond, plan.windowMs, plan.seed)
    // Not the seed itself: the choices must not follow from the gaps.
    this.#mix = new Mix(plan.requests, plan.seed ^ 0x5bd1e995)
    this.#tally = new Tally(plan.requests)
    this.#pool = poolFor(plan)
    this.#calls = plan.requests.map(callOf)
    this.finished = new Promise((resolve) => {
      this.#finish = resolve
    })
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS)
  }

  /** Sends what is due by now. */
  run(): void {
    if (this.#isOver) return
    const nowMs = threadNow() - this.#startMs
    for (let dueMs = this.#arrivals.peek(); dueMs <= nowMs; dueMs = this.#arrivals.peek()) {
      this.#send(this.#mix.next(), this.#arrivals.take())
    }
  }

  /** Ends at once with what was measured until now. */
  abort(): void {
    this.#end(true)
  }

  progress(): LoadProgress {
    const now = threadNow()
    const seconds = (now - this.#progressAt) / 1000
    const landed = this.#landed - this.#landedBefore
    this.#progressAt = now
    this.#landedBefore = this.#landed
    return {
      elapsedSeconds: (now - this.#startMs) / 1000,
      sent: this.#sent,
      done: this.#landed,
      inFlight: this.#flying.size,
      errors: this.#tally.errors,
      ratePerSecond: seconds > 0 ? landed / seconds : 0,
    }
  }

  onAnswer(flight: Flight, status: number, bytes: number): void {
    const ageMs = this.#land(flight)
    if (this.#counts(flight.dueMs)) this.#tally.answered(flight.request, status, ageMs, bytes)
  }

  onFailure(flight: Flight, kind: LoadErrorKind): void {
    const ageMs = this.#land(flight)
    if (this.#counts(flight.dueMs)) this.#tally.failed(flight.request, kind, ageMs)
  }

  #send(request: number, dueMs: number): void {
    const isCounted = this.#counts(dueMs)
    if (isCounted) this.#tally.due(request)
    if (this.#flying.size >= this.#plan.maxInFlight) {
      if (isCounted) this.#tally.failed(request, 'dropped', 0)
      return
    }
    const flight = new Flight(request, dueMs, this)
    this.#flying.add(flight)
    this.#sent += 1
    this.#pool.dispatch(this.#calls[request] as Dispatcher.DispatchOptions, flight)
    if (isCounted) this.#tally.late.record(threadNow() - this.#startMs - dueMs)
  }

  #counts(dueMs: number): boolean {
    return dueMs >= this.#plan.warmupMs
  }

  #land(flight: Flight): number {
    this.#flying.delete(flight)
    this.#landed += 1
    this.#lastLandingMs = threadNow() - this.#startMs
    if (this.#flying.size === 0 && this.#arrivals.peek() === Number.POSITIVE_INFINITY) {
      // After the landing is counted.
      queueMicrotask(() => this.#end(false))
    }
    return this.#lastLandingMs - flight.dueMs
  }

  #sweep(): void {
    this.run()
    const nowMs = threadNow() - this.#startMs
    const isDrained = nowMs > this.#plan.windowMs + this.#plan.drainMs
    for (const flight of this.#flying) {
      // In order of sending: the first that is young enough ends the search.
      if (!isDrained && nowMs - flight.dueMs < this.#plan.timeoutMs) break
      flight.giveUp('timeout')
    }
    if (nowMs >= this.#plan.windowMs && this.#flying.size === 0) this.#end(false)
  }

  #end(aborted: boolean): void {
    if (this.#isOver) return
    this.#isOver = true
    clearInterval(this.#sweeper)
    const { warmupMs, windowMs, maxInFlight } = this.#plan
    const nowMs = threadNow() - this.#startMs
    const endMs = aborted ? Math.min(nowMs, windowMs) : windowMs
    const unfinished = [...this.#flying].filter(({ dueMs }) => this.#counts(dueMs)).length
    for (const flight of this.#flying) flight.forget()
    this.#finish(
      this.#tally.totals({
        windowSeconds: Math.max(0, endMs - warmupMs) / 1000,
        seconds: Math.max(0, Math.max(endMs, this.#lastLandingMs) - warmupMs) / 1000,
        unfinished,
        aborted,
        maxInFlight,
      }),
    )
    // A pool that is destroyed fails what it still holds; those flights were forgotten above.
    this.#pool.destroy().catch(() => {})
  }
}

function poolFor(plan: GeneratorPlan): Pool {
  return new Pool(plan.origin, {
    connections: plan.maxInFlight,
    pipelining: 1,
    // Flights are timed here, from the moment they were due.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: {
      timeout: plan.timeoutMs,
      // Development certificates are signed by nobody; on loopback there is nobody in between.
      rejectUnauthorized: !isLoopback(new URL(plan.origin).hostname),
    },
  })
}

function callOf(request: PlannedRequest): Dispatcher.DispatchOptions {
  return {
    method: request.method,
    path: request.path,
    headers: request.headers ?? {},
    body: request.body ?? null,
  }
}
