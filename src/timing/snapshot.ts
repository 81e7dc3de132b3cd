/**
 * Snapshot: the totals of one process as JSON, to be added up with those of others.
 *
 * Nothing is rounded: counters are integers, histograms are counters, and what comes out of a merge
 * is what one process would have counted that had served all requests. (Sums of milliseconds are
 * floating point; in which order they are added shows in the last digit.)
 *
 * A snapshot may come from another process, so it is read with care: SNAPSHOT_INVALID shows what is
 * not as it must be, and nothing has been merged then.
 */
import { type HistogramJson, invalidSnapshot, LatencyHistogram } from '../core/histogram.ts'
import type { RouteTotals } from './route-totals.ts'
import { figureNames, type UseRow, useLength } from './totals.ts'

export const snapshotVersion = 1

export interface RouteSnapshot {
  readonly method: string
  readonly route: string
  /** In the order of `figureNames`. */
  readonly figures: readonly number[]
  readonly latency: HistogramJson
  readonly uses: readonly UseRow[]
}

export interface TimingSnapshot {
  readonly version: number
  readonly routes: readonly RouteSnapshot[]
  readonly background: readonly number[]
}

export function snapshotOf(totals: RouteTotals): RouteSnapshot {
  const { method, route, figures, latency } = totals
  return { method, route, figures: [...figures], latency: latency.toJSON(), uses: totals.uses() }
}

export function checkedSnapshot(value: unknown): TimingSnapshot {
  const snapshot = (value ?? {}) as TimingSnapshot
  const { version, routes, background } = snapshot
  check('version', version, version === snapshotVersion)
  check('background', background, areFigures(background, figureNames.length))
  check('routes', routes, Array.isArray(routes))
  for (const each of routes) {
    check('routes', each, typeof each?.method === 'string' && typeof each.route === 'string')
    check('figures', each.figures, areFigures(each.figures, figureNames.length))
    check('uses', each.uses, Array.isArray(each.uses) && each.uses.every(isUse))
    LatencyHistogram.fromJSON(each.latency)
  }
  return snapshot
}

function isUse(row: unknown): boolean {
  return Array.isArray(row) && typeof row[0] === 'string' && areFigures(row.slice(1), useLength)
}

function areFigures(value: unknown, length: number): boolean {
  return (
    Array.isArray(value) &&
    value.length === length &&
    value.every((figure) => Number.isFinite(figure) && figure >= 0)
  )
}

function check(field: string, value: unknown, isRight: boolean): void {
  if (!isRight) throw invalidSnapshot(field, value)
}
