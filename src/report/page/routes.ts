/** The table of routes, sortable once the script runs. */
import type { RouteReport } from '../document.ts'
import { average, count, milliseconds } from '../figures.ts'
import { html, type Markup } from './markup.ts'
import { sharesBar, sharesKey } from './shares-bar.ts'

export function routesTable(routes: readonly RouteReport[]): Markup {
  return html`<div class="card long"><div class="scroll" tabindex="0" role="region" aria-labelledby="routes-title"><table class="sortable"><caption class="hidden-visually">Routes, most asked first</caption>
<thead><tr><th scope="col">Route</th><th scope="col" class="number">Requests</th><th scope="col" class="number">Errors</th><th scope="col" class="number">p50</th><th scope="col" class="number">p95</th><th scope="col" class="number">p99</th><th scope="col" class="number"><abbr title="Queries per request">Queries</abbr></th><th scope="col" class="number"><abbr title="Round trips that it needs at the least">Needed</abbr></th><th scope="col" class="number">Database</th><th scope="col">Where the time goes</th></tr></thead>
<tbody>${routes.map(row)}</tbody></table></div>
${sharesKey()}</div>`
}

function row(route: RouteReport): Markup {
  const name = `${route.method} ${route.route}`
  const floor = route.roundTripFloor
  return html`<tr data-routes="${name}"><th scope="row" class="route">${name}</th>${figure(route.requests, count(route.requests))}${
    route.errors > 0
      ? html`<td class="number bad" data-value="${route.errors}">${count(route.errors)}</td>`
      : figure(0, '0')
  }${time(route.p50Ms)}${time(route.p95Ms)}${time(route.p99Ms)}${figure(route.queriesPerRequest, average(route.queriesPerRequest))}${figure(floor ?? -1, floor === null ? '–' : average(floor))}${time(route.dbMs)}<td class="shares">${sharesBar(route.shares)}</td></tr>
`
}

function time(ms: number): Markup {
  return figure(ms, milliseconds(ms))
}

function figure(value: number, text: string): Markup {
  return html`<td class="number" data-value="${Number.isFinite(value) ? Number(value.toPrecision(6)) : -1}">${text}</td>`
}
