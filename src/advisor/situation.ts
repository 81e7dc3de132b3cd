/**
 * Situation: the observation, ordered by route, so that detectors need not search.
 *
 * Also the place where facts are cleaned, once: spans that had not ended, amounts that are no numbers
 * and requests that failed or were given up are out. A request that failed says little about one that
 * does not: it leaves early, retries, or waits for a time-out. All lists are in an order of their own,
 * so that the order in which facts came in decides nothing.
 */
import type {
  BlockFacts,
  Observation,
  PlanFacts,
  PoolFacts,
  RequestFacts,
  RouteFacts,
  SpanFacts,
  StatementUse,
} from '../core/facts.ts'
import { amount, per, type Stretch } from './measure.ts'
import { type StatementText, readName, readStatement } from './statement-text.ts'

export interface SpanView extends SpanFacts, Stretch {}

export interface RequestView {
  readonly facts: RequestFacts
  /** Those that have ended, by start. */
  readonly spans: readonly SpanView[]
  readonly queries: readonly SpanView[]
}

export interface RouteView {
  /** `GET /users/:id`. */
  readonly key: string
  readonly solo: RouteFacts | undefined
  readonly load: RouteFacts | undefined
  readonly soloRequests: readonly RequestView[]
  /** Of both phases. */
  readonly requests: readonly RequestView[]
  readonly loadRequests: readonly RequestView[]
  /** Under load where there was any, else alone. The savings of its findings stay below it. */
  readonly meanMs: number
  /** Requests per second, planned or counted; 1 where there was no load, so that all weigh the same. */
  readonly perSecond: number
}

export interface Situation {
  readonly routes: readonly RouteView[]
  /** Under load where pools were seen there. */
  readonly pools: readonly PoolFacts[]
  readonly loadPools: readonly PoolFacts[]
  readonly hasLoad: boolean
  readonly blocks: readonly BlockFacts[]
  readonly processes: number
  /** Of the application, as far as they are known. */
  readonly packages: ReadonlySet<string>
  /** The doctor raised the rate until the server had no more to give. */
  readonly isRateSearched: boolean
  /** Highest of the processes under load, 0 to 1. */
  readonly loopUtilisation: number
  statementOf(span: SpanFacts): StatementText
  statement(id: string): StatementText
  planOf(statement: string): PlanFacts | undefined
}

export function situationOf(observation: Observation): Situation {
  const texts = new Map(observation.statements.map(({ id, text }) => [id, text]))
  const read = new Map<string, StatementText>()
  const plans = new Map<string, PlanFacts>()
  for (const plan of observation.plans) {
    if (plans.get(plan.statement)?.plan === undefined) plans.set(plan.statement, plan)
  }

  const statement = (id: string): StatementText => {
    let known = read.get(id)
    if (known === undefined) {
      known = readStatement(texts.get(id) ?? '')
      read.set(id, known)
    }
    return known
  }

  const { load, solo } = observation
  const loadPools = inOrder(load.pools)
  return {
    routes: routesOf(observation),
    pools: loadPools.length > 0 ? loadPools : inOrder(solo.pools),
    loadPools,
    hasLoad: load.routes.length > 0,
    blocks: inOrder(observation.blocks),
    processes: Math.max(1, new Set(load.processes.map(({ pid }) => pid)).size),
    packages: new Set(observation.packages),
    isRateSearched: observation.isRateSearched === true,
    loopUtilisation: Math.max(0, ...load.processes.map((each) => amount(each.loopUtilisation))),
    statement,
    statementOf: (span) =>
      span.statement !== undefined && texts.has(span.statement)
        ? statement(span.statement)
        : readName(span.name),
    planOf: (id) => plans.get(id),
  }
}

/** One statement within a route: alone where it was asked alone, else under load. */
export function usesOf(route: RouteView): readonly StatementUse[] {
  return (route.solo ?? route.load)?.statements ?? []
}

