/**
 * Alarm: a thread that wakes the generator when a request is due.
 *
 * Timers of Node count whole milliseconds and come up to one more too late; spinning with
 * `setImmediate` is exact and burns a core that the server under test needs. So the waiting is done
 * where blocking hurts nobody: this thread sleeps in `Atomics.wait`, exact to some 0.1 ms, and posts
 * an empty message to the generator's loop. It replays the same seeded arrivals as the generator, so
 * nothing has to be told from one to the other.
 *
 *   alarm       wait ········ ring        wait ··· ring
 *                              │                    │
 *   generator   answers …      └▶ send what is due   └▶ send what is due     answers …
 *
 * Arrivals closer together than `GRAIN_MS` share one ring: at thousands a second the rings stay
 * below 4,000 a second. A ring that the generator has not heard yet is not repeated.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { type ArrivalKind, Arrivals } from './arrivals.ts'
import { threadNow } from './thread-clock.ts'

const GRAIN_MS = 0.25

export interface AlarmData {
  /** [0]: 1 while a ring is unheard; [1]: 1 to stop; [2]: 1 once `start` is set. */
  readonly flags: Int32Array
  /** [0]: moment of the start, on the clock of all threads. */
  readonly start: Float64Array
  readonly kind: ArrivalKind
  readonly ratePerSecond: number
  readonly windowMs: number
  readonly seed: number
}

const data = workerData as AlarmData
const { flags, start } = data
const arrivals = new Arrivals(data.kind, data.ratePerSecond, data.windowMs, data.seed)

parentPort?.postMessage('ready')
Atomics.wait(flags, 2, 0)
const startMs = start[0] as number

while (Atomics.load(flags, 1) === 0) {
  const dueMs = arrivals.peek()
  if (dueMs === Number.POSITIVE_INFINITY) break
  const waitMs = startMs + dueMs - threadNow()
  if (waitMs > 0) {
    Atomics.wait(flags, 1, 0, waitMs)
    continue
  }
  const heardMs = threadNow() - startMs
  while (arrivals.peek() <= heardMs) arrivals.take()
  if (Atomics.exchange(flags, 0, 1) === 0) parentPort?.postMessage('ring')
  Atomics.wait(flags, 1, 0, GRAIN_MS)
}
