/**
 * Rate search: the highest rate at which a step still holds, by doubling and then bisection.
 *
 *   rate                    ✗ 64
 *    │            ✓ 32            ✗ 48
 *    │      ✓ 16                        ✓ 40      ✗ 44   → 40
 *    │ ✓ 8
 *    └────────────────────────────────────────────────▶ steps
 *
 * A server holds or does not hold a rate with some noise: a garbage collection, another process on
 * the machine. Noise makes a step fail that should hold, hardly ever the other way round. So a failure
 * is believed only when a second step at the same rate fails too; a success is believed at once.
 *
 * Pure: it knows no clock and no server. `step` measures, and says when there is no time left.
 */

export interface SearchBounds {
  readonly startRate: number
  readonly minRate: number
  readonly maxRate: number
  /** Ends when the lowest failure is at most this share above the highest success: 0.05. */
  readonly precision: number
}

/** `undefined`: no time left for this step. */
export type StepVerdict = boolean | undefined

export type SearchLimit =
  /** Above the found rate the step failed. */
  | 'found'
  /** Held at the highest rate that was allowed. */
  | 'max-rate'
  /** Failed at the lowest rate that was allowed. */
  | 'min-rate'
  /** No time left; the true limit may be higher. */
  | 'budget'

export interface SearchOutcome {
  /** Highest rate that held; 0 where none did. */
  readonly ratePerSecond: number
  readonly limit: SearchLimit
}

export async function findRate(
  bounds: SearchBounds,
  step: (ratePerSecond: number) => Promise<StepVerdict>,
): Promise<SearchOutcome> {
  const holds = async (rate: number): Promise<StepVerdict> => {
    const first = await step(rate)
    return first === false ? step(rate) : first
  }
  let good = 0
  let bad = Number.POSITIVE_INFINITY
  let rate = Math.min(Math.max(bounds.startRate, bounds.minRate), bounds.maxRate)
  for (;;) {
    const verdict = await holds(rate)
    if (verdict === undefined) return { ratePerSecond: good, limit: 'budget' }
    if (verdict) good = rate
    else bad = rate
    if (good >= bounds.maxRate) return { ratePerSecond: good, limit: 'max-rate' }
    if (bad <= bounds.minRate) return { ratePerSecond: 0, limit: 'min-rate' }
    if (bad <= good * (1 + bounds.precision)) return { ratePerSecond: good, limit: 'found' }
    if (bad === Number.POSITIVE_INFINITY) rate = Math.min(good * 2, bounds.maxRate)
    else if (good === 0) rate = Math.max(bad / 2, bounds.minRate)
    // In the middle of the ratio: rates are told apart in per cent.
    else rate = Math.sqrt(good * bad)
  }
}
