/** Route totals: everything of one route since the last reset, exact, in constant memory. */
import type { RouteFacts } from '../core/facts.ts'
import { LatencyHistogram } from '../core/histogram.ts'
import type { KeptRequests } from './kept-requests.ts'
import type { Span } from './span.ts'
import { ERRORS, LATE, REQUESTS, RESPONSE_BYTES, TOTAL_MS, Totals } from './totals.ts'

export class RouteTotals extends Totals {
  readonly method: string
  readonly route: string
  readonly latency: LatencyHistogram = new LatencyHistogram()
  readonly kept: KeptRequests
  /** Of the same route and another method. */
  next: RouteTotals | undefined

  constructor(method: string, route: string, kept: KeptRequests) {
    super()
    this.method = method
    this.route = route
    this.kept = kept
  }

  /** A request that has finished; its spans are added one by one. */
  addRequest(durationMs: number, isError: boolean, responseBytes: number): void {
    const { figures } = this
    figures[REQUESTS] += 1
    figures[TOTAL_MS] += durationMs
    if (isError) figures[ERRORS] += 1
    figures[RESPONSE_BYTES] += responseBytes
    this.latency.record(durationMs)
  }

  addLate(span: Span): void {
    this.figures[LATE] += 1
    this.add(span)
  }

  toFacts(): RouteFacts {
    const { method, route, latency } = this
    const { late: _, ...figures } = this.named()
    const [p50Ms, p95Ms, p99Ms] = [0.5, 0.95, 0.99].map((q) => latency.quantile(q)) as Quantiles
    return { method, route, ...figures, p50Ms, p95Ms, p99Ms, statements: this.statements() }
  }
}

type Quantiles = [number, number, number]
