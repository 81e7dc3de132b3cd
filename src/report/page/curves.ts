/**
 * Latency as curves, from the median's side to the last request in ten thousand.
 *
 * The axis is the one HdrHistogram made known: equal distances for 90 %, 99 %, 99.9 %, so that the
 * tail has the room that it has in people's lives. A curve ends where the route had no more
 * requests to tell: with a hundred of them there is no 99.9th percentile.
 */
import type { HtmlExtra } from '../document.ts'
import { count, milliseconds } from '../figures.ts'
import { html, type Markup } from './markup.ts'

const CURVES_MAX = 120
const POINTS = 49
const DECADES = 4

export interface Curve {
  readonly name: string
  /** Milliseconds at `positions`, null beyond what was measured. */
  readonly ms: readonly (number | null)[]
}

type Latency = NonNullable<HtmlExtra['latencies']>[number]

/** Where on the axis: 0 is the fastest request, 1 is 90 %, 2 is 99 %, 3 is 99.9 %. */
export const positions: readonly number[] = Array.from({ length: POINTS }, (_, i) =>
  Number(((i * DECADES) / (POINTS - 1)).toFixed(4)),
)

/** The routes that cost most come first. */
export function dearest(latencies: readonly Latency[]): readonly Latency[] {
  return latencies
    .filter(({ latency }) => latency.count > 0)
    .map((entry) => ({ entry, cost: entry.latency.count * entry.latency.quantile(0.5) }))
    .sort((a, b) => b.cost - a.cost)
    .slice(0, CURVES_MAX)
    .map(({ entry }) => entry)
}

export function curvesOf(latencies: readonly Latency[]): Curve[] {
  return latencies.map(({ method, route, latency }) => {
    const end = Math.log10(Math.max(2, latency.count))
    return {
      name: `${method} ${route}`,
      ms: positions.map((position) => {
        if (position > end) return null
        const ms = latency.quantile(1 - 10 ** -position)
        return Number.isFinite(ms) ? Number(Math.max(0.001, ms).toPrecision(4)) : null
      }),
    }
  })
}

const quantiles = [0.5, 0.75, 0.9, 0.95, 0.99, 0.999] as const

/** The same for who cannot see the curves. */
export function curvesTable(latencies: readonly Latency[]): Markup {
  return html`<details><summary>The same as a table</summary><div class="scroll" tabindex="0" role="region" aria-label="Latency of each route as a table"><table>
<thead><tr><th scope="col">Route</th><th scope="col" class="number">Requests</th>${quantiles.map(
    (q) => html`<th scope="col" class="number">${Number((q * 100).toFixed(1))} %</th>`,
  )}<th scope="col" class="number">slowest</th></tr></thead>
<tbody>${latencies.map(
    ({ method, route, latency }) =>
      html`<tr data-routes="${method} ${route}"><th scope="row" class="route">${method} ${route}</th><td class="number">${count(latency.count)}</td>${[
        ...quantiles,
        1,
      ].map(
        (q) =>
          html`<td class="number">${q < 1 && latency.count < 1 / (1 - q) ? '–' : milliseconds(latency.quantile(q))}</td>`,
      )}</tr>`,
  )}</tbody></table></div></details>`
}
