/**
 * Timing: begins and finishes the timelines of requests, and keeps what they come to.
 *
 *   begin ─▶ Timeline ─ open … end ─▶ finish ─┬─▶ totals of its route   exact, for ever
 *                                             ├─▶ request store         the slowest, a fair sample
 *                                             └─▶ channel hasten:request
 *
 * A request costs about a microsecond from begin to finish, most of it two readings of the clock and
 * one object. Strings, sums over spans and facts are made when somebody looks.
 *
 * There is one for the process, `timing`; the doctor makes others to merge snapshots into.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { performance } from 'node:perf_hooks'
import { channels } from '../core/channels.ts'
import type { ProcessFacts, RequestFacts, RouteFacts, SpanKind } from '../core/facts.ts'
import { foldPath } from '../core/fold-path.ts'
import { EventLoop } from './event-loop.ts'
import { RequestStore } from './request-store.ts'
import { RouteTable } from './route-table.ts'
import { Span, type SpanOwner } from './span.ts'
import { type Scope, SpanScope, Timeline, type TimelineHost } from './timeline.ts'
import { defaults, type TimingOptions, type TimingSettings, withOptions } from './timing-options.ts'
import { DB_MS, QUERIES, Totals } from './totals.ts'

const MAX_DEEP_ROUTES = 10_000
/** The system's clock is compared with ours this often, and followed from this difference on. */
const EPOCH_CHECK_MS = 60_000
const EPOCH_DRIFT_MS = 50

export class Timing implements TimelineHost {
  /** The one storage. What lies in it is a `Scope`: a timeline, or a span of one's own in one. */
  readonly storage: AsyncLocalStorage<Scope> = new AsyncLocalStorage<Scope>()
  /** Requests under way. */
  inFlight = 0
  /** @internal */
  epochMs: number = performance.timeOrigin
  /** @internal */
  readonly backgroundSpans: SpanOwner
  /** Totals of all routes, for exporters. @internal */
  table!: RouteTable
  /** Of the work that belongs to no request. @internal */
  unowned!: Totals
  /** @internal */
  readonly loop: EventLoop = new EventLoop()

  #settings: TimingSettings
  #store!: RequestStore
  #deepSeen!: Map<string, number>
  #cpuAtReset!: NodeJS.CpuUsage
  #epochCheckMs = -Infinity
  #isClosed = false
  #lastId = 0

  constructor(options: TimingOptions = {}) {
    this.#settings = withOptions(defaults, options)
    this.backgroundSpans = {
      now: () => this.now(),
      spanEnded: (span) => this.unowned.add(span),
    }
    this.reset()
  }

  /** @internal */
  get maxSpans(): number {
    return this.#settings.maxSpans
  }

  /** Every n-th request of a route is `deep`; 0 is never. */
  get deepEvery(): number {
    return this.#settings.deepEvery
  }

  set deepEvery(every: number) {
    this.configure({ deepEvery: every })
  }

  /**
   * Changes options from now on. Those of the store (`slowest…`, `sample…`, `maxKeptBytes`) and
   * `maxRoutes` hold from the next `reset`.
   */
  configure(options: TimingOptions): void {
    this.#settings = withOptions(this.#settings, options)
  }

  /** The timeline of the request for which this code runs. */
  current(): Timeline | undefined {
    return this.scope()?.timeline
  }

  /** The timeline or the span of one's own in it: what opens spans with the right parent. */
  scope(): Scope | undefined {
    return this.storage.getStore()
  }

  /** @internal */
  now(): number {
    return this.#settings.clock.now()
  }

