/** Finding: one thing that costs time, with its evidence, what mending it saves, and how. */
export const findingKinds = [
  'connection-per-request',
  'n-plus-one',
  'duplicate-query',
  'missing-index',
  'unused-index',
  'redundant-join',
  'cacheable-join',
  'join-explosion',
  'sequential-awaits',
  'recomputed-result',
  'slow-query',
  'pool-starvation',
  'event-loop-blocked',
  'over-fetching',
  'large-response',
] as const

export type FindingKind = (typeof findingKinds)[number]

/** `proved`: tried; `likely`: measured, one reading; `possible`: shown last, no accusation. */
export type Confidence = 'proved' | 'likely' | 'possible'

export interface Finding {
  /** The same from run to run for the same thing: kind, route and shape decide it, no measure does. */
  readonly id: string
  readonly kind: FindingKind
  /** `GET /users/:id`: where it costs most. */
  readonly route: string
  readonly routes: readonly string[]
  readonly title: string
  /** Id of the finding that must be mended first. */
  readonly cause: string | null
  /** Sentences, most telling first. */
  readonly evidence: readonly string[]
  readonly confidence: Confidence
  readonly savesMsPerRequest: number
  /** Weighs by how often it is asked; orders the list. */
  readonly savesMsPerSecond: number
  /** Of the route's mean time, 0 to 1. */
  readonly savesShare: number
  readonly remedy: { readonly sql?: string; readonly code?: string; readonly note?: string }
}
