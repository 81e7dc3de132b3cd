/** Measurement: one side in one round, a fresh process under the traffic. */
export const metrics = [
  'meanMs',
  'p50Ms',
  'p95Ms',
  'p99Ms',
  'throughput',
  'dbMsPerRequest',
  'dbCallsPerRequest',
  'cpuMsPerRequest',
  'peakMemoryMb',
] as const

export type Metric = (typeof metrics)[number]

export interface Measurement extends Readonly<Record<Metric, number | null>> {
  /** Index of the side. */
  readonly side: number
  /** The first side once more, as A′. */
  readonly isControl: boolean
  readonly round: number
  readonly requests: number
  readonly errors: number
  /** By route, `GET /users/:id`, then status; `none` where no answer came. */
  readonly statuses: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** The load generator's own lateness. */
  readonly lateP99Ms: number
}

/** Throughput is the only one of which more is better. */
export function isMoreBetter(metric: Metric): boolean {
  return metric === 'throughput'
}
