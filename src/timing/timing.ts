/**
 * Timing: where the time of every request goes, always on.
 *
 *   hooks ──▶ begin ─ open ─ end ─ finish ──┬─▶ totals per route    exact, mergeable
 *                                           ├─▶ store               slowest and a fair sample
 *                                           └─▶ channel hasten:request
 *
 * One AsyncLocalStorage for everything, entered once a request: each further one costs percents of a
 * small route on Node 20 and 22.
 *
 * Bounds: `maxRoutes` routes, the rest shares `(other)`; per route 500 statement shapes; of whole
 * requests `slowest` and `sample` per route; spans kept per request and in all.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { channels } from '../core/channels.ts'
import { type Clock, monotonic } from '../core/clock.ts'
import type { ProcessFacts, RequestFacts, RouteFacts, SpanKind } from '../core/facts.ts'
import { foldPath } from '../core/fold-path.ts'
import { refuseUnknown, wholeNumber } from '../core/options.ts'
import { EventLoop, loopActiveMs } from './event-loop.ts'
import { prometheusText } from './prometheus.ts'
import { RequestStore } from './request-store.ts'
import { type RouteSnapshot, RouteTotals } from './route-totals.ts'
import { serverTimingValue } from './server-timing.ts'
import type { Span } from './span.ts'
import { type Context, Scope, Timeline } from './timeline.ts'
import { formatTraceparent, newSpanId, newTraceId, parseTraceparent } from './trace-context.ts'

export interface TimingOptions {
  /** Routes with totals of their own. @default 1000 */
  readonly maxRoutes?: number | undefined
  /** Slowest requests kept per route. @default 3 */
  readonly slowest?: number | undefined
  /** Requests sampled per route. @default 5 */
  readonly sample?: number | undefined
  /** Spans kept per request; those beyond are counted. @default 1000 */
  readonly maxSpans?: number | undefined
  /** Spans of all kept requests together. @default 50,000 */
  readonly maxKeptSpans?: number | undefined
  /** @default performance */
  readonly clock?: Clock | undefined
  /** Chooses the sample. @default Math.random */
  readonly random?: (() => number) | undefined
}

export interface TimingSnapshot {
  readonly routes: readonly RouteSnapshot[]
}

const optionNames = [
  'maxRoutes',
  'slowest',
  'sample',
  'maxSpans',
  'maxKeptSpans',
  'clock',
  'random',
]

export class Timing {
  readonly storage: AsyncLocalStorage<Context> = new AsyncLocalStorage<Context>()
  /** Every n-th request hashes the values it meets; 0: none does. */
  deepEvery = 0
  /** Measure the loop's active time of each request: some 0.5 µs more. */
  measuresLoop = false
  /** Requests begun and not finished. */
  inFlight = 0
  readonly #clock: Clock
  readonly #maxRoutes: number
  readonly #maxSpans: number
  readonly #loop = new EventLoop()
  #routes = new Map<string, Map<string, RouteTotals>>()
  #routeCount = 0
  #store: RequestStore
  readonly #random: () => number
  readonly #maxKeptSpans: number
  #nextId = 1
  #cpu = process.cpuUsage()
  #backgroundQueries = 0
  #backgroundMs = 0

  constructor(options: TimingOptions = {}) {
    refuseUnknown('Timing', options, optionNames)
    this.#clock = options.clock ?? monotonic
    this.#random = options.random ?? Math.random
    this.#maxRoutes = wholeNumber('maxRoutes', options.maxRoutes ?? 1000, 1)
    this.#maxSpans = wholeNumber('maxSpans', options.maxSpans ?? 1000, 1)
    this.#maxKeptSpans = wholeNumber('maxKeptSpans', options.maxKeptSpans ?? 50_000, 1)
    this.#store = this.#newStore(options.slowest ?? 3, options.sample ?? 5)
  }

  /** Of the request in whose context this runs. */
  current(): Timeline | undefined {
    return this.storage.getStore()?.timeline
  }

  /** A span of the running request, below the user's own span if one runs. */
  open(kind: SpanKind, name: string, startMs?: number): Span | undefined {
    const context = this.storage.getStore()
    return context?.timeline.open(kind, name, startMs, context.scope)
  }

  begin(method: string, path: string, traceparent?: string): Timeline {
    this.inFlight += 1
    const id = this.#nextId++
    const deep = this.deepEvery > 0 && id % this.deepEvery === 0
    const { inFlight } = this
    const now = this.#clock.now()
    const timeline = new Timeline(
      id,
      method,
      path,
      now,
      inFlight,
      deep,
      this.#clock,
      this.#maxSpans,
    )
    if (traceparent !== undefined) adoptTrace(timeline, traceparent)
    if (this.measuresLoop) timeline.loopActiveMs = loopActiveMs()
    return timeline
  }

  /** Ends the request, once; later calls do nothing. Without `timeline.route` the path is folded. */
  finish(timeline: Timeline, status: number, aborted: boolean): void {
    if (timeline.ended) return
    timeline.endMs = this.#clock.now()
    timeline.ended = true
    timeline.status = status
    timeline.aborted = aborted
    if (this.measuresLoop) timeline.loopActiveMs = loopActiveMs() - timeline.loopActiveMs
    this.inFlight -= 1
    const totals = this.#totalsOf(timeline.method, (timeline.route ??= foldPath(timeline.path)))
    if (totals.route !== timeline.route) timeline.route = totals.route
    totals.addRequest(timeline)
    this.#store.add(totals, timeline)
    if (channels.request.hasSubscribers) channels.request.publish(timeline)
  }

