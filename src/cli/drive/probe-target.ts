/** Probe target: the little that the safety rules need of an observed command. */
import type { Phase, RequestFacts, StatementFacts } from '../../core/facts.ts'

export interface ProbeTarget {
  routes(): Promise<readonly ProbeRoute[]>
  databases(): readonly ProbeDatabase[]
  /** Facts of the one request that carried this trace id, once it has ended. */
  request(traceId: string): Promise<RequestFacts | undefined>
  /** Those that a phase has met so far. */
  statements(): readonly StatementFacts[]
  beginPhase(): Promise<void>
  /** What was counted since `beginPhase`; may be asked again. */
  takePhase(): Promise<Phase>
}

export interface ProbeRoute {
  readonly method: string
  readonly pattern: string
  readonly framework: string
}

export interface ProbeDatabase {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly isLoopback: boolean
}
