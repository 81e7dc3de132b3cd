/**
 * Idle sweep: ends connections that nobody has used for `idleTimeoutMs`.
 *
 * One timer for all of them, set for the one that is due first. A shared connection is free and taken
 * again thousands of times a second: a timer for each would cost more than the statements.
 */
import type { PooledConnection } from './pooled-connection.ts'

/** Timers count no further. */
export const LONGEST_TIMER_MS: number = 2 ** 31 - 1

export interface IdleSweepOptions {
  /** 0: never. */
  readonly idleTimeoutMs: number
  /** Does not keep the process alive. */
  readonly allowExitOnIdle: boolean
  readonly now: () => number
  /** Free connections, those that are free longest first. */
  readonly free: () => readonly PooledConnection[]
  /** There are more than shall stay. */
  readonly isAboveMin: () => boolean
  readonly retire: (connection: PooledConnection) => void
}

export class IdleSweep {
  readonly #options: IdleSweepOptions
  #timer: NodeJS.Timeout | undefined

  constructor(options: IdleSweepOptions) {
    this.#options = options
  }

  /** A connection has become free. */
  start(): void {
    if (this.#timer === undefined) this.#in(this.#options.idleTimeoutMs)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #in(ms: number): void {
    const { isAboveMin, allowExitOnIdle } = this.#options
    if (ms <= 0 || !isAboveMin()) return
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        this.#sweep()
      },
      Math.min(ms, LONGEST_TIMER_MS),
    )
    if (allowExitOnIdle) this.#timer.unref()
  }

  #sweep(): void {
    const { idleTimeoutMs, now, free, isAboveMin, retire } = this.#options
    const nowMs = now()
    let next = Number.POSITIVE_INFINITY
    for (const connection of [...free()]) {
      if (!isAboveMin()) return
      const left = connection.freeSinceMs + idleTimeoutMs - nowMs
      if (left <= 1) retire(connection)
      else next = Math.min(next, left)
    }
    if (next < Number.POSITIVE_INFINITY) this.#in(next)
  }
}