  /** Work that belongs to no request: counted, never booked to a route. */
  background(kind: SpanKind, durationMs: number): void {
    if (kind !== 'query') return
    this.#backgroundQueries += 1
    this.#backgroundMs += durationMs
  }

  /**
   * Runs `fn` and times it as a span of the request it runs in; without a request it just runs.
   * Spans nest. Where `fn` returns a thenable that is no Promise (a query builder), a Promise of its
   * result is returned, since asking it twice would run it twice.
   */
  span<T>(name: string, fn: () => T): T {
    const context = this.storage.getStore()
    if (context === undefined) return fn()
    const span = context.timeline.open('custom', name, undefined, context.scope)
    const scope = new Scope(span)
    let result: T
    try {
      result = this.storage.run(scope, fn)
    } catch (error) {
      span.end(error)
      throw error
    }
    if (!isThenable(result)) {
      span.end()
      return result
    }
    const promise =
      result instanceof Promise ? result : this.storage.run(scope, () => Promise.resolve(result))
    promise.then(
      () => span.end(),
      (error: unknown) => span.end(error ?? new Error('rejected')),
    )
    return promise as T
  }

  /** Exact totals since the last reset, most requests first. */
  routes(): RouteFacts[] {
    const totals = this.#allTotals().sort((a, b) => b.requests - a.requests)
    return totals.map((each) => each.toFacts())
  }

  /** Slowest requests of each route, slowest first. */
  slowest(): RequestFacts[] {
    return this.#store.slowest().map((timeline) => timeline.toFacts())
  }

  /** A fair sample of each route's requests. */
  sample(): RequestFacts[] {
    return this.#store.sample().map((timeline) => timeline.toFacts())
  }

  /** Slowest and sample, each request once. */
  kept(): RequestFacts[] {
    return this.#store.all().map((timeline) => timeline.toFacts())
  }

  /** Keeps this many of each route from now on, and forgets those kept until now. */
  keep(slowest: number, sample: number): void {
    this.#store = this.#newStore(slowest, sample)
  }

  process(): ProcessFacts {
    this.#loop.watch()
    const { user, system } = process.cpuUsage(this.#cpu)
    return {
      pid: process.pid,
      node: process.version,
      cpuMs: (user + system) / 1000,
      maxRssMb: process.resourceUsage().maxRSS / 1024,
      loopUtilisation: this.#loop.utilisation,
      loopDelayP99Ms: this.#loop.delayMs(0.99),
      loopDelayMaxMs: this.#loop.delayMs(1),
      background: { queries: this.#backgroundQueries, dbMs: this.#backgroundMs },
    }
  }

  /** Measures event-loop delay from now on, not from the first time it is asked for. */
  watchLoop(): void {
    this.#loop.watch()
  }

  /** Plain JSON; `merge` of another process takes it. */
  snapshot(): TimingSnapshot {
    return { routes: this.#allTotals().map((totals) => totals.snapshot()) }
  }

  /** Adds what another process counted: exact, histograms included. */
  merge(snapshot: TimingSnapshot): void {
    for (const route of snapshot.routes) this.#totalsOf(route.method, route.route).merge(route)
  }

  /** Forgets everything counted; requests in flight count when they finish. */
  reset(): void {
    this.#routes = new Map()
    this.#routeCount = 0
    this.#store.clear()
    this.#loop.reset()
    this.#cpu = process.cpuUsage()
    this.#backgroundQueries = 0
    this.#backgroundMs = 0
  }

  prometheus(): string {
    return prometheusText(this.#allTotals(), this.process())
  }

  /** Value of a `Server-Timing` header for what has happened so far. */
  serverTiming(timeline: Timeline): string {
    return serverTimingValue(timeline)
  }

  /** Value of a `traceparent` header for a call that this request makes. */
  traceparent(timeline: Timeline): string {
    timeline.traceId ??= newTraceId()
    return formatTraceparent(timeline.traceId, newSpanId(), timeline.isTraceSampled)
  }

  close(): void {
    this.#loop.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #newStore(slowest: number, sample: number): RequestStore {
    const bounds = {
      slowest: wholeNumber('slowest', slowest, 0),
      sample: wholeNumber('sample', sample, 0),
      spans: this.#maxKeptSpans,
    }
    return new RequestStore(bounds, this.#random)
  }

  #totalsOf(method: string, route: string): RouteTotals {
    const totals = this.#routes.get(method)?.get(route)
    if (totals !== undefined) return totals
    // A client may invent methods; Node's parser knows 35 of them, so this needs no bound of its own.
    let byRoute = this.#routes.get(method)
    if (byRoute === undefined) this.#routes.set(method, (byRoute = new Map()))
    const name = this.#routeCount < this.#maxRoutes ? route : '(other)'
    let made = byRoute.get(name)
    if (made === undefined) {
      made = new RouteTotals(method, name)
      byRoute.set(name, made)
      this.#routeCount += 1
    }
    return made
  }

  #allTotals(): RouteTotals[] {
    return [...this.#routes.values()].flatMap((byRoute) => [...byRoute.values()])
  }
}

function adoptTrace(timeline: Timeline, header: string): void {
  const parent = parseTraceparent(header)
  if (parent === undefined) return
  timeline.traceId = parent.traceId
  timeline.parentSpanId = parent.parentId
  timeline.isTraceSampled = parent.isSampled
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  )
}
