/**
 * The comparison on a terminal: the verdict in words first, then what it rests on. Each ratio has
 * its interval and, beside it, what the same machine made of A against itself.
 */
import {
  type CompareDocument,
  type CompareRatio,
  type CompareSide,
  isMoreBetter,
  type Metric,
  metrics,
} from '../../compare/index.ts'
import { type Paint, painter, printable } from '../../report/index.ts'

export interface ReportOptions {
  readonly color: boolean
  readonly width?: number | undefined
}

const labels: Readonly<Record<Metric, string>> = {
  meanMs: 'mean',
  p50Ms: 'p50',
  p95Ms: 'p95',
  p99Ms: 'p99',
  throughput: 'rate at the goal',
  dbMsPerRequest: 'database',
  dbCallsPerRequest: 'database calls',
  cpuMsPerRequest: 'processor',
  peakMemoryMb: 'peak memory',
}

export function renderComparison(
  document: CompareDocument,
  { color, width = 80 }: ReportOptions,
): string {
  const paint = painter(color)
  const { load, sides, verdicts, notes } = document
  const goal =
    load.goal === undefined ? '' : `, goal p${load.goal.quantile * 100} = ${load.goal.ms} ms`
  const lines = [
    paint('bold', 'hasten compare'),
    ...sides.map(({ name, command, requests, errors }) => {
      const failed = errors === 0 ? 'no errors' : paint('red', `${errors} errors`)
      return `  ${paint('bold', name)}  ${printable(command)}  ${paint('dim', `${requests} requests,`)} ${failed}`
    }),
    paint(
      'dim',
      `  ${figure(load.ratePerSecond)} requests per second for ${load.seconds} s, ${load.rounds} rounds in turn, fresh processes${goal}`,
    ),
    '',
    ...verdicts.map(({ side, verdict, reason }) => {
      const words =
        verdict === 'cannot tell'
          ? `cannot tell whether ${side} differs from A`
          : verdict === 'no difference'
            ? `no difference between ${side} and A`
            : `${side} is ${verdict} than A`
      const colour = verdict === 'faster' ? 'green' : verdict === 'slower' ? 'red' : 'yellow'
      return `${paint('bold', 'VERDICT')}  ${paint(colour, words)}: ${printable(reason)}`
    }),
  ]
  for (const side of sides.slice(1)) lines.push('', ...table(document, side, width, paint))
  if (notes.length > 0)
    lines.push('', paint('bold', 'NOTES'), ...notes.map((note) => `  · ${printable(note)}`))
  return `${lines.join('\n')}\n`
}

function table(
  { sides, ratios, control }: CompareDocument,
  side: CompareSide,
  width: number,
  paint: Paint,
): string[] {
  const [first] = sides
  if (first === undefined) return []
  const own = new Map(
    ratios.filter((ratio) => ratio.side === side.name).map((ratio) => [ratio.metric, ratio]),
  )
  const controls = new Map(control.ratios.map((ratio) => [ratio.metric, ratio]))
  const rows = metrics
    .filter((metric) => own.has(metric) && (first[metric] !== null || side[metric] !== null))
    .map((metric) => {
      const ratio = own.get(metric) as CompareRatio
      return {
        verdict: ratio.verdict,
        cells: [
          labels[metric],
          valueOf(first, metric),
          valueOf(side, metric),
          number(ratio.ratio),
          interval(ratio),
          wordsOf(ratio),
          interval(controls.get(metric)),
        ],
      }
    })
  const head = ['', 'A', side.name, `${side.name} / A`, 'at 95 %', '', 'A′ / A']
  const all = [head, ...rows.map(({ cells }) => cells)]
  const widths = head.map((_, i) => Math.max(...all.map((cells) => (cells[i] ?? '').length)))
  const isWide = widths.reduce((sum, cells) => sum + cells + 2, 0) <= width
  const shown = isWide ? widths.length : widths.length - 1
  const lineOf = (cells: readonly string[], verdict?: CompareRatio['verdict']) =>
    cells
      .slice(0, shown)
      .map((cell, i) => {
        const padded =
          i === 0 || i === 5 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)
        if (i === 5 && verdict === 'better') return paint('green', padded)
        if (i === 5 && verdict === 'worse') return paint('red', padded)
        return i >= 5 ? paint('dim', padded) : padded
      })
      .join('  ')
      .trimEnd()
  return [
    `  ${paint('dim', lineOf(head))}`,
    ...rows.map(({ cells, verdict }) => `  ${lineOf(cells, verdict)}`),
    ...(isWide
      ? []
      : [paint('dim', '  (the control, A′ against A, is in --json and on wider terminals)')]),
  ]
}

function wordsOf({ metric, ratio, verdict }: CompareRatio): string {
  if (ratio === null || (verdict !== 'better' && verdict !== 'worse')) return verdict
  const isLess = ratio < 1
  const size = isLess ? 1 - ratio : ratio - 1
  const words =
    size > 1.5 ? `${number(ratio)} ×` : `${figure(size * 100)} % ${isLess ? 'less' : 'more'}`
  return isMoreBetter(metric) ? words : `${words}, ${verdict}`
}

function valueOf(side: CompareSide, metric: Metric): string {
  const value = side[metric]
  if (value === null) return '–'
  if (metric === 'dbCallsPerRequest') return figure(value)
  if (metric === 'peakMemoryMb') return `${figure(value)} MB`
  return metric === 'throughput' ? `${figure(value)}/s` : `${figure(value)} ms`
}

function interval(
  ratio: { readonly low: number | null; readonly high: number | null } | undefined,
): string {
  if (ratio === undefined || ratio.low === null || ratio.high === null) return '–'
  return `${number(ratio.low)} … ${number(ratio.high)}`
}

function number(ratio: number | null): string {
  if (ratio === null) return '–'
  return ratio >= 100 ? ratio.toFixed(0) : ratio >= 10 ? ratio.toFixed(1) : ratio.toFixed(2)
}

/** Three digits. */
function figure(value: number): string {
  return String(Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3)))
}
