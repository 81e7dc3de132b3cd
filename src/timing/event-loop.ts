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

export interface EventLoopFacts {
  /** 0 to 1. */
  readonly utilisation: number
  readonly delayMeanMs: number
  readonly delayP50Ms: number
  readonly delayP99Ms: number
  readonly delayMaxMs: number
}

export class EventLoop {
  #delay: IntervalHistogram | undefined
  #since: EventLoopUtilization = performance.eventLoopUtilization()

  get isWatched(): boolean {
    return this.#delay !== undefined
  }

  start(): void {
    if (this.#delay !== undefined) return
    this.#delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
    this.#delay.enable()
  }

  reset(): void {
    this.#since = performance.eventLoopUtilization()
    this.#delay?.reset()
  }

  facts(): EventLoopFacts {
    const delay = this.#delay
    const { utilization } = performance.eventLoopUtilization(this.#since)
    // Before the first sample mean is NaN and max 0.
    const hasSamples = delay !== undefined && delay.max > 0
    return {
      utilisation: Math.min(1, Math.max(0, utilization)),
      delayMeanMs: hasSamples ? delayOf(delay.mean) : 0,
      delayP50Ms: hasSamples ? delayOf(delay.percentile(50)) : 0,
      delayP99Ms: hasSamples ? delayOf(delay.percentile(99)) : 0,
      delayMaxMs: hasSamples ? delayOf(delay.max) : 0,
    }
  }

  close(): void {
    this.#delay?.disable()
    this.#delay = undefined
  }
}

/** Node records the time from one sample to the next, in nanoseconds. */
function delayOf(intervalNanos: number): number {
  return Math.max(0, intervalNanos / 1e6 - RESOLUTION_MS)
}
