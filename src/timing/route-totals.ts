/** Route totals: everything of one route since the last reset, exact, in constant memory. */
import type { RouteFacts } from '../core/facts.ts'
import { LatencyHistogram } from '../core/histogram.ts'
import type { KeptRequests } from './kept-requests.ts'
import type { Span } from './span.ts'
import { SpanTotals } from './span-totals.ts'

export class RouteTotals {
  readonly method: string
  readonly route: string
  /** Of the same route and another method. @internal */
  next: RouteTotals | undefined = undefined

  requests = 0
  /** Responses of 500 and above, and aborted ones. */
  errors = 0
  totalMs = 0
  responseBytes = 0
  /** Spans that ended after the response; they are in `spans` as well. */
  late = 0
  readonly latency: LatencyHistogram = new LatencyHistogram()
  readonly spans: SpanTotals = new SpanTotals()
  /** @internal */
  readonly kept: KeptRequests

  constructor(method: string, route: string, kept: KeptRequests) {
    this.method = method
    this.route = route
    this.kept = kept
  }

  addLate(span: Span): void {
    this.late += 1
    this.spans.add(span)
  }

  toFacts(): RouteFacts {
    const { latency, spans } = this
    return {
      method: this.method,
      route: this.route,
      requests: this.requests,
      errors: this.errors,
      queries: spans.queries,
      connects: spans.connects,
      totalMs: this.totalMs,
      dbMs: spans.dbMs,
      poolWaitMs: spans.poolWaitMs,
      connectMs: spans.connectMs,
      httpMs: spans.httpMs,
      responseBytes: this.responseBytes,
      p50Ms: latency.quantile(0.5),
      p95Ms: latency.quantile(0.95),
      p99Ms: latency.quantile(0.99),
      statements: spans.statements(),
    }
  }
}
