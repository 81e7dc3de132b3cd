/**
 * Timing: a request's timeline, per-route totals.
 *
 * `timing` is the process's own. It is one even where the package is loaded twice (two versions in one
 * tree, or once by `--import` and once by the application), since a request has one timeline.
 */
import { Timing } from './timing.ts'

const own = Symbol.for('hasten.timing')
const root = globalThis as { [own]?: Timing }

export const timing: Timing = (root[own] ??= new Timing())

export { Span } from './span.ts'
export { type Scope, SpanScope, Timeline } from './timeline.ts'
export { Timing }
export type { TimingOptions } from './timing-options.ts'
export { parseTraceparent, type TraceContext } from './traceparent.ts'
