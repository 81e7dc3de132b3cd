/**
 * Connect gate: who may try to connect, and when, so that a server that starts, or is full, is not
 * stormed by those who need it.
 *
 *   enter ─▶ line, first come first served ─▶ under way (1, 2, 4 … maxConcurrent) ─▶ leave
 *                │                                                           connected │ failed
 *                └ waits while the gate is shut ◀──── shut for a random time ◀─────────┘
 *
 * - The first attempt goes alone; each that succeeds doubles how many may be under way. A failure
 *   brings it back to one: one probes, the others wait.
 * - After a failure the gate is shut for a random time between nothing and a bound, which doubles from
 *   failure to failure ("full jitter" [1]: a fleet that was disconnected together does not come back
 *   together). Attempts that were under way at once count as one failure.
 * - After a success whoever waited in line goes after a random part of the time that connecting took:
 *   a fleet that starts together spreads by itself, and the more the slower the server is.
 * - Success resets all that. An attempt that was given up says nothing about the server, nor does one
 *   that began before the last failure and ends after it.
 * - An attempt without an answer for half a second (a packet was lost) stops nobody any more, up to
 *   `maxConcurrent` altogether.
 * - A failure that waiting does not mend (a wrong password) is also the answer for all who wait in
 *   line; the gate is then shut for a second at the most.
 *
 * Bound: the line is as long as its callers make it, here the connections a pool lacks.
 *
 * [1] https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
 */
import type { Clock } from '../core/clock.ts'

export interface ConnectGateOptions {
  readonly maxConcurrent: number
  readonly backoffFirstMs: number
  readonly backoffMaxMs: number
  /** From 0 to below 1. */
  readonly random: () => number
  readonly clock: Clock
}

/** A way through the gate, to be given back by `leave`. */
export interface Passage {
  /** Failures that the gate had seen when it began. */
  readonly epoch: number
  readonly enteredAt: number
}

export type Outcome = 'connected' | 'transient' | 'permanent' | 'given up'

const PATIENCE_MS = 500
const LONGEST_PERMANENT_MS = 1_000
/** Doubling further would only lose the number's precision. */
const MOST_DOUBLINGS = 30

interface Waiting {
  resolve(passage: Passage): void
  reject(error: unknown): void
}

export class ConnectGate {
  readonly #options: ConnectGateOptions
  readonly #line = new Set<Waiting>()
  readonly #underWay = new Set<Passage>()
  #timer: NodeJS.Timeout | undefined
  #limit = 1
  #failures = 0
  #epoch = 0
  #opensAt = Number.NEGATIVE_INFINITY

  constructor(options: ConnectGateOptions) {
    this.#options = options
  }

  get waiting(): number {
    return this.#line.size
  }

  get underWay(): number {
    return this.#underWay.size
  }

  /** In a row, since the last success. */
  get failures(): number {
    return this.#failures
  }

  /** Until the next attempt may begin; 0 while the gate is open. */
  get shutMs(): number {
    return Math.max(0, this.#opensAt - this.#options.clock.now())
  }

  /** Rejects with the signal's reason, or with the error that waiting does not mend. */
  enter(signal: AbortSignal): Promise<Passage> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error)
        return
      }
      const onAbort = (): void => {
        this.#line.delete(waiting)
        this.#admit()
        reject(signal.reason as Error)
      }
      const waiting: Waiting = {
        resolve: (passage) => {
          signal.removeEventListener('abort', onAbort)
          resolve(passage)
        },
        reject: (error) => {
          signal.removeEventListener('abort', onAbort)
          reject(error as Error)
        },
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#line.add(waiting)
      this.#admit()
    })
  }

  leave(passage: Passage, outcome: Outcome, error?: unknown): void {
    this.#underWay.delete(passage)
    if (outcome === 'connected') this.#succeeded(passage)
    else if (outcome !== 'given up') this.#failed(passage, outcome)
    if (outcome === 'permanent') {
      const line = [...this.#line]
      this.#line.clear()
      for (const waiting of line) waiting.reject(error)
    }
    this.#admit()
  }

  #succeeded({ epoch, enteredAt }: Passage): void {
    if (epoch !== this.#epoch) return
    const { clock, random, maxConcurrent, backoffFirstMs } = this.#options
    const now = clock.now()
    this.#failures = 0
    this.#limit = Math.min(maxConcurrent, this.#limit * 2)
    this.#opensAt = now + random() * Math.min(now - enteredAt, backoffFirstMs)
  }

  #failed({ epoch }: Passage, outcome: Outcome): void {
    if (epoch !== this.#epoch) return
    const { clock, random, backoffFirstMs, backoffMaxMs } = this.#options
    const doubled = backoffFirstMs * 2 ** Math.min(this.#failures, MOST_DOUBLINGS)
    const bound = Math.min(backoffMaxMs, doubled)
    const most = outcome === 'permanent' ? Math.min(bound, LONGEST_PERMANENT_MS) : bound
    this.#failures++
    this.#epoch++
    this.#limit = 1
    this.#opensAt = clock.now() + random() * most
  }

  #admit(): void {
    // Without a line there is no timer: it would keep the process for nobody.
    clearTimeout(this.#timer)
    for (const next of this.#line) {
      const waitMs = this.#waitMs()
      if (waitMs > 0) {
        if (Number.isFinite(waitMs)) this.#timer = setTimeout(() => this.#admit(), waitMs)
        return
      }
      const passage = { epoch: this.#epoch, enteredAt: this.#options.clock.now() }
      this.#line.delete(next)
      this.#underWay.add(passage)
      next.resolve(passage)
    }
  }

  /** Until the next may go; infinite where somebody has to leave first. */
  #waitMs(): number {
    const { maxConcurrent, clock } = this.#options
    if (this.#underWay.size >= maxConcurrent) return Number.POSITIVE_INFINITY
    const now = clock.now()
    let young = 0
    let oldest = Number.POSITIVE_INFINITY
    for (const { epoch, enteredAt } of this.#underWay) {
      if (epoch !== this.#epoch || enteredAt + PATIENCE_MS <= now) continue
      young++
      oldest = Math.min(oldest, enteredAt)
    }
    if (young >= this.#limit) return oldest + PATIENCE_MS - now
    return this.#opensAt - now
  }
}
