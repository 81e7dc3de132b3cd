/**
 * The table of routes on a terminal.
 *
 * Where the terminal is wide enough, a line a route with a bar of where its time goes; else, and
 * where names cut to fit would look alike, a block of lines a route, so that nothing is cut off but
 * very long names. Each part of a bar is a
 * letter on a colour: without colours, or for who cannot tell them apart, the letters remain.
 */
import { type RouteReport, type Shares, shareNames } from './document.ts'
import { average, count, milliseconds } from './figures.ts'
import {
  type Colour,
  clip,
  clipMiddle,
  type Paint,
  padEnd,
  padStart,
  printable,
  widthOf,
  wrap,
} from './terminal-text.ts'
import { shareWords } from './words.ts'

const shareMarks: Readonly<
  Record<keyof Shares, { readonly letter: string; readonly colour: Colour }>
> = {
  db: { letter: 'D', colour: 'onBlue' },
  poolWait: { letter: 'W', colour: 'onRed' },
  connect: { letter: 'N', colour: 'onYellow' },
  cache: { letter: 'C', colour: 'onCyan' },
  http: { letter: 'H', colour: 'onMagenta' },
  cpu: { letter: 'P', colour: 'onGreen' },
  serialise: { letter: 'S', colour: 'onWhite' },
  other: { letter: '·', colour: 'onGrey' },
}

const BAR_MAX = 24
const BAR_MIN = 10
const NAME_MIN = 16
const GAP = '  '

const columns: readonly { readonly head: string; readonly cell: (route: RouteReport) => string }[] =
  [
    { head: 'requests', cell: (route) => count(route.requests) },
    { head: 'errors', cell: (route) => count(route.errors) },
    { head: 'p50', cell: (route) => milliseconds(route.p50Ms) },
    { head: 'p95', cell: (route) => milliseconds(route.p95Ms) },
    { head: 'p99', cell: (route) => milliseconds(route.p99Ms) },
    { head: 'queries', cell: queriesOf },
    { head: 'database', cell: (route) => milliseconds(route.dbMs) },
  ]

export function routeLines(routes: readonly RouteReport[], width: number, paint: Paint): string[] {
  if (routes.length === 0) return ['  No request was seen.']
  const cells = routes.map((route) => columns.map(({ cell }) => cell(route)))
  const widths = columns.map(({ head }, i) =>
    Math.max(head.length, ...cells.map((row) => widthOf(row[i] ?? ''))),
  )
  const figures = widths.reduce((sum, cell) => sum + cell + GAP.length, 0)
  const names = routes.map(({ method, route }) => printable(`${method} ${route}`))
  const longest = Math.max(...names.map(widthOf), 'route'.length)
  // Names come first, the bar takes what is left.
  const room = width - GAP.length - figures - GAP.length - BAR_MIN
  const nameWidth = Math.min(longest, room)
  const barWidth = Math.min(BAR_MAX, BAR_MIN + room - nameWidth)
  const lines =
    room >= Math.min(longest, NAME_MIN) && areTold(names, nameWidth)
      ? tableOf(routes, names, cells, widths, { nameWidth, barWidth }, paint)
      : blocksOf(routes, names, cells, width, paint)
  return [...lines, '', ...legendOf(routes, width, paint)]
}

/** Cut to `cells`, are the names still as many? Some differ in the middle. */
function areTold(names: readonly string[], cells: number): boolean {
  return new Set(names.map((name) => clipMiddle(name, cells))).size === new Set(names).size
}

function tableOf(
  routes: readonly RouteReport[],
  names: readonly string[],
  cells: readonly (readonly string[])[],
  widths: readonly number[],
  { nameWidth, barWidth }: { readonly nameWidth: number; readonly barWidth: number },
  paint: Paint,
): string[] {
  const head = [
    padEnd('route', nameWidth),
    ...columns.map(({ head: text }, i) => padStart(text, widths[i] ?? 0)),
    clip('where the time goes', Math.max(barWidth, 8)),
  ]
  return [
    GAP + paint('dim', head.join(GAP)),
    ...routes.map((route, r) => {
      const row = (cells[r] ?? []).map((cell, i) =>
        emphasised(route, i, padStart(cell, widths[i] ?? 0), paint),
      )
      const name = padEnd(clipMiddle(names[r] ?? '', nameWidth), nameWidth)
      return GAP + [name, ...row, bar(route.shares, barWidth, paint)].join(GAP)
    }),
  ]
}

