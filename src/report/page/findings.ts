/** Findings as cards: what, where, what it saves, what was seen, and the remedy ready to be copied. */
import type { Finding } from '../../core/finding.ts'
import { counted, milliseconds, percent } from '../figures.ts'
import { confidenceWords, kindWords } from '../words.ts'
import { html, type Markup } from './markup.ts'
import { rounded } from './shares-bar.ts'

const FINDINGS_MAX = 300
const ROUTES_MAX = 12

export function findingCards(findings: readonly Finding[]): Markup {
  const ordered = [
    ...findings.filter(({ confidence }) => confidence !== 'possible'),
    ...findings.filter(({ confidence }) => confidence === 'possible'),
  ].slice(0, FINDINGS_MAX)
  const numbers = new Map(ordered.map(({ id }, i) => [id, i + 1]))
  const left = findings.length - ordered.length
  return html`${ordered.map((finding, i) => card(finding, i + 1, numbers))}${
    left > 0
      ? html`<p class="soft">… and ${counted(left, 'more finding')} in --json.</p>`
      : undefined
  }`
}

function card(finding: Finding, number: number, numbers: ReadonlyMap<string, number>): Markup {
  const { title, kind, confidence, evidence, remedy, savesShare } = finding
  const cause = finding.cause === null ? undefined : numbers.get(finding.cause)
  const share = Math.min(1, Math.max(0, savesShare))
  const routes = [finding.route, ...finding.routes.filter((route) => route !== finding.route)]
  return html`<article class="card finding" id="finding-${number}" aria-labelledby="finding-${number}-title" data-routes="${routes.slice(0, ROUTES_MAX * 2).join('\n')}">
<div class="rank" aria-hidden="true">${number}</div>
<div class="body"><h3 id="finding-${number}-title">${title}</h3>
<ul class="badges"><li class="badge kind">${kindWords[kind] ?? kind}</li><li class="badge ${confidence}">${confidenceWords[confidence]}</li></ul>
<p class="routes">${routes.slice(0, ROUTES_MAX).map((route, i) => html`${i > 0 ? ', ' : ''}<span class="route">${route}</span>`)}${
    routes.length > ROUTES_MAX ? ` and ${routes.length - ROUTES_MAX} more` : ''
  }</p>
${cause === undefined ? undefined : html`<p class="cause">Comes from <a href="#finding-${cause}">finding ${cause}</a>: mend that first.</p>`}
${evidence.length === 0 ? undefined : html`<ul class="evidence">${evidence.map((sentence) => html`<li>${sentence}</li>`)}</ul>`}
${remedyMarkup(remedy)}</div>
<div class="saving"><strong>${milliseconds(finding.savesMsPerSecond)}</strong><span class="small soft">saved per second</span>
<svg role="img" aria-label="${percent(share)} of the request"><rect class="meter-all" width="100%" height="8"/><rect class="meter-part" width="${rounded(share * 100)}%" height="8"/></svg>
<span class="small">${milliseconds(finding.savesMsPerRequest)} per request, ${percent(share)} of it</span></div>
</article>`
}

function remedyMarkup({ note, sql, code }: Finding['remedy']): Markup | undefined {
  if (note === undefined && sql === undefined && code === undefined) return undefined
  return html`<div class="remedy"><h4>Remedy</h4>${note === undefined ? undefined : html`<p>${note}</p>`}${
    sql === undefined ? undefined : codeBlock('SQL', sql)
  }${code === undefined ? undefined : codeBlock('JS', code)}</div>`
}

function codeBlock(language: string, text: string): Markup {
  return html`<div class="code"><pre tabindex="0" aria-label="${language}"><code>${text.trimEnd().replaceAll('\r\n', '\n').replaceAll('\t', '  ')}</code></pre><span class="language" aria-hidden="true">${language}</span></div>`
}
