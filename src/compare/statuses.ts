/**
 * Do both sides answer alike? A server that says 500 at once is no faster server, and one that
 * refuses whom the other serves does not do the same work.
 *
 * The traffic is the same request by request, so the shares of statuses should be as well. A share
 * that differs by more than one in a hundred, and by three requests at least, is told.
 */
import type { Measurement } from './measurement.ts'

export interface StatusDifference {
  readonly side: number
  readonly route: string
  readonly status: string
  /** Of the requests to that route, 0 to 1. */
  readonly share: number
  readonly againstShare: number
}

const SHARE = 0.01
const REQUESTS = 3

type Tally = Map<string, Map<string, number>>

/** Of each side against the first, the greatest first. */
export function statusDifferences(measurements: readonly Measurement[]): StatusDifference[] {
  const sides = [...new Set(measurements.map(({ side }) => side))].filter((side) => side > 0)
  const against = tallyOf(measurements.filter(({ side, isControl }) => side === 0 && !isControl))
  return sides
    .flatMap((side) =>
      differences(side, tallyOf(measurements.filter((one) => one.side === side)), against),
    )
    .sort((a, b) => Math.abs(b.share - b.againstShare) - Math.abs(a.share - a.againstShare))
}

function differences(side: number, tally: Tally, against: Tally): StatusDifference[] {
  const found: StatusDifference[] = []
  for (const route of new Set([...tally.keys(), ...against.keys()])) {
    const own = tally.get(route) ?? new Map<string, number>()
    const other = against.get(route) ?? new Map<string, number>()
    const total = sum(own)
    const otherTotal = sum(other)
    // A route that only one of them was asked for says nothing: a round was cut short.
    if (total === 0 || otherTotal === 0) continue
    for (const status of new Set([...own.keys(), ...other.keys()])) {
      const share = (own.get(status) ?? 0) / total
      const againstShare = (other.get(status) ?? 0) / otherTotal
      const gap = Math.abs(share - againstShare)
      if (gap > SHARE && gap * Math.min(total, otherTotal) > REQUESTS - 0.5) {
        found.push({ side, route, status, share, againstShare })
      }
    }
  }
  return found
}

function tallyOf(measurements: readonly Measurement[]): Tally {
  const tally: Tally = new Map()
  for (const { statuses } of measurements) {
    for (const [route, counts] of Object.entries(statuses)) {
      const row = tally.get(route) ?? new Map<string, number>()
      tally.set(route, row)
      for (const [status, times] of Object.entries(counts)) {
        row.set(status, (row.get(status) ?? 0) + times)
      }
    }
  }
  return tally
}

function sum(counts: ReadonlyMap<string, number>): number {
  let total = 0
  for (const times of counts.values()) total += times
  return total
}
