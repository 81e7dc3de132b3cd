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
import { invalidSnapshot, readHistogram, writeHistogram } from '../core/histogram-json.ts'
import type { HistogramJson } from '../core/histogram.ts'
import type { Timing } from '../timing/index.ts'

const VERSION = 1
/** Of a statement: calls, milliseconds, rows, bytes, errors. */
const USE_FIGURES = 5

export interface RouteSnapshot {
  readonly method: string
  readonly route: string
  /** Requests, errors and so on, in the order of timing's totals. */
  readonly figures: readonly number[]
  readonly latency: HistogramJson
  /** Each the id of a statement, then what it came to. */
  readonly uses: readonly (readonly [statement: string, ...figures: number[]])[]
}

export interface TimingSnapshot {
  readonly version: number
  readonly routes: readonly RouteSnapshot[]
  readonly background: readonly number[]
}

/** Totals as JSON, for `merge` in another process. */
export function snapshot({ table, unowned }: Timing): TimingSnapshot {
  return {
    version: VERSION,
    routes: table.used.map((totals) => {
      const { method, route, figures, latency } = totals
      return {
        method,
        route,
        figures: [...figures],
        latency: writeHistogram(latency),
        uses: totals.uses(),
      }
    }),
    background: [...unowned.figures],
  }
}

/** Adds what `snapshot` of another process gave. Throws SNAPSHOT_INVALID, and has added nothing then. */
export function merge({ table, unowned }: Timing, value: unknown): void {
  const { routes, background } = checked(value, unowned.figures.length)
  for (const { method, route, figures, uses, latency } of routes) {
    const totals = table.ofRoute(method, route)
    totals.merge(figures, uses)
    totals.latency.merge(latency)
  }
  unowned.merge(background, [])
}

function checked(value: unknown, figures: number): TimingSnapshot {
  const snapshot = (value ?? {}) as TimingSnapshot
  const { version, routes, background } = snapshot
  check('version', version, version === VERSION)
  check('background', background, areFigures(background, figures))
  check('routes', routes, Array.isArray(routes))
  for (const each of routes) {
    check('routes', each, typeof each?.method === 'string' && typeof each.route === 'string')
    check('figures', each.figures, areFigures(each.figures, figures))
    check('uses', each.uses, Array.isArray(each.uses) && each.uses.every(isUse))
    readHistogram(each.latency)
  }
  return snapshot
}

function isUse(row: unknown): boolean {
  return Array.isArray(row) && typeof row[0] === 'string' && areFigures(row.slice(1), USE_FIGURES)
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
