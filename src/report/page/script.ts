/**
 * What the page does once it is open. All of its text is there without: this draws the curves,
 * filters by route, sorts the table and copies remedies.
 *
 * The compiled file is put into the page as it is, so it imports nothing. Whatever comes from data
 * becomes text through `textContent`.
 */
import type {
  PageDocument,
  PageElement,
  PageInput,
  PageWindow,
  Plot,
  PlotConstructor,
  PlotData,
} from './dom.ts'

declare const document: PageDocument
declare const window: PageWindow
declare const uPlot: PlotConstructor

interface PageData {
  readonly positions: readonly number[]
  readonly curves: readonly { readonly name: string; readonly ms: readonly (number | null)[] }[]
  readonly progress: readonly (readonly (number | null)[])[]
}

interface Axis {
  readonly label: string
  readonly splits?: (plot: unknown, axis: number, min: number, max: number) => number[]
  readonly values?: (plot: unknown, splits: readonly number[]) => string[]
  readonly side?: number
  readonly scale?: string
  readonly isBare?: boolean
}

const SERIES_MAX = 8
const seriesColours = ['db', 'poolWait', 'cache', 'http', 'connect', 'serialise', 'cpu', 'other']
const dashes = [[], [7, 4], [2, 3], [10, 3, 2, 3]]

const data = JSON.parse(document.getElementById('data')?.textContent ?? '{}') as PageData
const plots: Plot[] = []

drawAll()
window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAll)
window.matchMedia('print').addEventListener('change', drawAll)
let width = document.documentElement.clientWidth
window.addEventListener('resize', () => {
  // Phones resize whenever their address bar moves; only a new width needs new curves.
  if (document.documentElement.clientWidth === width) return
  width = document.documentElement.clientWidth
  drawAll()
})
makeFilter()
makeSortable()
makeCopyable()

function drawAll(): void {
  for (const plot of plots.splice(0)) plot.destroy()
  drawCurves()
  drawProgress()
}

function drawCurves(): void {
  const target = document.getElementById('curves')
  const legend = document.getElementById('curves-key')
  if (target === null || legend === null) return
  const wanted = filterText()
  const curves = data.curves.filter(({ name }) => matches(name, wanted)).slice(0, SERIES_MAX)
  legend.replaceChildren(
    ...curves.map(({ name }, i) => {
      const item = document.createElement('li')
      const label = document.createElement('span')
      label.className = 'route'
      label.textContent = name
      item.append(sample(i), label)
      return item
    }),
  )
  target.replaceChildren()
  if (curves.length === 0) {
    target.textContent = 'No curve matches the filter.'
    return
  }
  const ms = curves.flatMap((curve) => curve.ms.filter((value) => value !== null))
  draw(
    target,
    300,
    [data.positions, ...curves.map((curve) => curve.ms)],
    {
      x: { time: false, range: [0, lastPosition(curves)] },
      y: { distr: 3, log: 10, range: [Math.min(...ms) * 0.8, Math.max(...ms) * 1.25] },
    },
    curves.map(({ name }, i) => ({ label: name, scale: 'y', ...stroke(i) })),
    [
      {
        label: 'share of requests that were at most this slow',
        splits: (_plot, _axis, min, max) =>
          [0, Math.log10(2), 1, 2, 3, 4].filter((split) => split >= min && split <= max),
        values: (_plot, splits) =>
          splits.map((split) =>
            split === 0 ? '' : `${Number(((1 - 10 ** -split) * 100).toFixed(2))} %`,
          ),
      },
      { label: '', scale: 'y', splits: decades, values: (_plot, splits) => splits.map(short) },
    ],
  )
}

function drawProgress(): void {
  const target = document.getElementById('progress')
  const [seconds, rate, p95] = data.progress
  if (target === null || seconds === undefined || rate === undefined || p95 === undefined) return
  target.replaceChildren()
  draw(
    target,
    220,
    [seconds, rate, p95],
    { x: { time: false }, rate: { range: fromZero }, ms: { range: fromZero } },
    [
      { label: 'completed per second', scale: 'rate', ...stroke(0) },
      { label: 'p95', scale: 'ms', ...stroke(1) },
    ],
    [
      { label: 'seconds since the load began' },
      { label: 'completed per second', scale: 'rate' },
      {
        label: 'p95',
        scale: 'ms',
        side: 1,
        isBare: true,
        values: (_plot, splits) => splits.map(short),
      },
    ],
  )
}

function draw(
  target: PageElement,
  height: number,
  values: PlotData,
  scales: object,
  series: readonly object[],
  axes: readonly Axis[],
): void {
  const text = colourOf('soft')
  const grid = { stroke: colourOf('grid'), width: 1 }
  const font = '13px system-ui, sans-serif'
  plots.push(
    new uPlot(
      {
        width: Math.max(240, target.clientWidth),
        height,
        scales,
        legend: { show: false },
        cursor: { show: false },
        series: [
          {},
          ...series.map((one) => ({ width: 2, points: { show: false }, spanGaps: false, ...one })),
        ],
        axes: axes.map(({ label, isBare, ...axis }, i) => ({
          stroke: text,
          font,
          labelFont: font,
          labelGap: 4,
          labelSize: 22,
          ticks: grid,
          grid: isBare === true ? { show: false } : grid,
          ...(label === '' ? {} : { label }),
          size: i === 0 ? 30 : 64,
          ...axis,
        })),
      },
      values,
      target,
    ),
  )
}

