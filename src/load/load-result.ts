/** Load result: what was asked of a server, and what came back. */
import type { LatencyHistogram } from '../core/histogram.ts'

/**
 * - `status`: answered with 500 or above
 * - `timeout`: no complete answer within `timeoutMs` or until the end of the drain
 * - `connect`: no connection: refused, unreachable, TLS
 * - `reset`: the connection broke before the answer was complete
 * - `protocol`: the answer was no HTTP
 * - `dropped`: never sent, `maxInFlight` were in flight already
 */
export const loadErrorKinds = [
  'status',
  'timeout',
  'connect',
  'reset',
  'protocol',
  'dropped',
] as const

export type LoadErrorKind = (typeof loadErrorKinds)[number]

export interface LoadResult {
  /** From the first intended request to the end of the schedule or the last answer, whichever is later. */
  readonly seconds: number
  /** Requests that were due, also those that were dropped or failed. */
  readonly requests: number
  /** Of `requests`, all kinds. */
  readonly errors: number
  readonly errorKinds: Readonly<Record<LoadErrorKind, number>>
  /** Cut off by an abort; neither answered nor errors. */
  readonly unfinished: number
  readonly offeredPerSecond: number
  /** Complete answers below 500. */
  readonly completedPerSecond: number
  readonly responseBytes: number
  /** From the intended moment to the last byte: answers below 500, and timeouts with their age. */
  readonly latency: LatencyHistogram
  /** In the order of the plan. */
  readonly routes: readonly RouteLoad[]
  readonly behind: {
    readonly dropped: number
    /** How late requests were sent: the generator's own fault, contained in `latency`. */
    readonly lateP99Ms: number
    readonly lateMaxMs: number
  }
  readonly maxInFlight: number
  readonly aborted: boolean
}

export interface RouteLoad {
  readonly route: string
  readonly method: string
  readonly requests: number
  readonly errors: number
  /** Answers by status. A fast 401 is not a fast route. */
  readonly statuses: Readonly<Record<string, number>>
  readonly latency: LatencyHistogram
}

export interface LoadProgress {
  readonly elapsedSeconds: number
  readonly sent: number
  /** Answered or failed. */
  readonly done: number
  readonly inFlight: number
  readonly errors: number
  /** Answers per second since the progress before. */
  readonly ratePerSecond: number
}
