/**
 * Route totals: everything of one route since the last reset, exact and of bounded size.
 *
 * A route that pastes values into its SQL has no end of statement shapes; the first `MAX_STATEMENTS`
 * have counters of their own, what comes later shares the one named `(other)`.
 */
import type { RouteFacts, StatementUse } from '../core/facts.ts'
import { type HistogramJson, LatencyHistogram } from '../core/histogram.ts'
import type { Span } from './span.ts'
import type { Timeline } from './timeline.ts'

const MAX_STATEMENTS = 500

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Sums that merge by adding. */
const sums = [
  'requests',
  'errors',
  'queries',
  'connects',
  'totalMs',
  'dbMs',
  'poolWaitMs',
  'connectMs',
  'httpMs',
  'responseBytes',
] as const
type Sums = Record<(typeof sums)[number], number>

export interface RouteSnapshot extends Readonly<Sums> {
  readonly method: string
  readonly route: string
  readonly latency: HistogramJson
  readonly statements: readonly StatementUse[]
}

export class RouteTotals implements Sums {
  readonly method: string
  readonly route: string
  requests = 0
  errors = 0
  queries = 0
  connects = 0
  totalMs = 0
  dbMs = 0
  poolWaitMs = 0
  connectMs = 0
  httpMs = 0
  responseBytes = 0
  readonly latency: LatencyHistogram = new LatencyHistogram()
  readonly #statements = new Map<string, Mutable<StatementUse>>()

  constructor(method: string, route: string) {
    this.method = method
    this.route = route
  }

  addRequest(timeline: Timeline): void {
    const durationMs = timeline.endMs - timeline.startMs
    this.requests += 1
    if (timeline.aborted || timeline.status >= 500) this.errors += 1
    this.totalMs += durationMs
    this.responseBytes += timeline.responseBytes
    this.latency.record(durationMs)
    if (timeline.spans.length > 0 || timeline.droppedSpans > 0) timeline.count(this)
  }

  addSpan(span: Span): void {
    const durationMs = span.endMs - span.startMs
    switch (span.kind) {
      case 'query':
        this.queries += 1
        this.dbMs += durationMs
        this.#addUse(span.statement ?? '(unknown)', {
          calls: 1,
          totalMs: durationMs,
          rows: span.rows,
          bytes: span.bytes,
          errors: span.error === undefined ? 0 : 1,
        })
        break
      case 'pool-wait':
        this.poolWaitMs += durationMs
        break
      case 'connect':
        this.connects += 1
        this.connectMs += durationMs
        break
      case 'http':
        this.httpMs += durationMs
        break
    }
  }

  merge(other: RouteSnapshot): void {
    for (const name of sums) this[name] += other[name]
    this.latency.merge(LatencyHistogram.fromJSON(other.latency))
    for (const use of other.statements) this.#addUse(use.statement, use)
  }

  snapshot(): RouteSnapshot {
    const { method, route } = this
    const statements = [...this.#statements.values()].map((use) => ({ ...use }))
    return { method, route, ...this.#sums(), latency: this.latency.toJSON(), statements }
  }

  toFacts(): RouteFacts {
    const { method, route, latency } = this
    return {
      method,
      route,
      ...this.#sums(),
      p50Ms: latency.quantile(0.5),
      p95Ms: latency.quantile(0.95),
      p99Ms: latency.quantile(0.99),
      statements: [...this.#statements.values()]
        .map((use) => ({ ...use }))
        .sort((a, b) => b.totalMs - a.totalMs),
    }
  }

  #sums(): Sums {
    return Object.fromEntries(sums.map((name) => [name, this[name]])) as Sums
  }

  #addUse(id: string, added: Omit<StatementUse, 'statement'>): void {
    let use = this.#statements.get(id)
    if (use === undefined) {
      const statement = this.#statements.size < MAX_STATEMENTS ? id : '(other)'
      use = this.#statements.get(statement)
      if (use === undefined) {
        use = { statement, calls: 0, totalMs: 0, rows: 0, bytes: 0, errors: 0 }
        this.#statements.set(statement, use)
      }
    }
    use.calls += added.calls
    use.totalMs += added.totalMs
    use.rows += added.rows
    use.bytes += added.bytes
    use.errors += added.errors
  }
}
