/**
 * Examination: what the doctor does with a running server, step by step.
 *
 *   traffic ──▶ solo ──▶ profile ──▶ rate ──▶ load ──▶ plans
 *   what to     each     those that   busy,    held,    EXPLAIN of
 *   ask         alone    block        keeps up counted  what is slow
 *
 * Every step may be the last: the server crashes, the user presses Ctrl-C. What was learnt until
 * then is in the fields, and the report is made from them. So nothing here returns a result; each
 * step writes what it knows as soon as it knows it.
 *
 * The steps are apart because each spoils the next: a profile slows what it watches, a ramp of rates
 * mixes times that do not belong together, and a cold cache belongs to nobody.
 */
import type { BlockFacts, Observation, Phase, PlanFacts, RequestFacts } from '../../core/facts.ts'
import { HastenError } from '../../core/errors.ts'
import {
  type Answer,
  autoRate,
  type LoadProgress,
  type LoadResult,
  type PlannedRequest,
  runLoad,
  runSequence,
  searchRate,
} from '../../load/index.ts'
import type { LoadMode, LoadSummary, NotDriven, Progress } from '../../report/index.ts'
import type { Target } from '../target/index.ts'
import type { Goal } from '../goal.ts'
import { dependenciesOf } from './packages.ts'
import { RouteNames } from './route-names.ts'

export interface Traffic {
  readonly mode: LoadMode
  readonly requests: readonly PlannedRequest[]
  readonly notDriven: readonly NotDriven[]
}

export interface ExaminationOptions {
  readonly origin: string
  /** Requests of each route sent alone. */
  readonly solo: number
  /** Given rate, else one is found. */
  readonly ratePerSecond: number | undefined
  readonly goal: Goal | undefined
  readonly seconds: number
  readonly seed: number
  /** Drive although the database is on another machine. */
  readonly isRemoteAllowed: boolean
  readonly signal: AbortSignal
  readonly progress: Progress
}

/** Sending each route alone takes no longer than this altogether, whatever `solo` says. */
const SOLO_BUDGET_MS = 30_000
/** The loop was busy so long during a lone request that something may have blocked it. */
const BUSY_MS = 20
const PROFILED = 4
/** One in so many requests under load hashes its values. */
const DEEP_EVERY = 20
/** Statements are explained from this mean on, the costliest first. */
const EXPLAIN_FROM_MS = 5
const EXPLAINED = 40

const nothing: Phase = { seconds: 0, routes: [], requests: [], pools: [], processes: [] }

export class Examination {
  /** The server ended by itself. */
  hasEnded = false
  readonly names: RouteNames = new RouteNames()
  readonly notes: string[] = []
  notDriven: readonly NotDriven[] = []
  driven: LoadResult | undefined
  summary: LoadSummary
  #solo: Phase = nothing
  #load: Phase = nothing
  #blocks: readonly BlockFacts[] = []
  #plans: readonly PlanFacts[] = []
  #planned: Record<string, number> | undefined
  #isRateSearched = false
  readonly #dependencies = dependenciesOf(process.cwd())
  readonly #target: Target
  readonly #options: ExaminationOptions

  constructor(target: Target, mode: LoadMode, options: ExaminationOptions) {
    this.#target = target
    this.#options = options
    this.summary = { mode, ratePerSecond: 0, seconds: 0, requests: 0, errors: 0 }
    void target.exited.then(() => {
      this.hasEnded = true
    })
  }