/** Milliseconds per request that `resource` takes, in the phase where it takes more. */
export function capacityOf(route: RouteView, resource: string): number {
  const [kind, statement] = resource.split(/:(.*)/s, 2)
  const of = (facts: RouteFacts | undefined): number => {
    if (facts === undefined) return 0
    if (kind === 'connect') return per(facts.connectMs, facts.requests)
    if (kind === 'pool-wait') return per(facts.poolWaitMs, facts.requests)
    if (kind === 'http') return per(facts.httpMs, facts.requests)
    if (kind !== 'query') return per(facts.totalMs, facts.requests)
    const use = facts.statements.find((each) => each.statement === statement)
    return per(use?.totalMs, facts.requests)
  }
  return Math.max(of(route.solo), of(route.load))
}

function routesOf({ solo, load, plannedPerSecond }: Observation): RouteView[] {
  const soloFacts = byKey(solo.routes)
  const loadFacts = byKey(load.routes)
  const soloRequests = requestsByKey(solo.requests)
  const loadRequests = requestsByKey(load.requests)
  const keys = new Set([...soloFacts.keys(), ...loadFacts.keys()])
  return [...keys].sort().map((key) => {
    const ofSolo = soloFacts.get(key)
    const ofLoad = loadFacts.get(key)
    const facts = ofLoad ?? ofSolo
    const alone = soloRequests.get(key) ?? []
    const loaded = loadRequests.get(key) ?? []
    const known = new Set(alone.map(identityOf))
    return {
      key,
      solo: ofSolo,
      load: ofLoad,
      soloRequests: alone,
      loadRequests: loaded,
      requests: [...alone, ...loaded.filter((each) => !known.has(identityOf(each)))],
      meanMs: per(facts?.totalMs, facts?.requests ?? 0),
      perSecond:
        amount(plannedPerSecond?.[key]) ||
        (ofLoad === undefined ? 1 : per(ofLoad.requests, amount(load.seconds))),
    }
  })
}

/** By all that they say: floats add up differently in another order. */
function inOrder<Facts extends object>(facts: readonly Facts[]): Facts[] {
  return facts
    .map((each) => ({ each, key: JSON.stringify(each) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ each }) => each)
}

function byKey(routes: readonly RouteFacts[]): Map<string, RouteFacts> {
  const map = new Map<string, RouteFacts>()
  for (const facts of routes) {
    if (amount(facts.requests) === 0) continue
    const key = `${facts.method} ${facts.route}`
    const known = map.get(key)
    if (known === undefined || facts.requests > known.requests) map.set(key, facts)
  }
  return map
}

function requestsByKey(requests: readonly RequestFacts[]): Map<string, RequestView[]> {
  const map = new Map<string, RequestView[]>()
  const ordered = requests.toSorted(
    (a, b) => amount(a.startedAt) - amount(b.startedAt) || a.pid - b.pid || a.id - b.id,
  )
  for (const facts of ordered) {
    const isTelling = !facts.aborted && facts.status < 400 && amount(facts.durationMs) > 0
    if (!isTelling) continue
    const key = `${facts.method} ${facts.route}`
    const list = map.get(key)
    if (list === undefined) map.set(key, [viewOf(facts)])
    else list.push(viewOf(facts))
  }
  return map
}

function viewOf(facts: RequestFacts): RequestView {
  const spans = facts.spans
    .filter(
      ({ startMs, durationMs }) => isMoment(startMs) && durationMs >= 0 && isMoment(durationMs),
    )
    .map((span) => ({ ...span, endMs: span.startMs + span.durationMs }))
    .sort((a, b) => a.startMs - b.startMs)
  return { facts, spans, queries: spans.filter(({ kind }) => kind === 'query') }
}

function isMoment(ms: number): boolean {
  return ms === 0 || amount(Math.abs(ms)) > 0
}

function identityOf({ facts }: RequestView): string {
  return `${facts.pid} ${facts.id} ${facts.startedAt}`
}
