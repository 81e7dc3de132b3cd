/**
 * From an observation to the document that the doctor prints.
 *
 * Latencies come from the caller's side where we were the caller: the server does not see a request
 * that waits in front of it. Where others sent the traffic, the server's own histograms serve.
 * Counts of statements and their time come from the server, exact.
 */
import { roundTripFloor } from '../../advisor/index.ts'
import type { Observation, RequestFacts } from '../../core/facts.ts'
import type { Finding } from '../../core/finding.ts'
import { meanShares } from '../../core/shares.ts'
import type { LoadResult } from '../../load/index.ts'
import {
  type DoctorDocument,
  type LoadSummary,
  type NotDriven,
  type RouteReport,
} from '../../report/index.ts'

export interface Examined {
  readonly version: string
  readonly command: readonly string[]
  readonly observation: Observation
  readonly findings: readonly Finding[]
  readonly load: LoadSummary
  /** Absent where others sent the traffic. */
  readonly driven?: LoadResult
  readonly notDriven: readonly NotDriven[]
}

export function documentOf(examined: Examined): DoctorDocument {
  const { observation } = examined
  const node = observation.load.processes[0]?.node ?? observation.solo.processes[0]?.node ?? ''
  return {
    version: examined.version,
    target: examined.command.join(' '),
    node,
    load: examined.load,
    routes: routeReports(observation, examined.driven),
    notDriven: examined.notDriven,
    findings: examined.findings,
  }
}

function routeReports(observation: Observation, driven: LoadResult | undefined): RouteReport[] {
  const asked = new Map(driven?.routes.map((each) => [keyOf(each), each]))
  const inside = observation.load.routes.length > 0 ? observation.load : observation.solo
  const reports = inside.routes.map((facts): RouteReport => {
    const outside = asked.get(keyOf(facts))
    asked.delete(keyOf(facts))
    const requests = outside?.requests ?? facts.requests
    return {
      route: facts.route,
      method: facts.method,
      requests,
      errors: outside?.errors ?? facts.errors,
      queriesPerRequest: perRequest(facts.queries, facts.requests),
      roundTripFloor: floorOf(requestsOf(observation, facts)),
      dbMs: perRequest(facts.dbMs, facts.requests),
      p50Ms: outside?.latency.quantile(0.5) ?? facts.p50Ms,
      p95Ms: outside?.latency.quantile(0.95) ?? facts.p95Ms,
      p99Ms: outside?.latency.quantile(0.99) ?? facts.p99Ms,
      shares: meanShares(inside.requests.filter((each) => keyOf(each) === keyOf(facts))),
    }
  })
  // Asked for, and never seen inside: the process cannot be looked into, or never answered.
  for (const outside of asked.values()) {
    reports.push({
      route: outside.route,
      method: outside.method,
      requests: outside.requests,
      errors: outside.errors,
      queriesPerRequest: 0,
      roundTripFloor: null,
      dbMs: 0,
      p50Ms: outside.latency.quantile(0.5),
      p95Ms: outside.latency.quantile(0.95),
      p99Ms: outside.latency.quantile(0.99),
      shares: meanShares([]),
    })
  }
  return reports.sort((a, b) => b.requests - a.requests || (a.route < b.route ? -1 : 1))
}

function requestsOf(observation: Observation, route: { method: string; route: string }) {
  const requests = [...observation.solo.requests, ...observation.load.requests]
  return requests.filter((request) => keyOf(request) === keyOf(route))
}

/** The median over those whose values were hashed. */
function floorOf(requests: readonly RequestFacts[]): number | null {
  const floors = requests.flatMap((request) => roundTripFloor(request) ?? []).sort((a, b) => a - b)
  return floors[Math.floor(floors.length / 2)] ?? null
}

function keyOf({ method, route }: { readonly method: string; readonly route: string }): string {
  return `${method} ${route}`
}

function perRequest(sum: number, requests: number): number {
  return requests === 0 ? 0 : sum / requests
}
