/**
 * Findings on a terminal, in words, the dearest first.
 *
 *    1  Title of it                                     n-plus-one, proved
 *       GET /users/:id and 2 more routes
 *       saves 123 ms per request · 41 % of it · 2.1 s per second
 *       · what was seen
 *       Remedy
 *         create index …
 *
 * What is only possible stands below a heading of its own: it is no accusation.
 */
import type { Confidence, Finding } from '../core/finding.ts'
import { milliseconds } from './figures.ts'
import {
  clip,
  clipMiddle,
  type Paint,
  padEnd,
  padStart,
  printable,
  printableLines,
  widthOf,
  wrap,
} from './terminal-text.ts'
import { kindWords, savingWords } from './words.ts'

const MARGIN = 5
const CODE_LINES = 60
/** Generated statements go on for pages; whoever wants all of it has the other outputs. */
const EVIDENCE_CELLS = 700

const confidenceColour = { proved: 'green', likely: 'yellow', possible: 'dim' } as const

export function findingLines(findings: readonly Finding[], width: number, paint: Paint): string[] {
  const sure = findings.filter(({ confidence }) => confidence !== 'possible')
  const possible = findings.filter(({ confidence }) => confidence === 'possible')
  const numbers = new Map([...sure, ...possible].map(({ id }, i) => [id, i + 1]))
  const lines = sure.flatMap((finding) => ['', ...oneFinding(finding, numbers, width, paint)])
  if (possible.length === 0) return lines
  return [
    ...lines,
    '',
    ...wrap('Possible: worth a look, no accusation.', width - 2).map(
      (line) => `  ${paint('dim', line)}`,
    ),
    ...possible.flatMap((finding) => ['', ...oneFinding(finding, numbers, width, paint)]),
  ]
}

/** `3 findings, worth 4.2 s per second`; causes and their effects are not added up. */
export function findingsHeading(findings: readonly Finding[]): string {
  const sure = findings.filter(({ confidence }) => confidence !== 'possible')
  if (sure.length === 0) return 'FINDINGS  nothing that is worth an accusation'
  const ids = new Set(sure.map(({ id }) => id))
  const saved = sure
    .filter(({ cause }) => cause === null || !ids.has(cause))
    .reduce((sum, { savesMsPerSecond }) => sum + savesMsPerSecond, 0)
  return `FINDINGS  ${sure.length}, worth up to ${milliseconds(saved)} per second`
}

function oneFinding(
  finding: Finding,
  numbers: ReadonlyMap<string, number>,
  width: number,
  paint: Paint,
): string[] {
  const inner = Math.max(24, width - MARGIN)
  const indent = ' '.repeat(MARGIN)
  const number = `${padStart(String(numbers.get(finding.id) ?? 0), 3)}  `
  const kind = kindWords[finding.kind] ?? printable(finding.kind)
  const tag = `${kind}, ${finding.confidence}`
  const cause = finding.cause === null ? undefined : numbers.get(finding.cause)
  return [
    ...titleLines(printable(finding.title), tag, finding.confidence, inner, paint).map(
      (line, i) => (i === 0 ? paint('bold', number) : indent) + line,
    ),
    ...wrap(routesOf(finding), inner).map((line) => indent + paint('dim', line)),
    ...wrap(savingWords(finding), inner).map((line) => indent + paint('cyan', line)),
    ...(cause === undefined
      ? []
      : wrap(`comes from finding ${cause}: mend that first`, inner).map(
          (line) => indent + paint('yellow', line),
        )),
    ...finding.evidence.flatMap((sentence) =>
      wrap(shortened(printable(sentence)), inner - 2).map(
        (line, i) => `${indent}${i === 0 ? paint('dim', '· ') : '  '}${line}`,
      ),
    ),
    ...remedyLines(finding, inner, paint).map((line) => indent + line),
  ]
}

function shortened(sentence: string): string {
  if (widthOf(sentence) <= EVIDENCE_CELLS) return sentence
  return `${clipMiddle(sentence, EVIDENCE_CELLS)} (in full in --json and --html)`
}

/** The tag stands at the right end where it fits, else below. */
function titleLines(
  title: string,
  tag: string,
  confidence: Confidence,
  inner: number,
  paint: Paint,
): string[] {
  const painted = paint(confidenceColour[confidence], tag)
  const lines = wrap(title, inner)
  const [first = ''] = lines
  if (lines.length === 1 && widthOf(first) + 2 + widthOf(tag) <= inner) {
    const cells = Math.min(inner, 100) - widthOf(tag)
    return [`${paint('bold', first)}${padEnd('', Math.max(2, cells - widthOf(first)))}${painted}`]
  }
  return [...lines.map((line) => paint('bold', line)), painted]
}

function routesOf({ route, routes }: Finding): string {
  const others = routes.filter((other) => other !== route).map(printable)
  const named = [printable(route), ...others.slice(0, 2)]
  const more = others.length - 2
  if (more > 0) return `${named.join(', ')} and ${more} more ${more === 1 ? 'route' : 'routes'}`
  return named.join(', ')
}

function remedyLines({ remedy }: Finding, inner: number, paint: Paint): string[] {
  const { note, sql, code } = remedy
  const lines = [
    ...(note === undefined ? [] : wrap(printable(note), inner - 2).map((line) => `  ${line}`)),
    ...(sql === undefined ? [] : codeLines(sql, paint)),
    ...(sql === undefined || code === undefined ? [] : ['']),
    ...(code === undefined ? [] : codeLines(code, paint)),
  ]
  return lines.length === 0 ? [] : [paint('green', 'Remedy'), ...lines]
}

/** Never wrapped: it is there to be copied. */
function codeLines(text: string, paint: Paint): string[] {
  const lines = printableLines(text)
  const kept = lines.slice(0, CODE_LINES).map((line) => `    ${paint('blue', clip(line, 2000))}`)
  const left = lines.length - CODE_LINES
  return left > 0 ? [...kept, `    … ${left} more lines in --json`] : kept
}
