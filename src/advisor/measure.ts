/** Measure: arithmetic on what was measured, safe against what cannot be. */

/** No time, count or size is beyond; what is must be an error, and would spoil every sum. */
const LEAST = 1e-9
const MOST = 1e15

/** Facts may come from a file, or from a process that died: what is no amount counts as none. */
export function amount(value: number | undefined): number {
  return value !== undefined && value >= LEAST && value <= MOST ? value : 0
}

export function per(sum: number | undefined, count: number): number {
  return amount(count) > 0 ? amount(sum) / count : 0
}

/** Nearest rank; 0 of nothing. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

export interface Stretch {
  readonly startMs: number
  readonly endMs: number
}

/** Length of what the stretches cover, each moment once. */
export function covered(stretches: readonly Stretch[]): number {
  let total = 0
  let until = Number.NEGATIVE_INFINITY
  for (const { startMs, endMs } of stretches.toSorted((a, b) => a.startMs - b.startMs)) {
    total += Math.max(0, endMs - Math.max(startMs, until))
    until = Math.max(until, endMs)
  }
  return total
}

/** The part of the stretches that lies between two moments. */
export function coveredBetween(
  stretches: readonly Stretch[],
  startMs: number,
  endMs: number,
): number {
  return covered(
    stretches
      .map((each) => ({
        startMs: Math.max(startMs, each.startMs),
        endMs: Math.min(endMs, each.endMs),
      }))
      .filter((each) => each.endMs > each.startMs),
  )
}

/** `0.4`, `12.3`, `1,234`: as exact as anybody reads it. */
export function figure(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)} million`
  if (value >= 100) return Math.round(value).toLocaleString('en-US')
  return String(Number(value.toFixed(1)))
}

export function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}
