/** Timing: a request's timeline, per-route histograms, exporters. */
import { Timing } from './timing.ts'

export type { ProcessFacts, RequestFacts, RouteFacts, SpanFacts, SpanKind } from '../core/facts.ts'
export { LatencyHistogram } from '../core/histogram.ts'
export { Span } from './span.ts'
export { type Context, Timeline } from './timeline.ts'
export { Timing, type TimingOptions, type TimingSnapshot } from './timing.ts'
export { formatTraceparent, parseTraceparent, type TraceParent } from './trace-context.ts'

// The package may be loaded twice (two copies, or by `--import` and by the application): what the
// hooks of one measure must be seen by the other.
const key = Symbol.for('hasten.timing')
const shared = globalThis as { [key]?: Timing }

/** The process's own. */
export const timing: Timing = (shared[key] ??= new Timing())