function stroke(index: number): object {
  const width = 2
  return {
    stroke: colourOf(seriesColours[index % SERIES_MAX] ?? 'db'),
    dash: dashes[index % dashes.length],
    width,
  }
}

function sample(index: number): PageElement {
  const namespace = 'http://www.w3.org/2000/svg'
  const svg = document.createElementNS(namespace, 'svg')
  svg.setAttribute('aria-hidden', 'true')
  const line = document.createElementNS(namespace, 'path')
  line.setAttribute('d', 'M0 6H28')
  line.setAttribute('stroke-width', '3')
  line.setAttribute('stroke-dasharray', (dashes[index % dashes.length] ?? []).join(' '))
  line.style.setProperty('stroke', `var(--${seriesColours[index % SERIES_MAX] ?? 'db'})`)
  svg.append(line)
  return svg
}

function lastPosition(curves: PageData['curves']): number {
  const ends = curves.map(({ ms }) => ms.findLastIndex((value) => value !== null))
  return data.positions[Math.max(1, ...ends)] ?? 4
}

function decades(_plot: unknown, _axis: number, min: number, max: number): number[] {
  const splits: number[] = []
  const isWide = max / min > 200
  for (let power = Math.floor(Math.log10(min)); power <= Math.log10(max); power++) {
    for (const step of isWide ? [1] : [1, 2, 5]) {
      const split = step * 10 ** power
      if (split >= min && split <= max) splits.push(split)
    }
  }
  return splits
}

function fromZero(_plot: unknown, _min: number, max: number): [number, number] {
  return [0, max > 0 ? max * 1.15 : 1]
}

function short(ms: number): string {
  return ms >= 1000 ? `${Number((ms / 1000).toPrecision(3))} s` : `${Number(ms.toPrecision(3))} ms`
}

function colourOf(name: string): string {
  return window.getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()
}

function filterText(): string {
  return ((document.getElementById('filter') as PageInput | null)?.value ?? '').trim().toLowerCase()
}

function matches(routes: string, wanted: string): boolean {
  return wanted === '' || routes.toLowerCase().includes(wanted)
}

function makeFilter(): void {
  const input = document.getElementById('filter')
  const status = document.getElementById('filter-status')
  const form = document.querySelector('.filter')
  if (input === null || status === null || form === null) return
  form.hidden = false
  input.addEventListener('input', apply)
  input.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return
    ;(input as PageInput).value = ''
    apply()
  })

  function apply(): void {
    const wanted = filterText()
    let shown = 0
    let all = 0
    for (const element of document.querySelectorAll('[data-routes]')) {
      element.hidden = !matches(element.dataset['routes'] ?? '', wanted)
      all += 1
      if (!element.hidden) shown += 1
    }
    if (status !== null) status.textContent = wanted === '' ? '' : `${shown} of ${all} shown`
    drawAll()
  }
}

function makeSortable(): void {
  for (const table of document.querySelectorAll('table.sortable')) {
    const heads = [...table.querySelectorAll('thead th')]
    const body = table.querySelector('tbody')
    if (body === null) continue
    for (const [column, head] of heads.entries()) {
      if (column === heads.length - 1) continue
      const button = document.createElement('button')
      button.setAttribute('type', 'button')
      button.textContent = head.textContent
      head.replaceChildren(button)
      button.addEventListener('click', () => {
        const isDescending = head.getAttribute('aria-sort') !== 'descending' && column > 0
        for (const other of heads) other.removeAttribute('aria-sort')
        head.setAttribute('aria-sort', isDescending ? 'descending' : 'ascending')
        body.append(...[...body.querySelectorAll('tr')].sort(by(column, isDescending ? -1 : 1)))
      })
    }
  }
}

function by(column: number, direction: 1 | -1): (a: PageElement, b: PageElement) => number {
  const cell = (row: PageElement) => [...row.querySelectorAll('th, td')][column]
  return (a, b) => {
    if (column === 0)
      return (cell(a)?.textContent ?? '').localeCompare(cell(b)?.textContent ?? '') * direction
    return (Number(cell(a)?.dataset['value']) - Number(cell(b)?.dataset['value'])) * direction
  }
}

function makeCopyable(): void {
  const status = document.getElementById('copy-status')
  for (const block of document.querySelectorAll('.code')) {
    const code = block.querySelector('code')
    if (code === null) continue
    const button = document.createElement('button')
    button.className = 'copy'
    button.setAttribute('type', 'button')
    button.textContent = 'Copy'
    button.addEventListener('click', () => {
      void copy(code).then((isCopied) => {
        button.textContent = isCopied ? 'Copied' : 'Press Ctrl+C'
        if (status !== null) {
          status.textContent = isCopied
            ? 'Copied to the clipboard'
            : 'Selected: press Ctrl+C to copy'
        }
      })
    })
    block.append(button)
  }
}

async function copy(code: PageElement): Promise<boolean> {
  try {
    if (window.navigator.clipboard === undefined) throw new Error('no clipboard here')
    await window.navigator.clipboard.writeText(code.textContent ?? '')
    return true
  } catch {
    const range = document.createRange()
    range.selectNodeContents(code)
    window.getSelection()?.removeAllRanges()
    window.getSelection()?.addRange(range)
    try {
      return document.execCommand('copy')
    } catch {
      return false
    }
  }
}
