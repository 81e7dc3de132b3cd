/**
 * Pool size: how many connections an application needs.
 *
 *   busy on average = requests per second × seconds that each keeps a connection      (Little's law)
 *
 * That holds for any order of arrival and any distribution of times. How far above the average it
 * goes is what requests that come by chance do: the number that is busy at one moment is then
 * distributed by Poisson, whatever the times are (M/G/∞). The size is the smallest that is enough in
 * 999 of 1,000 moments.
 *
 * Counted is the time that a connection is kept, not only that in which it works: whoever borrows one
 * and calls a slow service keeps it from the others. Time for connecting is not counted, there is none
 * in a pool. Offered traffic counts, not what got through: a pool that is too small hides nothing.
 *
 * A pool's own connections lie within one process; several processes share the traffic.
 *
 * Sources: Little, "A Proof for the Queuing Formula L = λW", Operations Research 1961; Newell, "The
 * M/G/∞ Service System with an Infinite Number of Servers", 1966, for the insensitivity.
 */
import { connectionUseOf } from './connection-use.ts'
import { figure, sum } from './measure.ts'
import type { Situation } from './situation.ts'

export interface PoolSize {
  /** Connections at the most, for the pool of one process. */
  readonly max: number
  /** Kept warm: what is busy on average. */
  readonly min: number
  /** Sentence: where the numbers come from. */
  readonly why: string
}

/** Below, bursts of a handful of requests wait for nothing but thrift. */
const LEAST = 4
/** What `pg.Pool` has where nobody says anything. */
const USUAL = 10
/** Beyond it nobody should go by a formula. */
const MOST = 50
const ENOUGH = 0.999

export function poolSizeOf(situation: Situation): PoolSize {
  const { routes, processes, hasLoad } = situation
  if (!hasLoad) {
    return {
      max: USUAL,
      min: LEAST,
      why: `${USUAL} is a usual size. Requests were asked one at a time, so how many connections are needed at once was not measured.`,
    }
  }
  const loaded = routes.filter(({ load }) => load !== undefined)
  const busy = sum(loaded.map((route) => connectionUseOf(route).lent)) / processes
  const perSecond = sum(loaded.map((route) => route.perSecond)) / processes
  const wanted = quantileOfPoisson(busy, ENOUGH)
  const max = Math.min(MOST, Math.max(LEAST, wanted))
  const each = processes > 1 ? ' in each process' : ''
  const keptMs = (busy / (perSecond || 1)) * 1000
  const many = busy < 0.1 ? 'fewer than 0.1' : figure(busy)
  const law = `By Little's law ${many} connections are busy on average${each}: ${figure(perSecond)} requests per second × ${figure(keptMs)} ms that each keeps one.`
  const size =
    wanted > MOST
      ? `Chance would ask for ${wanted}; shorten what keeps them before you go beyond ${MOST}.`
      : `${max} ${wanted < LEAST ? 'are few and have room for bursts' : 'are enough in 999 of 1,000 moments'}.`
  return { max, min: Math.max(1, Math.min(max, Math.ceil(busy))), why: `${law} ${size}` }
}

/** The smallest n with P(X ≤ n) ≥ q, by adding up. The mean is bounded, so that this ends. */
function quantileOfPoisson(mean: number, q: number): number {
  // From here on the normal distribution is as good, and exp(-mean) would be nothing.
  if (mean > 200) return Math.ceil(mean + 3.1 * Math.sqrt(mean))
  let term = Math.exp(-mean)
  let below = term
  let n = 0
  while (below < q) {
    n += 1
    term *= mean / n
    below += term
  }
  return n
}