function blocksOf(
  routes: readonly RouteReport[],
  names: readonly string[],
  cells: readonly (readonly string[])[],
  width: number,
  paint: Paint,
): string[] {
  const inner = Math.max(20, width - 4)
  return routes.flatMap((route, r) => {
    const pairs = columns.map(({ head }, i) =>
      `${head} ${cells[r]?.[i] ?? ''}`.replaceAll(' ', '\u00a0'),
    )
    return [
      ...(r === 0 ? [] : ['']),
      GAP + paint('bold', clipMiddle(names[r] ?? '', width - 2)),
      ...wrap(pairs.join(' · '), inner).map((line) => `    ${line.replaceAll('\u00a0', ' ')}`),
      `    ${bar(route.shares, Math.min(inner, 40), paint)}`,
    ]
  })
}

function emphasised(route: RouteReport, column: number, cell: string, paint: Paint): string {
  const { head } = columns[column] as (typeof columns)[number]
  if (head === 'errors') return route.errors > 0 ? paint('red', cell) : paint('dim', cell)
  if (head === 'p95') return paint('bold', cell)
  if (head === 'queries' && isFarAboveFloor(route)) return paint('yellow', cell)
  return cell
}

function queriesOf({ queriesPerRequest, roundTripFloor }: RouteReport): string {
  const floor = roundTripFloor === null ? '' : ` (${average(roundTripFloor)} do)`
  return isAbove(queriesPerRequest, roundTripFloor)
    ? `${average(queriesPerRequest)}${floor}`
    : average(queriesPerRequest)
}

function isFarAboveFloor({ queriesPerRequest, roundTripFloor }: RouteReport): boolean {
  return roundTripFloor !== null && queriesPerRequest >= 2 * Math.max(1, roundTripFloor)
}

/** Largest remainders, so that the cells add up to the bar. */
function bar(shares: Shares, cells: number, paint: Paint): string {
  const total = shareNames.reduce((sum, name) => sum + Math.max(0, shares[name]), 0)
  if (!(total > 0)) return paint('dim', padEnd('–', cells))
  const parts = shareNames.map((name) => {
    const exact = (Math.max(0, shares[name]) / total) * cells
    return { name, whole: Math.floor(exact), rest: exact - Math.floor(exact) }
  })
  let left = cells - parts.reduce((sum, { whole }) => sum + whole, 0)
  for (const part of parts.toSorted((a, b) => b.rest - a.rest)) {
    if (left <= 0) break
    part.whole += 1
    left -= 1
  }
  return parts
    .map(({ name, whole }) => paint(shareMarks[name].colour, shareMarks[name].letter.repeat(whole)))
    .join('')
}

function legendOf(routes: readonly RouteReport[], width: number, paint: Paint): string[] {
  const items = shareNames
    .filter((name) => routes.some(({ shares }) => shares[name] >= 0.005))
    .map((name) => ({ name, words: shareWords[name] }))
  const lines: string[] = []
  let line = ''
  let used = 0
  for (const { name, words } of items) {
    const cells = widthOf(words) + 2
    if (used > 0 && used + 3 + cells > width - 2) {
      lines.push(GAP + line)
      line = ''
      used = 0
    }
    const { letter, colour } = shareMarks[name]
    line += `${used > 0 ? '   ' : ''}${paint(colour, letter)} ${paint('dim', words)}`
    used += cells + (used > 0 ? 3 : 0)
  }
  if (used > 0) lines.push(GAP + line)
  if (
    routes.some(({ roundTripFloor, queriesPerRequest }) =>
      isAbove(queriesPerRequest, roundTripFloor),
    )
  ) {
    const words = '(n do): so many round trips in a row would do'
    lines.push(...wrap(words, width - 2).map((each) => GAP + paint('dim', each)))
  }
  return lines
}

function isAbove(queries: number, floor: number | null): boolean {
  return floor !== null && queries > floor + 0.05
}
