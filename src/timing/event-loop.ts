/**
 * Event loop: how busy it was and how late it came, since the last reset.
 *
 * Utilisation tells computing from waiting: near 1 the process computes all the time. Delay is how
 * much later than asked a timer ran, which is what every request waits for besides its own work. A
 * timer inside of Node (not of JavaScript) samples it every 20 ms; it keeps no process alive, and
 * starts with the first request.
 */
import {
  type EventLoopUtilization,
  type IntervalHistogram,
  monitorEventLoopDelay,
  performance,
} from 'node:perf_hooks'

const RESOLUTION_MS = 20

export class EventLoop {
  #delay: IntervalHistogram | undefined
  #since: EventLoopUtilization = performance.eventLoopUtilization()

  start(): void {
    this.#delay ??= monitorEventLoopDelay({ resolution: RESOLUTION_MS })
    this.#delay.enable()
  }

  reset(): void {
    this.#since = performance.eventLoopUtilization()
    this.#delay?.reset()
  }

  /** 0 to 1. */
  get utilisation(): number {
    const { utilization } = performance.eventLoopUtilization(this.#since)
    return Math.min(1, Math.max(0, utilization))
  }

  /** Delay that a share `q` (0 to 1) of all samples did not exceed; 0 before the first. */
  delayMs(q: number): number {
    // Node records the time from one sample to the next, in nanoseconds; 0 where there is none.
    const nanos = this.#delay?.percentile(q * 100) ?? 0
    return Math.max(0, nanos / 1e6 - RESOLUTION_MS)
  }

  close(): void {
    this.#delay?.disable()
    this.#delay = undefined
  }
}
