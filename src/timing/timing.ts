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
import { LatencyHistogram } from '../core/histogram.ts'
import { EventLoop } from './event-loop.ts'
import { prometheusOf } from './prometheus.ts'
import { RequestStore } from './request-store.ts'
import { RouteTable } from './route-table.ts'
import type { RouteTotals } from './route-totals.ts'
import { serverTimingOf } from './server-timing.ts'
import { checkedSnapshot, snapshotOf, snapshotVersion, type TimingSnapshot } from './snapshot.ts'
import { Span, type SpanOwner } from './span.ts'
import { type Scope, SpanScope, Timeline, type TimelineHost } from './timeline.ts'
import {
  defaultSettings,
  type TimingOptions,
  type TimingSettings,
  withOptions,
} from './timing-options.ts'
import { DB_MS, LATE, QUERIES, REQUESTS, Totals } from './totals.ts'
import { continueTrace, formatTraceparent } from './traceparent.ts'

/** Longer than any that is valid in this version; room for a later one. */
const MAX_TRACEPARENT = 256
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

  #settings: TimingSettings
  #store!: RequestStore
  #routes!: RouteTable
  #background!: Totals
  #deepSeen!: Map<string, number>
  #cpuAtReset!: NodeJS.CpuUsage
  #epochCheckMs = -Infinity
  #isClosed = false
  #lastId = 0
  readonly #loop = new EventLoop()

  constructor(options: TimingOptions = {}) {
    this.#settings = withOptions(defaultSettings(), options)
    this.backgroundSpans = {
      now: () => this.now(),
      spanEnded: (span) => this.#background.add(span),
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
    return this.storage.getStore()?.timeline
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
    const startMs = this.#settings.clock.now()
    if (startMs >= this.#epochCheckMs) this.#readEpoch(startMs)
    const parent =
      traceparent !== undefined && traceparent.length <= MAX_TRACEPARENT ? traceparent : undefined
    const timeline = new Timeline(
      this,
      ++this.#lastId,
      method,
      path,
      startMs,
      ++this.inFlight,
      parent,
    )
    const { deepEvery, detail } = this.#settings
    if (deepEvery > 0) timeline.deep = this.#isDeep(method, path)
    if (detail) timeline.loopActiveAtStart = performance.eventLoopUtilization().active
    return timeline
  }

  /** Its response has ended, or its client went away. Only the first call counts. */
  finish(timeline: Timeline, status: number, aborted: boolean): void {
    if (timeline.ended) return
    const now = this.#settings.clock.now()
    const durationMs = now - timeline.startMs
    this.inFlight -= 1
    timeline.endMs = now
    timeline.ended = true
    timeline.status = status
    timeline.aborted = aborted
    if (timeline.loopActiveAtStart >= 0) {
      timeline.loopActiveMs = performance.eventLoopUtilization().active - timeline.loopActiveAtStart
    }

    const { method, route } = timeline
    const totals =
      route === undefined
        ? this.#routes.ofPath(method, timeline.path)
        : this.#routes.ofRoute(method, route)
    timeline.totals = totals
    timeline.route = totals.route
    totals.addRequest(durationMs, aborted || status >= 500, timeline.responseBytes ?? 0)
    for (const span of timeline.spans) if (!span.isOpen) totals.add(span)
    const { overflow } = timeline
    if (overflow !== undefined) totals.merge(overflow.figures, overflow.uses())

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
    const scope = this.storage.getStore()
    if (scope === undefined || scope.timeline.ended) return fn()
    const span = scope.open('custom', name)
    scope.timeline.isScoped = true
    const inner = new SpanScope(scope.timeline, span)
    try {
      const result = this.storage.run(inner, fn)
      if (isThenable(result)) return this.#settled(result, span, inner) as T
      span.end()
      return result
    } catch (error) {
      span.end(error ?? 'error')
      throw error
    }
  }

  /** Counts work that belongs to no request. */
  background(kind: SpanKind, durationMs: number): void {
    const now = this.#settings.clock.now()
    const span = new Span(this.backgroundSpans, kind, '', now - durationMs, undefined)
    span.endMs = now
    this.#background.add(span)
  }

  /** Exact, since the last reset; routes with most time first. */
  routes(): RouteFacts[] {
    return this.#used()
      .map((totals) => totals.toFacts())
      .sort((a, b) => b.totalMs - a.totalMs)
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
    const loop = this.#loop
    const { user, system } = process.cpuUsage(this.#cpuAtReset)
    const { figures } = this.#background
    return {
      pid: process.pid,
      node: process.versions.node,
      cpuMs: (user + system) / 1000,
      maxRssMb: process.resourceUsage().maxRSS / 1024,
      loopUtilisation: loop.utilisation,
      loopDelayP99Ms: loop.delayMs(0.99),
      loopDelayMaxMs: loop.delayMs(1),
      background: { queries: figures[QUERIES] as number, dbMs: figures[DB_MS] as number },
    }
  }

  /** Totals as JSON, for `merge` in another process. */
  snapshot(): TimingSnapshot {
    return {
      version: snapshotVersion,
      routes: this.#used().map(snapshotOf),
      background: [...this.#background.figures],
    }
  }

  /** Adds what `snapshot` of another process gave. Throws SNAPSHOT_INVALID, and has added nothing then. */
  merge(value: unknown): void {
    const { routes, background } = checkedSnapshot(value)
    for (const { method, route, figures, uses, latency } of routes) {
      const totals = this.#routes.ofRoute(method, route)
      totals.merge(figures, uses)
      totals.latency.merge(LatencyHistogram.fromJSON(latency))
    }
    this.#background.merge(background, [])
  }

  /** Forgets all totals and kept requests. Requests under way are counted when they finish. */
  reset(): void {
    this.#store = new RequestStore(this.#settings)
    this.#routes = new RouteTable(this.#settings.maxRoutes, this.#store)
    this.#background = new Totals()
    this.#deepSeen = new Map()
    this.#cpuAtReset = process.cpuUsage()
    this.#loop.reset()
  }

  /** Totals in the text format of Prometheus. */
  prometheus(): string {
    return prometheusOf({
      routes: this.#used(),
      process: this.process(),
      loop: this.#loop,
      inFlight: this.inFlight,
    })
  }

  /** Value of the `Server-Timing` header; empty unless it is switched on. */
  serverTiming(timeline: Timeline): string {
    return this.#settings.serverTiming ? serverTimingOf(timeline) : ''
  }

  /** Value of the `traceparent` header of a call made for this request. */
  traceparent(timeline: Timeline): string {
    return formatTraceparent((timeline.outgoing ??= continueTrace(timeline.incoming)))
  }

  /** Stops watching the event loop. Counting goes on. */
  close(): void {
    this.#isClosed = true
    this.#loop.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #settled(result: PromiseLike<unknown>, span: Span, inner: SpanScope): Promise<unknown> {
    const done = (value: unknown) => {
      span.end()
      return value
    }
    const failed = (error: unknown) => {
      span.end(error ?? 'error')
      throw error
    }
    if (result instanceof Promise) return result.then(done, failed)
    // Calling `then` is what starts a lazy one, so it is called inside of the span.
    return this.storage
      .run(inner, () => new Promise((resolve, reject) => void result.then(resolve, reject)))
      .then(done, failed)
  }

  #used(): RouteTotals[] {
    return this.#routes.all.filter(({ figures }) => figures[REQUESTS] !== 0 || figures[LATE] !== 0)
  }

  #isDeep(method: string, path: string): boolean {
    // The framework's pattern is not known yet: requests are told apart by the folded path.
    const key = `${method} ${foldPath(path)}`
    if (this.#deepSeen.size >= MAX_DEEP_ROUTES && !this.#deepSeen.has(key)) return false
    const seen = this.#deepSeen.get(key) ?? 0
    this.#deepSeen.set(key, seen + 1)
    return seen % this.deepEvery === 0
  }

  /** Called with the first request, and then once a minute at most. */
  #readEpoch(now: number): void {
    this.#epochCheckMs = now + EPOCH_CHECK_MS
    if (!this.#isClosed) this.#loop.start()
    const epochMs = Date.now() - now
    if (Math.abs(epochMs - this.epochMs) > EPOCH_DRIFT_MS) this.epochMs = epochMs
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    value !== null &&
    (typeof value === 'object' || typeof value === 'function') &&
    typeof (value as { then?: unknown }).then === 'function'
  )
}
