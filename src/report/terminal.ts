/**
 * The doctor's report on a terminal, in the order of a reader's questions: what was run, where the
 * time goes, what to mend and how, what was not looked at, what to know before trusting it.
 *
 * Nothing is written here: the text is returned, and nothing that comes from data reaches it
 * without `printable`.
 */
import { type DoctorDocument, type NotDriven } from './document.ts'
import { counted, percent } from './figures.ts'
import { findingLines, findingsHeading } from './terminal-findings.ts'
import { routeLines } from './terminal-routes.ts'
import { type Paint, painter, printable, printableLines, wrap } from './terminal-text.ts'
import { goalWords, loadWords, modeWords } from './words.ts'

export interface TerminalOptions {
  readonly color: boolean
  /** Columns. @default 80, at least 40 */
  readonly width?: number | undefined
}

const ROUTES_MAX = 60
const FINDINGS_MAX = 40
const NOT_DRIVEN_MAX = 30

export function renderTerminal(document: DoctorDocument, options: TerminalOptions): string {
  const width = Math.max(40, Math.floor(options.width ?? 80))
  const paint = painter(options.color)
  const { routes, findings, notDriven, notes = [], crash } = document

  const blocks = [
    headerLines(document, width, paint),
    ...(crash === undefined ? [] : [crashLines(crash, width, paint)]),
    [
      paint('bold', `ROUTES  ${routes.length}`),
      ...routeLines(routes.slice(0, ROUTES_MAX), width, paint),
      ...moreLine(routes.length - ROUTES_MAX, 'route', paint),
    ],
    [
      ...wrap(findingsHeading(findings), width).map((line) => paint('bold', line)),
      ...findingLines(findings.slice(0, FINDINGS_MAX), width, paint),
      ...moreLine(findings.length - FINDINGS_MAX, 'finding', paint),
    ],
    ...(notDriven.length === 0 ? [] : [notDrivenLines(notDriven, width, paint)]),
    ...(notes.length === 0
      ? []
      : [[paint('bold', 'NOTES'), ...notes.flatMap((note) => bullet(note, width, paint))]]),
  ]
  return `${blocks.map((lines) => lines.join('\n')).join('\n\n')}\n`
}

function headerLines(document: DoctorDocument, width: number, paint: Paint): string[] {
  const { target, node, version, load, isInterrupted, seen } = document
  const share = load.requests > 0 ? load.errors / load.requests : 0
  const errors =
    load.errors === 0
      ? 'no errors'
      : paint('red', `${counted(load.errors, 'error')} (${percent(share)})`)
  const goal = goalWords(load)
  return [
    ...wrap(`hasten doctor  ${printable(target)}`, width).map((line) => paint('bold', line)),
    ...wrap(`${loadWords(load)} · ${modeWords(load)}`, width),
    ...(goal === undefined ? [errors] : [errors, ...wrap(goal, width)]),
    paint('dim', printable(`node ${node.replace(/^v/, '')} · hasten ${version}`)),
    ...(isInterrupted === true
      ? wrap('Interrupted: this is what was measured until then.', width).map((line) =>
          paint('yellow', line),
        )
      : []),
    ...(seen?.nothingHooked === true
      ? wrap(
          'Nothing of the inside was seen: no library that hasten knows was loaded as a module of its own. An app bundled into one file looks like this; run it unbundled, or keep pg, fastify and their like external.',
          width,
        ).map((line) => paint('yellow', line))
      : []),
  ]
}

function crashLines(
  { code, signal, message }: NonNullable<DoctorDocument['crash']>,
  width: number,
  paint: Paint,
): string[] {
  const how = signal === null ? `exit code ${code ?? 'unknown'}` : printable(signal)
  return [
    paint('red', `CRASHED  the server ended while it was observed (${how})`),
    ...printableLines(message)
      .slice(0, 20)
      .flatMap((line) => wrap(line, width - 2))
      .map((line) => `  ${line}`),
    ...wrap('The figures below are of the time before.', width - 2).map((line) => `  ${line}`),
  ]
}

function notDrivenLines(notDriven: readonly NotDriven[], width: number, paint: Paint): string[] {
  const byReason = new Map<string, NotDriven[]>()
  for (const route of notDriven.slice(0, NOT_DRIVEN_MAX)) {
    byReason.set(route.reason, [...(byReason.get(route.reason) ?? []), route])
  }
  return [
    paint('bold', `NOT DRIVEN  ${notDriven.length}`),
    ...[...byReason].flatMap(([reason, routes]) => [
      ...wrap(printable(reason), width - 2).map((line) => `  ${line}`),
      ...routes.flatMap(({ method, route }) =>
        wrap(printable(`${method} ${route}`), width - 4).map((line) => `    ${paint('dim', line)}`),
      ),
    ]),
    ...moreLine(notDriven.length - NOT_DRIVEN_MAX, 'route', paint),
  ]
}

function bullet(text: string, width: number, paint: Paint): string[] {
  return wrap(printable(text), width - 4).map(
    (line, i) => `  ${i === 0 ? paint('dim', '· ') : '  '}${line}`,
  )
}

function moreLine(left: number, noun: string, paint: Paint): string[] {
  return left > 0
    ? ['', paint('dim', `  … and ${counted(left, `more ${noun}`)}, in --json and --html`)]
    : []
}
