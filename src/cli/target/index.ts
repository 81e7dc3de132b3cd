export type { DiscoveredRoute } from '../../core/agent-wire.ts'
export type { OutputStream } from './process-group.ts'
export {
  type Database,
  type Listening,
  type Seen,
  Target,
  type TargetExit,
  type TargetOptions,
} from './target.ts'
