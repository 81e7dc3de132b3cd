/**
 * Event loop: how busy it is and how late its timers come, so that computing and waiting are told
 * apart. Started when somebody first asks; its timer never keeps the process alive.
 */
import { type IntervalHistogram, monitorEventLoopDelay, performance } from 'node:perf_hooks'

const RESOLUTION_MS = 10

export class EventLoop {
  #delay: IntervalHistogram | undefined
  #since = performance.eventLoopUtilization()

  /** Measures delays from now on. */
  watch(): void {
    if (this.#delay !== undefined) return
    this.#delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
    this.#delay.enable()
  }

  reset(): void {
    this.#since = performance.eventLoopUtilization()
    this.#delay?.reset()
  }

  /** Since the last reset, 0 to 1. */
  get utilisation(): number {
    return performance.eventLoopUtilization(this.#since).utilization
  }

  /** Milliseconds beyond the timer's own resolution; 0 where nothing was measured. */
  delayMs(quantile: number): number {
    const delay = this.#delay
    if (delay === undefined || delay.count === 0) return 0
    const nanoseconds = quantile >= 1 ? delay.max : delay.percentile(quantile * 100)
    return Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS)
  }

  close(): void {
    this.#delay?.disable()
    this.#delay = undefined
  }
}

/** Milliseconds that the loop was busy since the process started. */
export function loopActiveMs(): number {
  return performance.eventLoopUtilization().active
}
