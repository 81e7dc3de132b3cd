/**
 * Pool registry: the pools that live in this process, and how full they are.
 *
 * Pools are held weakly, so that being watched keeps none alive, and counted by number in order of
 * creation. Bound: 256 pools; an application that makes one for each request drops the oldest from
 * the list, not from its memory.
 */
import type { PoolFacts } from '../core/facts.ts'

export type PoolFigures = Pick<PoolFacts, 'max' | 'total' | 'idle' | 'waiting'>

const MOST_POOLS = 256
const watched = new Set<WatchedPool>()
let pools = 0

export class WatchedPool {
  readonly number: number = ++pools
  readonly library: string
  /** `undefined` where the pool is gone. */
  readonly figures: () => PoolFigures | undefined
  waitingMax = 0

  constructor(library: string, figures: () => PoolFigures | undefined) {
    this.library = library
    this.figures = figures
  }

  sawWaiting(waiting: number): void {
    if (waiting > this.waitingMax) this.waitingMax = waiting
  }
}

/** `figures` must not hold on to the pool; it returns `undefined` for one that has ended. */
export function registerPool<Pool extends object>(
  library: string,
  pool: WeakRef<Pool>,
  figures: (pool: Pool) => PoolFigures | undefined,
): WatchedPool {
  const entry = new WatchedPool(library, () => {
    const alive = pool.deref()
    return alive === undefined ? undefined : figures(alive)
  })
  watched.add(entry)
  if (watched.size > MOST_POOLS) {
    for (const oldest of watched) {
      watched.delete(oldest)
      break
    }
  }
  return entry
}

/** Those that are alive, oldest first. */
export function poolFacts(): PoolFacts[] {
  const facts: PoolFacts[] = []
  for (const entry of watched) {
    const figures = entry.figures()
    if (figures === undefined) watched.delete(entry)
    else {
      const { number: pool, library, waitingMax } = entry
      facts.push({ pid: process.pid, pool, library, ...figures, waitingMax })
    }
  }
  return facts
}

/** Forgets how many waited at most. */
export function resetPools(): void {
  for (const entry of watched) {
    entry.waitingMax = 0
  }
}
