/** What the document's names are called in front of people; one place, so that both reports agree. */
import type { SpanKind } from '../core/facts.ts'
import type { Confidence, Finding, FindingKind } from '../core/finding.ts'
import type { LoadSummary, Shares } from './document.ts'
import { average, counted, milliseconds, percent } from './figures.ts'

export const kindWords: Readonly<Record<FindingKind, string>> = {
  'connection-per-request': 'connection per request',
  'n-plus-one': 'N+1 queries',
  'duplicate-query': 'duplicate query',
  'missing-index': 'missing index',
  'unused-index': 'unused index',
  'redundant-join': 'redundant join',
  'cacheable-join': 'cacheable join',
  'join-explosion': 'join explosion',
  'sequential-awaits': 'awaits in a row',
  'recomputed-result': 'recomputed result',
  'slow-query': 'slow query',
  'pool-starvation': 'pool starvation',
  'event-loop-blocked': 'event loop blocked',
  'over-fetching': 'over-fetching',
  'large-response': 'large response',
}

export const shareWords: Readonly<Record<keyof Shares, string>> = {
  db: 'database',
  poolWait: 'waiting for a connection',
  connect: 'connecting',
  cache: 'cache',
  http: 'outbound calls',
  cpu: 'computing',
  serialise: 'serialising',
  other: 'other',
}

/** The share that a span's time counts to. */
export const shareOfKind: Readonly<Record<SpanKind, keyof Shares>> = {
  query: 'db',
  'pool-wait': 'poolWait',
  connect: 'connect',
  cache: 'cache',
  http: 'http',
  cpu: 'cpu',
  serialise: 'serialise',
  custom: 'other',
}

export const spanWords: Readonly<Record<SpanKind, string>> = {
  query: 'query',
  'pool-wait': 'wait',
  connect: 'connect',
  cache: 'cache',
  http: 'call',
  cpu: 'compute',
  serialise: 'serialise',
  custom: 'own',
}

export const confidenceWords: Readonly<Record<Confidence, string>> = {
  proved: 'proved: tried, and it holds',
  likely: 'likely: measured, one reading of it',
  possible: 'possible: a hint, not an accusation',
}

/** `saves 123 ms per request · 41 % of it · 2.1 s per second` */
export function savingWords(finding: Finding): string {
  return [
    `saves ${milliseconds(finding.savesMsPerRequest)} per request`,
    `${percent(finding.savesShare)} of it`,
    `${milliseconds(finding.savesMsPerSecond)} per second`,
  ].join(' · ')
}

/** `12,340 requests in 60 s at 205 per second` */
export function loadWords(load: LoadSummary): string {
  return `${counted(load.requests, 'request')} in ${milliseconds(load.seconds * 1000)} at ${average(load.ratePerSecond)} per second`
}

export function modeWords({ mode }: LoadSummary): string {
  if (mode === 'given') return 'traffic from the request file'
  return mode === 'discovered' ? 'routes as the framework told them' : 'traffic from elsewhere'
}

export function goalWords({ goal }: LoadSummary): string | undefined {
  if (goal === undefined) return undefined
  const name = `p${average(goal.quantile * 100)} of ${milliseconds(goal.ms)}`
  return goal.heldPerSecond === null
    ? `no rate held a ${name}`
    : `${average(goal.heldPerSecond)} per second hold a ${name}`
}