  /** A request has come. `path` as in the request line; `traceparent` the header's value. */
  begin(method: string, path: string, traceparent?: string): Timeline {
    const startMs = this.now()
    if (startMs >= this.#epochCheckMs) this.#readEpoch(startMs)
    const timeline = new Timeline(
      this,
      ++this.#lastId,
      method,
      path,
      startMs,
      ++this.inFlight,
      traceparent,
    )
    const { deepEvery, detail } = this.#settings
    if (deepEvery > 0) timeline.deep = this.#isDeep(method, path)
    if (detail) timeline.loopStartMs = loopActiveMs()
    return timeline
  }

  /** Its response has ended, or its client went away. Only the first call counts. */
  finish(timeline: Timeline, status: number, aborted: boolean): void {
    if (timeline.ended) return
    const now = this.now()
    const durationMs = now - timeline.startMs
    this.inFlight -= 1
    timeline.endMs = now
    timeline.ended = true
    timeline.status = status
    timeline.aborted = aborted
    if (timeline.loopStartMs >= 0) {
      timeline.loopActiveMs = loopActiveMs() - timeline.loopStartMs
    }

    const { method, route } = timeline
    const totals =
      route === undefined
        ? this.table.ofPath(method, timeline.path)
        : this.table.ofRoute(method, route)
    timeline.totals = totals
    timeline.route = totals.route
    totals.addRequest(durationMs, aborted || status >= 500, timeline.responseBytes ?? 0)
    for (const span of timeline.spans) if (!span.isOpen) totals.add(span)
    const { overflow } = timeline
    if (overflow) totals.merge(overflow.figures, overflow.uses())

    if (channels.request.hasSubscribers) channels.request.publish(timeline)
    timeline.path = ''
    this.#store.offer(timeline, durationMs, totals.kept)
  }

  /**
   * Runs `fn` as a span of one's own: `await timing.span('rank offers', () => rank(offers))`. Spans
   * within become its children. Outside of a request `fn` just runs.
   *
   * Returns what `fn` returns. A promise ends the span when it settles. A thenable that only starts
   * when it is awaited (a query builder) is started, and comes back as a promise.
   */
  span<T>(name: string, fn: () => T): T {
    const scope = this.scope()
    if (!scope || scope.timeline.ended) return fn()
    const span = scope.open('custom', name)
    scope.timeline.isScoped = true
    const inner = new SpanScope(scope.timeline, span)
    const done = <V>(value: V): V => {
      span.end()
      return value
    }
    const failed = (error: unknown): never => {
      span.end(error ?? 'error')
      throw error
    }
    try {
      const result = this.storage.run(inner, fn)
      if (!isThenable(result)) return done(result)
      // Calling `then` is what starts a lazy one, so it is called inside of the span.
      const promise =
        result instanceof Promise
          ? result
          : this.storage.run(
              inner,
              () => new Promise((resolve, reject) => void result.then(resolve, reject)),
            )
      return promise.then(done, failed) as T
    } catch (error) {
      return failed(error)
    }
  }

  /** Counts work that belongs to no request. */
  background(kind: SpanKind, durationMs: number): void {
    const span = new Span(this.backgroundSpans, kind, '', 0, undefined)
    span.endMs = durationMs
    this.unowned.add(span)
  }

  /** Exact, since the last reset; routes with most time first. */
  routes(): RouteFacts[] {
    return this.table.used.map((totals) => totals.toFacts()).sort((a, b) => b.totalMs - a.totalMs)
  }

  /** Whole requests, slowest first: of all, and of each route. */
  slowest(): RequestFacts[] {
    return this.#store.slowest()
  }

  /** Whole requests, a fair sample of each route, in order of coming. May hold slow ones too. */
  sample(): RequestFacts[] {
    return this.#store.sample()
  }

  process(): ProcessFacts {
    const loop = this.loop
    const { user, system } = process.cpuUsage(this.#cpuAtReset)
    const { figures } = this.unowned
    return {
      pid: process.pid,
      node: process.versions.node,
      cpuMs: (user + system) / 1000,
      maxRssMb: process.resourceUsage().maxRSS / 1024,
      loopUtilisation: loop.utilisation,
      loopDelayP99Ms: loop.delayMs(0.99),
      loopDelayMaxMs: loop.delayMs(1),
      background: { queries: figures[QUERIES], dbMs: figures[DB_MS] },
    }
  }

  /** Forgets all totals and kept requests. Requests under way are counted when they finish. */
  reset(): void {
    this.#store = new RequestStore(this.#settings)
    this.table = new RouteTable(this.#settings.maxRoutes, this.#store)
    this.unowned = new Totals()
    this.#deepSeen = new Map()
    this.#cpuAtReset = process.cpuUsage()
    this.loop.reset()
  }

  /** Stops watching the event loop. Counting goes on. */
  close(): void {
    this.#isClosed = true
    this.loop.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #isDeep(method: string, path: string): boolean {
    // The framework's pattern is not known yet: requests are told apart by the folded path.
    const key = `${method} ${foldPath(path)}`
    const counts = this.#deepSeen
    const seen = counts.get(key) ?? 0
    if (seen === 0 && counts.size >= MAX_DEEP_ROUTES) return false
    counts.set(key, seen + 1)
    return seen % this.deepEvery === 0
  }

  /** Called with the first request, and then once a minute at most. */
  #readEpoch(now: number): void {
    this.#epochCheckMs = now + EPOCH_CHECK_MS
    if (!this.#isClosed) this.loop.start()
    const epochMs = Date.now() - now
    if (Math.abs(epochMs - this.epochMs) > EPOCH_DRIFT_MS) this.epochMs = epochMs
  }
}

function loopActiveMs(): number {
  return performance.eventLoopUtilization().active
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}
