/**
 * Comparison: from measurements to the document that `hasten compare --json` prints.
 *
 * A ratio is made within a round, where both sides met the same machine, against the geometric mean
 * of A and A′ there; then the logarithms of the rounds are averaged. So "half" and "double" weigh
 * the same, and it does not matter which side is called the first.
 */
import { type Interval, mean, meanInterval, median, seeded } from './bootstrap.ts'
import { type Measurement, type Metric, metrics } from './measurement.ts'
import { type StatusDifference, statusDifferences } from './statuses.ts'
import { judge, type MetricVerdict, metricVerdict, type Verdict } from './verdict.ts'

export interface CompareDocument {
  /** Of hasten. */
  readonly version: string
  readonly load: CompareLoad
  /** Medians over the rounds; requests and errors are sums. Null is what was not seen. */
  readonly sides: readonly CompareSide[]
  /** At 95 %. Null where there was nothing to divide. */
  readonly ratios: readonly CompareRatio[]
  /** Of the second side against the first. */
  readonly verdict: Verdict
  /** The first side against itself. */
  readonly control: CompareControl
  readonly verdicts: readonly {
    readonly side: string
    readonly verdict: Verdict
    readonly reason: string
  }[]
  readonly notes: readonly string[]
}

export interface CompareLoad {
  readonly requests: string
  readonly ratePerSecond: number
  readonly seconds: number
  readonly warmupSeconds: number
  /** That all sides completed. */
  readonly rounds: number
  readonly seed: number
  readonly goal?: { readonly quantile: number; readonly ms: number }
}

export interface CompareSide extends Readonly<Record<Metric, number | null>> {
  readonly name: string
  readonly command: string
  readonly requests: number
  readonly errors: number
}

export interface CompareRatio {
  readonly metric: Metric
  readonly side: string
  readonly against: string
  readonly ratio: number | null
  readonly low: number | null
  readonly high: number | null
  readonly verdict: MetricVerdict
}

export interface CompareControl {
  readonly side: string
  readonly ratios: readonly Omit<CompareRatio, 'verdict' | 'side' | 'against'>[]
}

export interface ComparisonInput {
  readonly version: string
  readonly load: Omit<CompareLoad, 'rounds'>
  readonly commands: readonly string[]
  readonly measurements: readonly Measurement[]
  /** What the reader must know besides. */
  readonly notes?: readonly string[]
  /** Of the bootstrap. @default 4,000 */
  readonly resamples?: number
}

export function compareMeasurements(input: ComparisonInput): CompareDocument {
  const { commands, load, version } = input
  const rounds = completeRounds(input.measurements, commands.length)
  const measured = rounds.flat()
  const withGoal = load.goal !== undefined
  const compared = metrics.filter((metric) => metric !== 'throughput' || withGoal)

  const control = compared.map((metric) => ({
    metric,
    interval: intervalOf(input, rounds, (round) =>
      logRatio(valueOf(round, 0, true, metric), valueOf(round, 0, false, metric)),
    ),
  }))
  const differences = statusDifferences(measured)
  const ratios = commands.slice(1).flatMap((_, i) =>
    compared.map((metric, m) => {
      const interval = intervalOf(input, rounds, (round) => pairedRatio(round, i + 1, metric))
      return {
        metric,
        side: nameOf(i + 1),
        against: nameOf(0),
        ...asRatio(interval),
        verdict: metricVerdict(metric, interval, control[m]?.interval),
      }
    }),
  )
  const verdicts = commands.slice(1).map((_, i) => {
    const side = nameOf(i + 1)
    const own = ratios.filter((ratio) => ratio.side === side)
    return { side, ...judge(own, refusalOf(i + 1, rounds.length, differences, measured)) }
  })
  return {
    version,
    load: { ...load, rounds: rounds.length },
    sides: commands.map((command, side) => sideOf(command, side, measured)),
    ratios,
    verdict: verdicts[0]?.verdict ?? 'cannot tell',
    control: {
      side: nameOf(0),
      ratios: control.map(({ metric, interval }) => ({ metric, ...asRatio(interval) })),
    },
    verdicts,
    notes: [...(input.notes ?? []), ...notesOf(differences, measured, load)],
  }
}

/** A, B, C …; the sides of a comparison are few. */
export function nameOf(side: number): string {
  return String.fromCharCode(65 + side)
}

/** A round counts when every side and the control was measured in it. */
function completeRounds(measurements: readonly Measurement[], sides: number): Measurement[][] {
  const byRound = new Map<number, Measurement[]>()
  for (const one of measurements) byRound.set(one.round, [...(byRound.get(one.round) ?? []), one])
  return [...byRound.values()].filter((round) => round.length === sides + 1)
}

