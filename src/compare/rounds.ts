/**
 * The order in which the sides run.
 *
 *   round 1   A   B   A′
 *   round 2   B   A′  A
 *   round 3   A′  A   B
 *
 * A machine changes while it is measured: it warms up, another job begins. Sides that take turns
 * share that; and since the turn moves on by one each round, no side is always the first after the
 * pause or the one after the busy one. A′ is the first side once more: what A and A′ differ by is
 * what this machine makes of nothing.
 */
export interface Turn {
  readonly round: number
  readonly side: number
  readonly isControl: boolean
}

export function turnsOf(sides: number, rounds: number): Turn[] {
  const entries = [
    ...Array.from({ length: sides }, (_, side) => ({ side, isControl: false })),
    { side: 0, isControl: true },
  ]
  return Array.from({ length: rounds }, (_, round) =>
    entries.map((_entry, i) => ({
      round,
      ...(entries[(i + round) % entries.length] as (typeof entries)[number]),
    })),
  ).flat()
}
