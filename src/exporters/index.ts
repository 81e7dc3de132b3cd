/**
 * Exporters: what timing counted, in the forms in which others want it.
 *
 * Functions on a `Timing` or a `Timeline`, apart from both, so that an application loads only what it
 * hands out. They read any timing that is passed, also that of another copy of the package.
 */
export { prometheus } from './prometheus.ts'
export { serverTiming } from './server-timing.ts'
export { merge, type RouteSnapshot, snapshot, type TimingSnapshot } from './snapshot.ts'
export { traceparent } from './traceparent.ts'
