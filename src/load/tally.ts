/**
 * Tally: counts of a load, by route. It lives in the generator's thread; `totals()` crosses to the
 * other one as plain JSON, and `resultOf` makes a `LoadResult` of it there.
 */
import { readHistogram, writeHistogram } from '../core/histogram-json.ts'
import { type HistogramJson, LatencyHistogram } from '../core/histogram.ts'
import {
  type LoadErrorKind,
  type LoadResult,
  loadErrorKinds,
  type RouteLoad,
} from './load-result.ts'
import { type PlannedRequest, routeOf } from './planned-request.ts'

interface RouteTally {
  readonly route: string
  readonly method: string
  requests: number
  errors: number
  readonly statuses: Record<string, number>
  readonly latency: LatencyHistogram
}

/** A tally as plain JSON. */
export interface TallyTotals {
  readonly windowSeconds: number
  readonly seconds: number
  readonly completed: number
  readonly unfinished: number
  readonly aborted: boolean
  readonly maxInFlight: number
  readonly responseBytes: number
  readonly errorKinds: Record<LoadErrorKind, number>
  readonly late: HistogramJson
  readonly routes: readonly {
    readonly route: string
    readonly method: string
    readonly requests: number
    readonly errors: number
    readonly statuses: Record<string, number>
    readonly latency: HistogramJson
  }[]
}

export class Tally {
  readonly late: LatencyHistogram = new LatencyHistogram()
  requests = 0
  errors = 0
  completed = 0
  responseBytes = 0
  readonly #errorKinds = Object.fromEntries(loadErrorKinds.map((kind) => [kind, 0])) as Record<
    LoadErrorKind,
    number
  >
  readonly #routes = new Map<string, RouteTally>()
  readonly #byRequest: RouteTally[]

  constructor(requests: readonly PlannedRequest[]) {
    this.#byRequest = requests.map((request) => this.#routeFor(request.method, routeOf(request)))
  }

  due(index: number): void {
    this.requests += 1
    this.#at(index).requests += 1
  }

  answered(index: number, status: number, ms: number, bytes: number): void {
    const route = this.#at(index)
    route.statuses[status] = (route.statuses[status] ?? 0) + 1
    this.responseBytes += bytes
    if (status >= 500) {
      this.#fail(route, 'status')
      return
    }
    this.completed += 1
    route.latency.record(ms)
  }

  failed(index: number, kind: LoadErrorKind, ageMs: number): void {
    const route = this.#at(index)
    this.#fail(route, kind)
    // A timeout is a lower bound of a latency: to leave it out would hide the slowest of all.
    if (kind === 'timeout') route.latency.record(ageMs)
  }

  totals(
    rest: Pick<TallyTotals, 'windowSeconds' | 'seconds' | 'unfinished' | 'aborted' | 'maxInFlight'>,
  ): TallyTotals {
    return {
      ...rest,
      completed: this.completed,
      responseBytes: this.responseBytes,
      errorKinds: this.#errorKinds,
      late: writeHistogram(this.late),
      routes: [...this.#routes.values()].map((route) => ({
        ...route,
        latency: writeHistogram(route.latency),
      })),
    }
  }

  #fail(route: RouteTally, kind: LoadErrorKind): void {
    this.errors += 1
    this.#errorKinds[kind] += 1
    route.errors += 1
  }

  #at(index: number): RouteTally {
    return this.#byRequest[index] as RouteTally
  }

  #routeFor(method: string, route: string): RouteTally {
    const key = `${method} ${route}`
    let tally = this.#routes.get(key)
    if (tally === undefined) {
      const latency = new LatencyHistogram()
      tally = { route, method, requests: 0, errors: 0, statuses: {}, latency }
      this.#routes.set(key, tally)
    }
    return tally
  }
}

export function resultOf(totals: TallyTotals): LoadResult {
  const latency = new LatencyHistogram()
  const routes: RouteLoad[] = totals.routes.map((route) => {
    const own = readHistogram(route.latency)
    latency.merge(own)
    return { ...route, latency: own }
  })
  const late = readHistogram(totals.late)
  const requests = routes.reduce((sum, route) => sum + route.requests, 0)
  return {
    seconds: totals.seconds,
    requests,
    errors: routes.reduce((sum, route) => sum + route.errors, 0),
    errorKinds: totals.errorKinds,
    unfinished: totals.unfinished,
    offeredPerSecond: perSecond(requests, totals.windowSeconds),
    completedPerSecond: perSecond(totals.completed, totals.seconds),
    responseBytes: totals.responseBytes,
    latency,
    routes,
    behind: {
      dropped: totals.errorKinds.dropped,
      lateP99Ms: late.count === 0 ? 0 : late.quantile(0.99),
      lateMaxMs: late.count === 0 ? 0 : late.max,
    },
    maxInFlight: totals.maxInFlight,
    aborted: totals.aborted,
  }
}

function perSecond(count: number, seconds: number): number {
  return seconds > 0 ? count / seconds : 0
}