  get observation(): Observation {
    return {
      solo: this.#solo,
      load: this.#load,
      statements: this.#target.statements(),
      blocks: this.#blocks,
      plans: this.#plans,
      ...(this.#planned === undefined ? {} : { plannedPerSecond: this.#planned }),
      isRateSearched: this.#isRateSearched,
      packages: [...this.#target.seen().modules.map(({ name }) => name), ...this.#dependencies],
    }
  }

  /** Drives the server. Returns early where the signal fires or the server ends. */
  async drive(traffic: Traffic): Promise<void> {
    this.notDriven = traffic.notDriven
    if (traffic.requests.length === 0) return
    this.#assertDrivable()
    const answers = await this.#askAlone(traffic.requests)
    if (this.#isOver) return
    await this.#findBlocks(answers)
    if (this.#isOver) return
    const requests = traffic.requests.map((request) => this.#named(request))
    const ratePerSecond = await this.#chooseRate(requests, answers)
    if (this.#isOver) return
    await this.#hold(requests, ratePerSecond)
    if (this.#isOver) return
    await this.#explain()
  }

  /** Watches the traffic of others until the time is over, the signal fires or the server ends. */
  async watch(seconds: number): Promise<void> {
    const { signal, progress } = this.#options
    await this.#target.beginPhase({ deepEvery: DEEP_EVERY })
    const started = performance.now()
    const elapsed = () => (performance.now() - started) / 1000
    while (elapsed() < seconds && !this.#isOver) {
      progress.update('watching', `${Math.floor(elapsed())} of ${seconds} s, Ctrl-C ends it`)
      await this.#pause(Math.min(500, (seconds - elapsed()) * 1000), signal)
    }
    this.#load = await this.#target.takePhase()
    const { routes } = this.#load
    const requests = routes.reduce((sum, route) => sum + route.requests, 0)
    this.summary = {
      mode: 'watched',
      ratePerSecond: requests / Math.max(elapsed(), 1e-3),
      seconds: elapsed(),
      requests,
      errors: routes.reduce((sum, route) => sum + route.errors, 0),
    }
    // What came while nothing else ran is as good as asked alone.
    const alone = this.#load.requests.filter(({ concurrency }) => concurrency === 1)
    this.#solo = { ...this.#load, requests: alone }
    if (this.hasEnded) return
    await this.#explain()
  }

  get #isOver(): boolean {
    return this.#options.signal.aborted || this.hasEnded
  }

  async #askAlone(requests: readonly PlannedRequest[]): Promise<Answer[]> {
    const { origin, signal, progress, solo } = this.#options
    const perRoute = oneOfEachRoute(requests)
    progress.update('warming up', `${perRoute.length} routes`)
    // Once, uncounted: connections are opened, code is compiled, and the server tells which route
    // each path belongs to.
    const warm = await runSequence(perRoute, {
      origin,
      signal,
      // Many applications connect when they are asked first.
      onAnswer: () => this.#assertDrivable(),
    })
    for (const answer of warm) await this.#learnRoute(answer)
    this.#noteFailures(warm)
    if (this.#isOver) return warm

    const chosen = choose(
      requests.map((request) => this.#named(request)),
      solo,
      new Map(warm.map(({ request, durationMs }) => [keyOf(this.#named(request)), durationMs])),
    )
    await this.#target.beginPhase({ deepEvery: 1 })
    const answers = await runSequence(chosen, {
      origin,
      signal,
      onAnswer: (_, index) => progress.update('asking alone', `${index + 1} of ${chosen.length}`),
    })
    for (const answer of answers) await this.#learnRoute(answer)
    this.#solo = await this.#target.takePhase()
    return answers
  }

  #assertDrivable(): void {
    if (this.#options.isRemoteAllowed) return
    const remote = this.#target.databases().find(({ isLoopback }) => !isLoopback)
    if (remote === undefined) return
    const { database, host, port } = remote
    throw new HastenError(
      'DATABASE_REMOTE',
      `the server uses the database ${database} on ${host}:${port}, which is not this machine. It was not driven. Say --allow-remote-database if load on it is fine, or --watch to look at its own traffic.`,
    )
  }

  async #learnRoute({ traceId, request, status }: Answer): Promise<void> {
    if (status === 0 || this.#isOver) return
    const facts = await this.#target.request(traceId)
    if (facts !== undefined) this.names.learn(request, facts.route)
  }

  #noteFailures(answers: readonly Answer[]): void {
    for (const { request, status, error, errorMessage } of answers) {
      const what = `${request.method} ${request.path}`
      if (error !== undefined)
        this.notes.push(`${what} was not answered: ${errorMessage ?? error}.`)
      else if (status >= 400) {
        this.notes.push(`${what} answers ${status}: its times are those of an error.`)
      }
    }
  }

  /**
   * By the name that the server counts under, so that both sides' figures meet in one line. A label
   * of the request file only tells kinds of requests apart; a discovered route is the server's name.
   */
  #named(request: PlannedRequest): PlannedRequest {
    if (request.route !== undefined && this.summary.mode === 'discovered') return request
    return { ...request, route: this.names.nameOf(request) }
  }

  /** Only routes that kept the loop busy are asked again under a profile: it slows what it watches. */
  async #findBlocks(answers: readonly Answer[]): Promise<void> {
    const { origin, signal, progress } = this.#options
    const busy = new Set(
      this.#solo.requests
        .filter(({ loopActiveMs }) => (loopActiveMs ?? 0) >= BUSY_MS)
        .map(({ method, route }) => `${method} ${route}`),
    )
    const byRoute = new Map<string, PlannedRequest[]>()
    for (const { request } of answers) {
      const key = `${request.method} ${this.names.nameOf(request)}`
      if (!busy.has(key)) continue
      const list = byRoute.get(key) ?? []
      list.push(request)
      byRoute.set(key, list)
    }
    const profiled = [...byRoute.values()].flatMap((list) =>
      Array.from({ length: PROFILED }, (_, i) => list[i % list.length] as PlannedRequest),
    )
    if (profiled.length === 0) return
    await this.#target.beginPhase({})
    await this.#target.profileStart()
    await runSequence(profiled, {
      origin,
      signal,
      onAnswer: (_, index) =>
        progress.update('finding what blocks the event loop', `${index + 1} of ${profiled.length}`),
    })
    const { requests } = await this.#target.takePhase()
    this.#blocks = await this.#target.profileStop([...requests])
  }

  async #chooseRate(requests: readonly PlannedRequest[], solo: readonly Answer[]): Promise<number> {
    const { origin, goal, ratePerSecond, seed, signal, progress } = this.#options
    if (ratePerSecond !== undefined) return ratePerSecond
    this.#isRateSearched = true
    const common = {
      origin,
      requests,
      seed,
      signal,
      onProgress: (_: LoadProgress, rate: number) =>
        progress.update('finding the rate', `${figure(rate)} requests per second`),
    }
    if (goal !== undefined) {
      const found = await searchRate({ ...common, goal })
      const held = found.ratePerSecond > 0
      this.summary = {
        ...this.summary,
        goal: {
          ...goal,
          heldPerSecond: held ? found.ratePerSecond : null,
        },
      }
      if (!held)
        this.notes.push('No rate held the goal; what follows was measured at 1 per second.')
      return held ? found.ratePerSecond : 1
    }
    const found = await autoRate({ ...common, solo })
    if (!found.keepsUp) {
      this.notes.push(
        `The server did not keep up with ${figure(found.ratePerSecond)} requests per second, the least that was tried: its waiting times have no upper bound.`,
      )
    }
    return found.ratePerSecond
  }

  async #hold(requests: readonly PlannedRequest[], ratePerSecond: number): Promise<void> {
    const { origin, seconds, seed, signal, progress } = this.#options
    this.#planned = plannedRates(requests, ratePerSecond)
    // Connections and code that this rate needs, opened and compiled before anything counts.
    const plan = { origin, requests, ratePerSecond, seed, signal }
    progress.update('load', 'warming up')
    await runLoad({ ...plan, seconds: Math.min(2, seconds), drainMs: 10_000 })
    if (this.#isOver) return
    await this.#target.beginPhase({ deepEvery: DEEP_EVERY })
    this.driven = await runLoad({
      ...plan,
      seconds,
      drainMs: 10_000,
      onProgress: (load) => this.#tellLoad(load, progress, seconds),
    })
    this.#load = await this.#target.takePhase()
    const { driven } = this
    this.summary = {
      ...this.summary,
      ratePerSecond,
      seconds: driven.seconds,
      requests: driven.requests,
      errors: driven.errors,
    }
    if (driven.behind.lateP99Ms > 20) {
      this.notes.push(
        `Requests were sent up to ${figure(driven.behind.lateP99Ms)} ms late (p99): this machine is too small to send and to serve so much at once, and the latencies contain it.`,
      )
    }
  }

  #tellLoad(load: LoadProgress, progress: Progress, seconds: number): void {
    const done = `${Math.floor(load.elapsedSeconds)} of ${seconds} s`
    const errors = load.errors === 0 ? '' : `, ${load.errors} errors`
    progress.update('load', `${done}, ${figure(load.ratePerSecond)} answers per second${errors}`)
  }

  async #explain(): Promise<void> {
    const uses = new Map<string, { totalMs: number; calls: number }>()
    for (const { statements } of [...this.#solo.routes, ...this.#load.routes]) {
      for (const { statement, totalMs, calls } of statements) {
        const use = uses.get(statement) ?? { totalMs: 0, calls: 0 }
        uses.set(statement, { totalMs: use.totalMs + totalMs, calls: use.calls + calls })
      }
    }
    const slow = [...uses]
      .filter(([, { totalMs, calls }]) => totalMs / Math.max(1, calls) >= EXPLAIN_FROM_MS)
      .sort((a, b) => b[1].totalMs - a[1].totalMs)
      .slice(0, EXPLAINED)
      .map(([id]) => id)
    if (slow.length === 0) return
    this.#options.progress.update('asking the planner', `${slow.length} statements`)
    // A database that hangs is no reason to keep somebody who has pressed Ctrl-C.
    const plans = this.#target.explain(slow)
    this.#plans = await Promise.race([plans, this.#interrupted().then(() => [])])
  }

  #interrupted(): Promise<void> {
    const { signal } = this.#options
    return new Promise((resolve) => {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, Math.max(1, ms))
      signal.addEventListener('abort', done, { once: true })
      void this.#target.exited.then(done)
    })
  }
}

/** Whole requests of both phases, for waterfalls. */
export function requestsOf({ solo, load }: Observation): RequestFacts[] {
  return [...load.requests, ...solo.requests]
}

/** The most weighty request of each label, or of each folded path where there is none. */
function oneOfEachRoute(requests: readonly PlannedRequest[]): PlannedRequest[] {
  const names = new RouteNames()
  const byRoute = new Map<string, PlannedRequest>()
  for (const request of requests) {
    const route = request.route ?? names.nameOf(request)
    const key = `${request.method} ${route}`
    if (!byRoute.has(key)) byRoute.set(key, request)
  }
  return [...byRoute.values()]
}

/** Up to `solo` requests of each route, different ones where there are, fewer where they are slow. */
function choose(
  requests: readonly PlannedRequest[],
  solo: number,
  durations: ReadonlyMap<string, number>,
): PlannedRequest[] {
  const byRoute = new Map<string, PlannedRequest[]>()
  for (const request of requests) {
    const key = keyOf(request)
    byRoute.set(key, [...(byRoute.get(key) ?? []), request])
  }
  const budgetMs = SOLO_BUDGET_MS / byRoute.size
  return [...byRoute].flatMap(([key, list]) => {
    const eachMs = Math.max(1, durations.get(key) ?? 0)
    // Three at the least: fewer have no middle one.
    const times = Math.min(solo, Math.max(3, Math.floor(budgetMs / eachMs)))
    return Array.from({ length: times }, (_, i) => list[i % list.length] as PlannedRequest)
  })
}

function keyOf({ method, route }: Pick<PlannedRequest, 'method' | 'route'>): string {
  return `${method} ${route}`
}

function plannedRates(
  requests: readonly PlannedRequest[],
  ratePerSecond: number,
): Record<string, number> {
  const total = requests.reduce((sum, { weight }) => sum + weight, 0)
  const rates: Record<string, number> = {}
  for (const request of requests) {
    const key = keyOf(request)
    rates[key] = (rates[key] ?? 0) + (request.weight / total) * ratePerSecond
  }
  return rates
}

function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(2)
}
