/**
 * Snapshot: the totals of one process as JSON, to be added up with those of others.
 *
 * Nothing is rounded: counters are integers, histograms are counters, and what comes out of a merge
 * is what one process would have counted that had served all requests. (Sums of milliseconds are
 * floating point; in which order they are added shows in the last digit.)
 *
 * A snapshot may come from another process, so it is read with care: SNAPSHOT_INVALID names the field
 * that is not as it must be, and nothing has been merged then.
 */
import { inspect } from 'node:util'
import { HastenError } from '../core/errors.ts'
import type { StatementUse } from '../core/facts.ts'
import { type HistogramJson, LatencyHistogram } from '../core/histogram.ts'
import type { RouteTotals } from './route-totals.ts'

export const snapshotVersion = 1

const routeFigures = ['requests', 'errors', 'totalMs', 'responseBytes', 'late'] as const
const spanFigures = ['queries', 'connects', 'dbMs', 'poolWaitMs', 'connectMs', 'httpMs'] as const
const useFigures = ['calls', 'totalMs', 'rows', 'bytes', 'errors'] as const

type SpanFigures = Readonly<Record<(typeof spanFigures)[number], number>>

export interface RouteSnapshot
  extends SpanFigures,
    Readonly<Record<(typeof routeFigures)[number], number>> {
  readonly method: string
  readonly route: string
  readonly latency: HistogramJson
  readonly statements: readonly StatementUse[]
}

export interface TimingSnapshot {
  readonly version: number
  readonly routes: readonly RouteSnapshot[]
  readonly background: SpanFigures
}

export function snapshotOf(totals: RouteTotals): RouteSnapshot {
  const { method, route, requests, errors, totalMs, responseBytes, late, spans } = totals
  const { queries, connects, dbMs, poolWaitMs, connectMs, httpMs } = spans
  return {
    method,
    route,
    requests,
    errors,
    totalMs,
    responseBytes,
    late,
    queries,
    connects,
    dbMs,
    poolWaitMs,
    connectMs,
    httpMs,
    latency: totals.latency.toJSON(),
    statements: spans.statements(),
  }
}

/** Adds what `checkedSnapshot` has let through. */
export function addTo(totals: RouteTotals, snapshot: RouteSnapshot): void {
  for (const figure of routeFigures) totals[figure] += snapshot[figure]
  for (const figure of spanFigures) totals.spans[figure] += snapshot[figure]
  totals.latency.merge(LatencyHistogram.fromJSON(snapshot.latency))
  for (const use of snapshot.statements) totals.spans.mergeStatement(use)
}

export function checkedSnapshot(value: unknown): TimingSnapshot {
  const snapshot = object('snapshot', value) as unknown as TimingSnapshot
  if (snapshot.version !== snapshotVersion) throw invalid('version', snapshot.version)
  figures('background', snapshot.background, spanFigures)
  for (const route of list('routes', snapshot.routes)) {
    const { method, route: name, latency, statements } = route as RouteSnapshot
    text('method', method)
    text('route', name)
    figures('routes', route, [...routeFigures, ...spanFigures])
    LatencyHistogram.fromJSON(object('latency', latency) as unknown as HistogramJson)
    for (const use of list('statements', statements)) {
      figures('statements', use, useFigures)
      text('statement', (use as StatementUse).statement)
    }
  }
  return snapshot
}

function figures(field: string, value: unknown, names: readonly string[]): void {
  const holder = object(field, value)
  for (const name of names) {
    const figure = holder[name]
    if (typeof figure !== 'number' || !Number.isFinite(figure) || figure < 0) {
      throw invalid(`${field}.${name}`, figure)
    }
  }
}

function object(field: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  throw invalid(field, value)
}

function list(field: string, value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw invalid(field, value)
}

function text(field: string, value: unknown): void {
  if (typeof value !== 'string') throw invalid(field, value)
}

function invalid(field: string, value: unknown): HastenError {
  return new HastenError(
    'SNAPSHOT_INVALID',
    `${field} of a snapshot cannot be ${inspect(value, { depth: 0 })}: merge only what snapshot() of the same version gave`,
  )
}
