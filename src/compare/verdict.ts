/**
 * Verdict: from intervals to words, and to silence where the machine does not allow a word.
 *
 *            0.97  1  1.03
 *   ───────────┼───┼───┼─────────────▶ ratio of times
 *     ├──┤     ┊   ┊   ┊               faster: all of it below 1
 *              ┊├─┤┊   ┊               no difference: all of it within 3 %
 *          ├───┼───┼──┤┊               cannot tell: 1 is inside, and much else
 *
 * The control comes first: where A may differ from A′, that is from itself, by as much as B differs
 * from A, or differs by more than 3 % where no difference is claimed, nothing was shown. A verdict on the whole
 * follows the mean and the 95th percentile, and the throughput where a goal was given. One that is
 * better and another that is worse make no winner.
 */
import type { Interval } from './bootstrap.ts'
import { isMoreBetter, type Metric } from './measurement.ts'

export type MetricVerdict = 'better' | 'worse' | 'no difference' | 'cannot tell'
export type Verdict = 'faster' | 'slower' | 'no difference' | 'cannot tell'

/** Differences within 3 % are none that anybody would change a program for. */
const SAME = Math.log(1.03)

/** Both as logarithms of a ratio. The control's may be missing where there was none. */
export function metricVerdict(
  metric: Metric,
  { estimate, low, high }: Interval,
  control: Interval | undefined,
): MetricVerdict {
  if (![estimate, low, high].every(Number.isFinite)) return 'cannot tell'
  const drift = driftOf(control)
  if (low > -SAME && high < SAME) {
    return Math.abs(control?.estimate ?? 0) > SAME ? 'cannot tell' : 'no difference'
  }
  if (low <= 0 && high >= 0) return 'cannot tell'
  if (drift >= Math.abs(estimate)) return 'cannot tell'
  return estimate > 0 === isMoreBetter(metric) ? 'better' : 'worse'
}

/** How far A may be from A′, by the control's whole interval: its middle is near 1 by chance, too. */
function driftOf(control: Interval | undefined): number {
  if (control === undefined || !Number.isFinite(control.estimate)) return 0
  return Math.max(Math.abs(control.low), Math.abs(control.high))
}

const deciding: readonly Metric[] = ['meanMs', 'p95Ms', 'throughput']

export interface Judged {
  readonly metric: Metric
  readonly verdict: MetricVerdict
}

export interface Judgement {
  readonly verdict: Verdict
  /** Sentence. */
  readonly reason: string
}

/** `refusal` says why these sides cannot be compared at all. */
export function judge(metrics: readonly Judged[], refusal: string | undefined): Judgement {
  if (refusal !== undefined) return { verdict: 'cannot tell', reason: refusal }
  const used = metrics.filter(({ metric }) => deciding.includes(metric))
  const named = (verdict: MetricVerdict) =>
    used.filter((one) => one.verdict === verdict).map(({ metric }) => names[metric])
  const better = named('better')
  const worse = named('worse')
  if (better.length > 0 && worse.length > 0) {
    const reason = `${list(better)} ${is(better)} better, but ${list(worse)} ${is(worse)} worse`
    return { verdict: 'cannot tell', reason }
  }
  if (better.length > 0) return { verdict: 'faster', reason: `by ${list(better)}` }
  if (worse.length > 0) return { verdict: 'slower', reason: `by ${list(worse)}` }
  const unknown = named('cannot tell')
  if (used.length === 0 || unknown.length > 0) {
    const reason = `for ${list(unknown)} the runs differ among themselves by more than the sides do; try more --rounds, more --seconds or a quieter machine`
    return { verdict: 'cannot tell', reason: used.length === 0 ? 'nothing was measured' : reason }
  }
  return {
    verdict: 'no difference',
    reason: `${list(named('no difference'))} differ by less than 3 %`,
  }
}

const names: Readonly<Record<Metric, string>> = {
  meanMs: 'the mean',
  p50Ms: 'the median',
  p95Ms: 'the 95th percentile',
  p99Ms: 'the 99th percentile',
  throughput: 'the throughput',
  dbMsPerRequest: 'database time',
  dbCallsPerRequest: 'database calls',
  cpuMsPerRequest: 'processor time',
  peakMemoryMb: 'memory',
}

function list(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
}

function is(words: readonly string[]): string {
  return words.length === 1 ? 'is' : 'are'
}
