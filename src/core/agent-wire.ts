/**
 * Agent wire: what an observed process and the doctor say to each other.
 *
 * One Unix socket in a private folder, one JSON document a line, both ways. The agent speaks first
 * (`hello`) and tells what happens by itself; the doctor asks, each question has an `id`, and the
 * agent's `reply` carries it back.
 *
 *   observed process                                doctor's process
 *      agent ── hello, listening, module … ──────────▶ AgentLink
 *            ◀─ { id: 7, ask: 'take' } ───────────────
 *            ── { tell: 'reply', id: 7, value } ──────▶
 *
 * A process that exits writes its last totals to a file beside the socket, named by `finalName`:
 * a socket may not take a large message while the process is dying, a file does.
 *
 * Neither side trusts the other to speak well: a line that is no JSON, or no message of this list,
 * is dropped and counted.
 */
import type { PoolFacts, ProcessFacts, RequestFacts, StatementFacts } from './facts.ts'

/** Bumped when a message changes its meaning; the doctor refuses another one's agent. */
export const wireVersion = 1

/** Longest line that either side accepts; a CPU profile of a minute is some megabytes. */
export const maxLineBytes: number = 256 * 2 ** 20

export interface DiscoveredRoute {
  readonly method: string
  /** As the framework writes it: `/users/:id`. */
  readonly pattern: string
  readonly framework: string
}

export interface ListeningFacts {
  readonly host: string
  /** 0 where it listens on a Unix socket; `host` is then its path. */
  readonly port: number
  readonly protocol: 'http' | 'https'
}

export interface ModuleFacts {
  readonly name: string
  readonly version: string
  readonly path: string
}

export interface DatabaseFacts {
  readonly host: string
  readonly port: number
  readonly database: string
}

export interface HelloFacts {
  readonly wire: number
  readonly pid: number
  readonly ppid: number
  /** 0 for the main thread. */
  readonly thread: number
  readonly node: string
  /** Absolute path of the script; empty where there is none (`node -e`). */
  readonly main: string
  readonly cwd: string
}

export interface CrashFacts {
  readonly name: string
  /** First line only. */
  readonly message: string
  readonly code?: string
  readonly stack: string
}

/** What one process counted since the last `begin`. */
export interface ProcessTotals {
  readonly seconds: number
  /** What `snapshot` of the exporters gave; `merge` takes it. */
  readonly snapshot: unknown
  readonly requests: readonly RequestFacts[]
  readonly pools: readonly PoolFacts[]
  readonly process: ProcessFacts
  readonly statements: readonly StatementFacts[]
  /** Messages that found the queue full and were dropped. */
  readonly dropped: number
}

/** Written to a file when the process exits. */
export interface FinalFacts {
  readonly code: number
  readonly crash?: CrashFacts
  /** Absent where nothing was counted. */
  readonly totals?: ProcessTotals
}

/** A CPU profile with what is needed to lay it over requests. */
export interface ProfileFacts {
  /** V8's own document (`Profiler.Profile`), times in microseconds. */
  readonly profile: unknown
  /**
   * Anchor: profile time (µs) and epoch (ms) of the same moment. The profile's clock is V8's own,
   * so the moment of `Profiler.start` is bracketed by two readings, and this is their middle.
   */
  readonly startMicros: number
  readonly startEpochMs: number
  readonly cwd: string
}

export type Tell =
  | ({ readonly tell: 'hello' } & HelloFacts)
  | ({ readonly tell: 'listening' } & ListeningFacts)
  | ({ readonly tell: 'listen-error'; readonly code: string } & ListeningFacts)
  | ({ readonly tell: 'module' } & ModuleFacts)
  | ({ readonly tell: 'database' } & DatabaseFacts)
  | ({ readonly tell: 'database-away'; readonly code: string } & DatabaseFacts)
  | { readonly tell: 'routes'; readonly routes: readonly DiscoveredRoute[] }
  | ({ readonly tell: 'crash' } & CrashFacts)
  | {
      readonly tell: 'reply'
      readonly id: number
      readonly value?: unknown
      readonly error?: string
    }

export type Ask =
  /** Sets how often a request is deep; with `reset` totals start from 0 again. */
  | { readonly ask: 'begin'; readonly deepEvery: number; readonly reset: boolean }
  /** Answer: ProcessTotals. `brief`: without requests, for a look in passing. */
  | { readonly ask: 'take'; readonly brief: boolean }
  | { readonly ask: 'routes' }
  | { readonly ask: 'request'; readonly traceId: string; readonly waitMs: number }
  | { readonly ask: 'profile-start' }
  | { readonly ask: 'profile-stop' }
  | { readonly ask: 'explain'; readonly ids: readonly string[] }

export type Asked = Ask & { readonly id: number }

/** Name, beside the socket, of the file that an exiting process leaves. */
export function finalName(pid: number, thread: number): string {
  return `final-${pid}-${thread}.json`
}
