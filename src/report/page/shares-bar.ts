/** Bars of where a request's time goes, with a pattern for each part besides its colour. */
import { type Shares, shareNames } from '../document.ts'
import { percent } from '../figures.ts'
import { shareWords } from '../words.ts'
import { html, type Markup, trusted } from './markup.ts'

/** Drawn once a page; every bar and waterfall refers to them. Six units wide, so they stay fine. */
const patterns: Readonly<Record<keyof Shares, string>> = {
  db: '',
  poolWait: '<path class="hatch" d="M-1 7 7 -1M-1 1 1 -1M5 7 7 5"/>',
  connect: '<path class="hatch" d="M-1 -1 7 7M-1 7 7 -1"/>',
  cache: '<path class="hatch" d="M3 0V6"/>',
  http: '<path class="hatch" d="M-1 -1 7 7M5 -1 7 1M-1 5 1 7"/>',
  cpu: '<path class="hatch" d="M0 3H6"/>',
  serialise: '<circle class="dots" cx="3" cy="3" r="1.3"/>',
  other: '',
}

export function patternDefinitions(): Markup {
  const definitions = shareNames.map(
    (name) =>
      `<pattern id="p-${name}" width="6" height="6" patternUnits="userSpaceOnUse"><rect class="c-${name}" width="6" height="6"/>${patterns[name]}</pattern>`,
  )
  return trusted(
    `<svg class="patterns" aria-hidden="true" focusable="false"><defs>${definitions.join('')}</defs></svg>`,
  )
}

export function sharesBar(shares: Shares): Markup {
  const total = shareNames.reduce((sum, name) => sum + Math.max(0, shares[name]), 0)
  if (!(total > 0)) return html`<span class="soft">–</span>`
  const parts = shareNames
    .map((name) => ({ name, share: Math.max(0, shares[name]) / total }))
    .filter(({ share }) => share >= 0.005)
  let x = 0
  const rects = parts.map(({ name, share }) => {
    const from = x
    x += share * 100
    return html`<rect class="f-${name}" x="${rounded(from)}%" width="${rounded(share * 100)}%" height="16"/>`
  })
  const words = parts.map(({ name, share }) => `${shareWords[name]} ${percent(share)}`).join(', ')
  return html`<svg role="img" aria-label="${words}"><title>${words}</title>${rects}</svg>`
}

export function sharesKey(): Markup {
  return html`<ul class="key" aria-label="Key to the colours">${shareNames.map(
    (name) =>
      html`<li><svg aria-hidden="true"><rect class="f-${name}" width="16" height="12"/></svg>${shareWords[name]}</li>`,
  )}</ul>`
}

export function rounded(value: number): number {
  return Number(value.toFixed(2))
}
