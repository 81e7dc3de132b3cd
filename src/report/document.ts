/**
 * The doctor's document: what `hasten doctor --json` prints, and what both reports are drawn from.
 *
 * Its fields are a contract; readers of it are other people's scripts. What is certain to be there
 * stands first. The optional fields at the end say what was out of the ordinary in this run; a
 * reader that does not know them loses nothing but the explanation.
 *
 * `HtmlExtra` is what only the page shows: curves and waterfalls. It is no part of the JSON, since
 * a thousand routes with ten requests each are megabytes that no script asked for.
 */
import type { PlanFacts, RequestFacts, StatementFacts } from '../core/facts.ts'
import type { Finding } from '../core/finding.ts'
import type { Shares } from '../core/shares.ts'

export type { Shares }

export interface DoctorDocument {
  /** Of hasten. */
  readonly version: string
  /** The command as it was given, `node server.js`. */
  readonly target: string
  /** Version of Node that the target ran on, `v20.20.0`. */
  readonly node: string
  readonly load: LoadSummary
  /** Most asked first. */
  readonly routes: readonly RouteReport[]
  readonly notDriven: readonly NotDriven[]
  /** By `savesMsPerSecond`, most first; those of confidence `possible` last. */
  readonly findings: readonly Finding[]

  /** What the reader must know to trust the figures: sentences. */
  readonly notes?: readonly string[]
  /** The target ended by itself while it was observed. */
  readonly crash?: CrashReport
  /** Stopped by Ctrl-C: what was measured until then. */
  readonly isInterrupted?: boolean
  /** What the hooks found to look at. */
  readonly seen?: SeenReport
}

/** `given`: from a request file; `discovered`: routes the framework told; `watched`: others' traffic. */
export type LoadMode = 'given' | 'discovered' | 'watched'

export interface LoadSummary {
  readonly mode: LoadMode
  readonly ratePerSecond: number
  readonly seconds: number
  readonly requests: number
  readonly errors: number
  /** The highest rate that held the goal, where one was searched for; null where none did. */
  readonly goal?: {
    readonly quantile: number
    readonly ms: number
    readonly heldPerSecond: number | null
  }
}

/** Columns of every picture of shares, in the order in which they are drawn. */
export const shareNames: readonly (keyof Shares)[] = [
  'db',
  'poolWait',
  'connect',
  'cache',
  'http',
  'cpu',
  'serialise',
  'other',
]

export interface RouteReport {
  /** Pattern, `/users/:id`. */
  readonly route: string
  readonly method: string
  readonly requests: number
  readonly errors: number
  readonly queriesPerRequest: number
  /** Round trips that this request needs at the least; null where it is not known. */
  readonly roundTripFloor: number | null
  /** Per request. */
  readonly dbMs: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  readonly shares: Shares
}

export interface NotDriven {
  readonly route: string
  readonly method: string
  readonly reason: string
}

export interface CrashReport {
  readonly code: number | null
  readonly signal: string | null
  /** Error and stack, or the last lines on stderr. */
  readonly message: string
}

export interface SeenReport {
  readonly modules: readonly {
    readonly name: string
    readonly version: string
    readonly path: string
  }[]
  readonly nothingHooked: boolean
}

/** As much of a histogram as a curve needs; `LatencyHistogram` is one. */
export interface Distribution {
  readonly count: number
  quantile(q: number): number
}

export interface HtmlExtra {
  /** As the caller saw it, from the moment at which the request was meant to be sent. */
  readonly latencies?: readonly {
    readonly method: string
    readonly route: string
    readonly latency: Distribution
  }[]
  /** Whole requests; the page picks the slowest of each route. */
  readonly requests?: readonly RequestFacts[]
  /** How the load went, second by second. */
  readonly progress?: readonly LoadMoment[]
  readonly statements?: readonly StatementFacts[]
  readonly plans?: readonly PlanFacts[]
  /** @default now */
  readonly createdAt?: Date
}

export interface LoadMoment {
  /** Since the load began. */
  readonly second: number
  readonly completedPerSecond: number
  readonly p95Ms: number
  readonly errors: number
}