function valueOf(
  round: readonly Measurement[],
  side: number,
  isControl: boolean,
  metric: Metric,
): number | null {
  return round.find((one) => one.side === side && one.isControl === isControl)?.[metric] ?? null
}

function pairedRatio(round: readonly Measurement[], side: number, metric: Metric): number {
  const own = valueOf(round, side, false, metric)
  const toFirst = logRatio(own, valueOf(round, 0, false, metric))
  const toControl = logRatio(own, valueOf(round, 0, true, metric))
  return (toFirst + toControl) / 2
}

/** Nothing against nothing is the same; something against nothing has no ratio. */
function logRatio(a: number | null, b: number | null): number {
  if (a === null || b === null) return Number.NaN
  if (a === 0 && b === 0) return 0
  return a > 0 && b > 0 ? Math.log(a / b) : Number.NaN
}

function intervalOf(
  { load, resamples }: ComparisonInput,
  rounds: readonly (readonly Measurement[])[],
  ratio: (round: readonly Measurement[]) => number,
): Interval {
  const values = rounds.map(ratio)
  // A round without a value is not left out: it would hide that the side failed in it.
  if (values.length === 0 || values.some(Number.isNaN)) {
    return { estimate: Number.NaN, low: Number.NaN, high: Number.NaN }
  }
  return meanInterval(values, { random: seeded(load.seed), resamples })
}

function asRatio({ estimate, low, high }: Interval) {
  const value = (log: number) =>
    Number.isFinite(log) ? Number(Math.exp(log).toPrecision(5)) : null
  return { ratio: value(estimate), low: value(low), high: value(high) }
}

function sideOf(command: string, side: number, measured: readonly Measurement[]): CompareSide {
  const own = measured.filter((one) => one.side === side && !one.isControl)
  const figures = metrics.map((metric) => {
    const values = own.map((one) => one[metric]).filter((value) => value !== null)
    return [metric, values.length === 0 ? null : Number(median(values).toPrecision(6))] as const
  })
  return {
    name: nameOf(side),
    command,
    requests: own.reduce((sum, { requests }) => sum + requests, 0),
    errors: own.reduce((sum, { errors }) => sum + errors, 0),
    ...(Object.fromEntries(figures) as Record<Metric, number | null>),
  }
}

function refusalOf(
  side: number,
  rounds: number,
  differences: readonly StatusDifference[],
  measured: readonly Measurement[],
): string | undefined {
  if (rounds < 3)
    return `${rounds === 0 ? 'no round' : rounds === 1 ? 'one round' : 'two rounds'} of all sides: three are needed at the least`
  const different = differences.find((one) => one.side === side)
  if (different !== undefined) return `the sides do not answer alike: ${differenceWords(different)}`
  for (const one of [0, side]) {
    const own = measured.filter((each) => each.side === one && !each.isControl)
    const requests = own.reduce((sum, each) => sum + each.requests, 0)
    const errors = own.reduce((sum, each) => sum + each.errors, 0)
    if (requests > 0 && errors > requests / 2) {
      return `more than half of the requests to ${nameOf(one)} failed: errors were measured, not the server`
    }
  }
  return undefined
}

function differenceWords({ side, route, status, share, againstShare }: StatusDifference): string {
  const what = status === 'none' ? 'no answer' : `status ${status}`
  const percent = (value: number) => `${Number((value * 100).toFixed(1))} %`
  return `${route} gave ${what} in ${percent(share)} of the requests on ${nameOf(side)} and in ${percent(againstShare)} on ${nameOf(0)}`
}

const DIFFERENCES_MAX = 12

function notesOf(
  differences: readonly StatusDifference[],
  measured: readonly Measurement[],
  { ratePerSecond, goal }: Omit<CompareLoad, 'rounds'>,
): string[] {
  const notes = differences.slice(0, DIFFERENCES_MAX).map((one) => `${differenceWords(one)}.`)
  const unheld = measured.filter(({ throughput }) => throughput === 0).length
  if (goal !== undefined && unheld > 0) {
    notes.push(
      `No rate held the goal in ${unheld} of ${measured.length} runs: it is out of reach, or the machine was too busy.`,
    )
  }
  const late = measured.filter(({ lateP99Ms, p50Ms }) => lateP99Ms > Math.max(5, (p50Ms ?? 0) / 2))
  if (late.length > measured.length / 4) {
    const ms = mean(late.map(({ lateP99Ms }) => lateP99Ms)).toFixed(0)
    notes.push(
      `The load generator itself was late by ${ms} ms in ${late.length} of ${measured.length} runs: the machine was busy with something else, or ${Number(ratePerSecond.toPrecision(3))} requests per second are too much for it.`,
    )
  }
  return notes
}
