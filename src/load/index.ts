/** Load: asks a server at a given rate, and says truthfully how long each answer took. */
export type { ArrivalKind } from './arrivals.ts'
export type { LoadErrorKind, LoadProgress, LoadResult, RouteLoad } from './load-result.ts'
export { loadErrorKinds } from './load-result.ts'
export { isLoopback } from './origin.ts'
export type { PlannedRequest } from './planned-request.ts'
export { routeOf } from './planned-request.ts'
export type { LoadOptions } from './run-load.ts'
export { runLoad } from './run-load.ts'
