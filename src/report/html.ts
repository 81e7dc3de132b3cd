/**
 * The doctor's report as one page, in one file, that needs nothing else.
 *
 * It opens from a disk, from a mail, from a build's artefacts, years later and without a network:
 * style, script and uPlot stand inside, and the page's policy (CSP) forbids it to load anything.
 * The script is let in by its hash, so that markup that got in as data could not run even if
 * escaping had a hole. Everything is text before the script runs; it adds the curves, the filter,
 * sorting and copying.
 *
 * Its size is bounded whatever the application: so many waterfalls, curves, findings and rows.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { RequestFacts } from '../core/facts.ts'
import type { DoctorDocument, HtmlExtra } from './document.ts'
import { average, count, counted, milliseconds, percent } from './figures.ts'
import { curvesOf, curvesTable, dearest, positions } from './page/curves.ts'
import { findingCards } from './page/findings.ts'
import { html, jsonForScript, type Markup, trusted } from './page/markup.ts'
import { plansMarkup } from './page/plans.ts'
import { routesTable } from './page/routes.ts'
import { patternDefinitions } from './page/shares-bar.ts'
import { style } from './page/style.ts'
import { waterfall } from './page/waterfall.ts'
import { goalWords, loadWords, modeWords } from './words.ts'

const ROUTES_MAX = 1000
const WATERFALLS_MAX = 40
const MOMENTS_MAX = 600
const LIST_MAX = 300

export function renderHtml(document: DoctorDocument, extra: HtmlExtra = {}): string {
  const { chart, chartLicence, script, chartStyle } = assets()
  const styles = `${chartStyle}${style}`
  const latencies = dearest(extra.latencies ?? [])
  const moments = (extra.progress ?? []).slice(-MOMENTS_MAX)
  const data = jsonForScript({
    positions,
    curves: curvesOf(latencies),
    progress: [
      moments.map(({ second }) => second),
      moments.map(({ completedPerSecond }) => completedPerSecond),
      moments.map(({ p95Ms }) => (Number.isFinite(p95Ms) ? p95Ms : null)),
    ],
  })
  const policy = [
    "default-src 'none'",
    `script-src ${hashOf(chart)} ${hashOf(script)}`,
    `style-src ${hashOf(styles)}`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ')
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>hasten doctor: ${document.target}</title>
<link rel="icon" href="data:,">
<style>${trusted(styles)}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
${patternDefinitions()}
${header(document, extra.createdAt ?? new Date())}
${navigation(document, extra)}
<main id="main" class="frame" tabindex="-1">
${main(document, extra, latencies, moments.length > 1)}
</main>
<footer class="frame"><p>Made by hasten ${document.version}. This page is complete in itself: it loads nothing and sends nothing. No value of your users is in it.</p></footer>
<p id="copy-status" class="hidden-visually" role="status"></p>
<script type="application/json" id="data">${trusted(data)}</script>
${trusted(`<!--\n${chartLicence.replaceAll('--', '- -')}\n-->`)}
<script>${trusted(chart)}</script>
<script type="module">${trusted(script)}</script>
</body>
</html>
`.text
}

function header(document: DoctorDocument, createdAt: Date): Markup {
  const { target, node, load, findings } = document
  const share = load.requests > 0 ? load.errors / load.requests : 0
  const sure = findings.filter(({ confidence }) => confidence !== 'possible')
  const ids = new Set(sure.map(({ id }) => id))
  const saved = sure
    .filter(({ cause }) => cause === null || !ids.has(cause))
    .reduce((sum, { savesMsPerSecond }) => sum + savesMsPerSecond, 0)
  const goal = goalWords(load)
  return html`<header><div class="frame">
<p class="eyebrow">hasten doctor</p>
<h1>${target}</h1>
<p class="soft">${loadWords(load)} · ${modeWords(load)} · Node ${node.replace(/^v/, '')} · <time datetime="${createdAt.toISOString()}">${createdAt.toISOString().slice(0, 16).replace('T', ' ')} UTC</time></p>
<dl class="tiles">
${tile('Requests', count(load.requests), `${average(load.ratePerSecond)} per second`)}
${tile('Errors', count(load.errors), percent(share))}
${load.goal === undefined ? undefined : tile('Rate within the goal', load.goal.heldPerSecond === null ? 'none' : `${average(load.goal.heldPerSecond)}/s`, goal ?? '')}
${tile('Findings', count(sure.length), `${findings.length - sure.length} more possible`)}
${tile('Could be saved', milliseconds(saved), 'of work per second, at most')}
</dl>
</div></header>`
}

function tile(name: string, figure: string, more: string): Markup {
  return html`<div class="tile"><dt>${name}</dt><dd class="figure">${figure}</dd><dd class="small">${more}</dd></div>`
}

function navigation(document: DoctorDocument, extra: HtmlExtra): Markup {
  const links = [
    ['findings', 'Findings', true],
    ['routes', 'Routes', true],
    ['latency', 'Latency', hasSome(extra.latencies) || hasSome(extra.progress)],
    ['waterfalls', 'Waterfalls', hasSome(extra.requests)],
    ['plans', 'Plans', hasSome(extra.plans)],
    ['not-driven', 'Not driven', document.notDriven.length > 0],
  ] as const
  return html`<div class="bar-nav"><div class="frame"><nav aria-label="Parts of the report"><ul>${links
    .filter(([, , isThere]) => isThere)
    .map(([id, name]) => html`<li><a href="#${id}">${name}</a></li>`)}</ul></nav>
<div class="filter" role="search" hidden><label for="filter" class="small soft">Route</label><input id="filter" type="search" autocomplete="off" spellcheck="false" placeholder="filter, as in /users"><span id="filter-status" class="small soft" role="status"></span></div></div></div>`
}

function main(
  document: DoctorDocument,
  extra: HtmlExtra,
  latencies: ReturnType<typeof dearest>,
  hasProgress: boolean,
): Markup {
  const { findings, routes, notDriven, notes = [], crash, seen, isInterrupted } = document
  const slowest = slowestOf(extra.requests ?? [])
  return html`
${crash === undefined ? undefined : html`<div class="card alarm" role="alert"><h2>The server ended while it was observed</h2><p>${crash.signal === null ? `Exit code ${crash.code ?? 'unknown'}` : crash.signal}. The figures are of the time before.</p><pre>${crash.message.slice(0, 8000)}</pre></div>`}
${isInterrupted === true ? html`<div class="card"><p>Interrupted: this is what was measured until then.</p></div>` : undefined}
${seen?.nothingHooked === true ? html`<div class="card alarm"><h2>Nothing of the inside was seen</h2><p>No library that hasten knows was loaded as a module of its own. An app bundled into one file looks like this: run it unbundled, or keep pg, fastify and their like external.</p></div>` : undefined}
<section id="findings" aria-labelledby="findings-title"><h2 id="findings-title">Findings</h2>
<p>${findings.length === 0 ? 'Nothing was found that is worth an accusation.' : 'Ordered by what mending them saves: milliseconds of work for each second of this traffic.'}</p>
${findingCards(findings)}</section>
<section id="routes" aria-labelledby="routes-title"><h2 id="routes-title">Routes</h2>
<p>${counted(routes.length, 'route')}. The percentiles are those of the caller where the load was ours; queries, database and shares are per request, as the server saw them.</p>
${routes.length === 0 ? undefined : routesTable(routes.slice(0, ROUTES_MAX))}
${more(routes.length - ROUTES_MAX, 'route')}</section>
${latencySection(latencies, hasProgress)}
${
  slowest.length === 0
    ? undefined
    : html`<section id="waterfalls" aria-labelledby="waterfalls-title"><h2 id="waterfalls-title">Waterfalls</h2>
<p>The slowest sampled request of each route, from the first byte to the last. Patterns and colours are those of the table of routes.</p>
<div class="card long falls">${slowest.slice(0, WATERFALLS_MAX).map(({ request, sampled }, i) => waterfall(request, sampled, i === 0))}</div>
${more(slowest.length - WATERFALLS_MAX, 'route')}</section>`
}
${
  hasSome(extra.plans)
    ? html`<section id="plans" aria-labelledby="plans-title"><h2 id="plans-title">Plans</h2><p>What the planner intends for the dearest statements, by EXPLAIN; nothing was run for it.</p>${plansMarkup(extra.plans, extra.statements ?? [])}</section>`
    : undefined
}
${
  notDriven.length === 0
    ? undefined
    : html`<section id="not-driven" aria-labelledby="not-driven-title"><h2 id="not-driven-title">Not driven</h2>
<p>Left alone, and why.</p><div class="card long"><table><thead><tr><th scope="col">Route</th><th scope="col">Reason</th></tr></thead><tbody>${notDriven
        .slice(0, LIST_MAX)
        .map(
          ({ method, route, reason }) =>
            html`<tr data-routes="${method} ${route}"><th scope="row" class="route">${method} ${route}</th><td>${reason}</td></tr>`,
        )}</tbody></table>${more(notDriven.length - LIST_MAX, 'route')}</div></section>`
}
${notesSection(notes, seen)}`
}

function latencySection(
  latencies: ReturnType<typeof dearest>,
  hasProgress: boolean,
): Markup | undefined {
  if (latencies.length === 0 && !hasProgress) return undefined
  return html`<section id="latency" aria-labelledby="latency-title"><h2 id="latency-title">Latency</h2>
<p>As the caller saw it, from the moment at which each request was meant to be sent. The tail is on the right.</p>
<div class="charts">${
    latencies.length === 0
      ? undefined
      : html`<figure class="card"><figcaption>Latency by share of requests<span class="soft small">Up to eight routes, those that cost most; the filter picks others.</span></figcaption>
<div id="curves" class="chart" role="img" aria-label="Curves of latency by percentile, one a route; the table below says the same"></div>
<ul id="curves-key" class="key curves" aria-label="Key to the curves"></ul>
${curvesTable(latencies)}</figure>`
  }${
    hasProgress
      ? html`<figure class="card"><figcaption>How the load went<span class="soft small">Solid: completed per second, left. Dashed: p95, right.</span></figcaption>
<div id="progress" class="chart" role="img" aria-label="Requests completed per second and their p95 over the time of the load"></div></figure>`
      : undefined
  }</div></section>`
}

function notesSection(notes: readonly string[], seen: DoctorDocument['seen']): Markup | undefined {
  const modules = seen?.modules ?? []
  if (notes.length === 0 && modules.length === 0) return undefined
  return html`<section id="notes" aria-labelledby="notes-title"><h2 id="notes-title">Notes</h2><div class="card">${
    notes.length === 0
      ? undefined
      : html`<ul class="list">${notes.slice(0, LIST_MAX).map((note) => html`<li>${note}</li>`)}</ul>`
  }${
    modules.length === 0
      ? undefined
      : html`<p class="soft small">Observed: ${modules
          .slice(0, LIST_MAX)
          .map(({ name, version }) => `${name} ${version}`)
          .join(', ')}</p>`
  }</div></section>`
}

function more(left: number, noun: string): Markup | undefined {
  return left > 0 ? html`<p class="soft">… and ${counted(left, `more ${noun}`)}.</p>` : undefined
}

/** The slowest request of each route, the slowest route first. */
function slowestOf(
  requests: readonly RequestFacts[],
): { request: RequestFacts; sampled: number }[] {
  const byRoute = new Map<string, { request: RequestFacts; sampled: number }>()
  for (const request of requests) {
    const name = `${request.method} ${request.route}`
    const entry = byRoute.get(name)
    if (entry === undefined) byRoute.set(name, { request, sampled: 1 })
    else {
      entry.sampled += 1
      if (request.durationMs > entry.request.durationMs) entry.request = request
    }
  }
  return [...byRoute.values()].sort((a, b) => b.request.durationMs - a.request.durationMs)
}

function hasSome<T>(list: readonly T[] | undefined): list is readonly T[] {
  return list !== undefined && list.length > 0
}

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}

interface Assets {
  readonly chart: string
  readonly chartLicence: string
  readonly chartStyle: string
  readonly script: string
}

let loaded: Assets | undefined

/** Read once, when the first page is written: who wants no page pays nothing. */
function assets(): Assets {
  if (loaded !== undefined) return loaded
  const folder = dirname(createRequire(import.meta.url).resolve('uplot'))
  const script = readFileSync(new URL('./page/script.js', import.meta.url), 'utf8')
  loaded = {
    chart: readFileSync(join(folder, 'uPlot.iife.min.js'), 'utf8'),
    chartLicence: readFileSync(join(folder, '..', 'LICENSE'), 'utf8'),
    chartStyle: readFileSync(join(folder, 'uPlot.min.css'), 'utf8'),
    script: script.replace(/^export \{\};?\s*$/m, '').replace(/^\/\/# sourceMappingURL=.*$/m, ''),
  }
  return loaded
}
