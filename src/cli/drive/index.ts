/** Drive: what may be sent to a server that nobody described. */
export type {
  DiscoveredTraffic,
  DiscoverOptions,
  NotDrivenRoute,
} from './discover-traffic.ts'
export { discoverTraffic } from './discover-traffic.ts'
export { OpenApi, readOpenApi } from './openapi.ts'
export { Params, readParams } from './params.ts'
export type { ProbeDatabase, ProbeRoute, ProbeTarget } from './probe-target.ts'
export { type Effect, SqlEffects } from './sql-effects.ts'
