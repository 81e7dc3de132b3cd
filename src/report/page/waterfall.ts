/**
 * A request as a waterfall: a row a span, in the order in which they began.
 *
 * It is a table, so that it can be read without seeing it: kind, name and duration are text, and
 * the bar says the same once more. A run of the same thing (the 43 queries of an N+1) takes three
 * rows and one for all the others, whose bars stand in it side by side: the staircase is the
 * message, not the forty-third line of it.
 */
import type { RequestFacts, SpanFacts } from '../../core/facts.ts'
import { counted, milliseconds } from '../figures.ts'
import { shareOfKind, spanWords } from '../words.ts'
import { html, type Markup } from './markup.ts'
import { rounded } from './shares-bar.ts'

const ROWS_MAX = 80
const RUN_MIN = 6
const RUN_SHOWN = 3
const BARS_MAX = 150

interface Row {
  readonly spans: readonly SpanFacts[]
  readonly depth: number
}

export function waterfall(request: RequestFacts, sampled: number, isOpen: boolean): Markup {
  const { method, route, durationMs, spans, status, concurrency } = request
  const rows = rowsOf(spans)
  const shown = rows.slice(0, ROWS_MAX)
  const hidden =
    rows.slice(ROWS_MAX).reduce((sum, row) => sum + row.spans.length, 0) + request.droppedSpans
  const queries = spans.filter(({ kind }) => kind === 'query').length
  const name = `${method} ${route}`
  const facts = [
    milliseconds(durationMs),
    `the slowest of ${counted(sampled, 'sampled request')}`,
    counted(queries, 'query', 'queries'),
    ...(status >= 400 ? [`status ${status}`] : []),
    ...(request.aborted ? ['aborted by the client'] : []),
    ...(concurrency > 1 ? [`${concurrency} in flight`] : []),
  ].join(' · ')
  return html`<details class="fall" data-routes="${name}"${isOpen ? html` open` : undefined}>
<summary><span class="route">${name}</span><span class="soft small">${facts}</span></summary>
${
  spans.length === 0
    ? html`<p class="soft">Nothing was seen inside of it.</p>`
    : html`<table><caption class="hidden-visually">What ${name} did, in the order in which it began</caption>
<thead><tr><th scope="col" class="w-kind">Kind</th><th scope="col" class="w-name">What</th><th scope="col" class="w-ms number">Took</th><th scope="col"><span class="ticks"><span>0</span><span>${milliseconds(durationMs / 2)}</span><span>${milliseconds(durationMs)}</span></span></th></tr></thead>
<tbody>${shown.map((row) => rowMarkup(row, durationMs))}</tbody></table>`
}${hidden > 0 ? html`<p class="soft small">… and ${counted(hidden, 'more span')}.</p>` : undefined}
</details>`
}

function rowMarkup({ spans, depth }: Row, totalMs: number): Markup {
  const [first] = spans as [SpanFacts, ...SpanFacts[]]
  const share = shareOfKind[first.kind]
  const isRun = spans.length > 1
  const took = spans.reduce((sum, span) => sum + Math.max(0, span.durationMs), 0)
  const duration = first.durationMs < 0 ? 'not ended' : milliseconds(took)
  const label = isRun ? `${spans.length} more of ${first.name}` : nameOf(first)
  return html`<tr><td class="kind">${spanWords[first.kind]}</td><th scope="row" class="d${depth}" title="${label}">${label}</th><td class="number">${duration}</td><td class="bar"><svg aria-hidden="true">${spans
    .slice(0, BARS_MAX)
    .map((span) => barOf(span, totalMs, share))}</svg></td></tr>`
}

function barOf({ startMs, durationMs }: SpanFacts, totalMs: number, share: string): Markup {
  if (!(totalMs > 0)) return html``
  const from = Math.min(100, Math.max(0, (startMs / totalMs) * 100))
  const to = durationMs < 0 ? 100 : Math.min(100, ((startMs + durationMs) / totalMs) * 100)
  return html`<rect class="f-${share}" x="${rounded(from)}%" y="4" width="${rounded(Math.max(0.25, to - from))}%" height="12" rx="2"/>`
}

function nameOf({ name, rows, hit, status, error }: SpanFacts): string {
  const facts = [
    ...(rows === undefined ? [] : [counted(rows, 'row')]),
    ...(hit === undefined ? [] : [hit ? 'hit' : 'miss']),
    ...(status === undefined ? [] : [`status ${status}`]),
    ...(error === undefined ? [] : [`failed: ${error}`]),
  ]
  return facts.length === 0 ? name : `${name}, ${facts.join(', ')}`
}

function rowsOf(spans: readonly SpanFacts[]): Row[] {
  const sorted = spans
    .map((span) => ({ span, depth: depthOf(span, spans) }))
    .sort((a, b) => a.span.startMs - b.span.startMs)
  const rows: Row[] = []
  for (let i = 0; i < sorted.length; ) {
    const { span, depth } = sorted[i] as (typeof sorted)[number]
    let end = i + 1
    while (isSame(sorted[end]?.span, span)) end += 1
    const run = sorted.slice(i, end).map((entry) => entry.span)
    const shown = run.length >= RUN_MIN ? RUN_SHOWN : run.length
    for (const single of run.slice(0, shown)) rows.push({ spans: [single], depth })
    if (shown < run.length) rows.push({ spans: run.slice(shown), depth })
    i = end
  }
  return rows
}

function isSame(a: SpanFacts | undefined, b: SpanFacts): boolean {
  return a !== undefined && a.kind === b.kind && a.name === b.name && a.statement === b.statement
}

function depthOf(span: SpanFacts, spans: readonly SpanFacts[]): number {
  let depth = 0
  let { parent } = span
  while (parent !== undefined && depth < 3) {
    depth += 1
    parent = spans[parent]?.parent
  }
  return depth
}
