/**
 * Candidate: what one detector says about one route, before all of them are put together.
 *
 * A detector does not know the others. It says what it would save and from which resource of the
 * route it takes that; `settle.ts` sees to it that two candidates do not save the same millisecond,
 * `cause.ts` which of them makes another, and `advise.ts` joins the same thing on several routes.
 */
import type { Confidence, Finding, FindingKind } from '../core/finding.ts'
import type { RouteView, Situation } from './situation.ts'

/**
 * Where a saving comes from: `connect`, `pool-wait`, `loop`, `response`, `query:<statement>`,
 * `http:<name>`.
 */
export type Resource = string

export interface Claim {
  readonly resource: Resource
  /** Per request. */
  readonly ms: number
}

/** What a candidate that may be the effect of another one says about its cause. */
export interface Blame {
  readonly statements: readonly string[]
  /** Keys of routes. */
  readonly routes: readonly string[]
  readonly kinds: readonly FindingKind[]
}

export interface Candidate {
  readonly kind: FindingKind
  /** What the id is made of, see `finding-id.ts`. */
  readonly subject: string
  readonly route: RouteView
  readonly title: string
  readonly evidence: readonly string[]
  readonly confidence: Confidence
  readonly remedy: Finding['remedy']
  readonly claims: readonly Claim[]
  /** Shapes that it is about. */
  readonly statements?: readonly string[]
  readonly blame?: Blame
  /** Milliseconds per second that requests of other routes wait because of it. */
  readonly othersMsPerSecond?: number
}

/** What a detector is: facts in, candidates out, no state. */
export type Detector<Thresholds> = (situation: Situation, thresholds: Thresholds) => Candidate[]
