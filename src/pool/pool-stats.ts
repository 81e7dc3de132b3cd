import type { ConnectionSet } from './connection-set.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { Holder, Leases } from './leases.ts'
import type { ConnectionMode } from './pooled-connection.ts'
import type { Pooler } from './pooler.ts'
import type { Lane, StatementBook } from './statement-book.ts'

export interface StatementStats {
  /** Stripped of values. */
  readonly text: string
  readonly lane: Lane
  /** Why it takes that lane. */
  readonly why: string
  readonly runs: number
  /** Of the server's own time for it, lately. */
  readonly meanMs: number
  /** Times that it held others up and was taken off. */
  readonly offences: number
}

export interface ConnectionStats {
  readonly number: number
  readonly processId: number | undefined
  readonly mode: ConnectionMode
  readonly underWay: number
  readonly prepared: number
  readonly uses: number
  readonly ageMs: number
}

export interface PoolStats {
  readonly max: number
  readonly total: number
  readonly idle: number
  readonly shared: number
  readonly lent: number
  readonly connecting: number
  readonly waiting: { readonly express: number; readonly alone: number; readonly lent: number }
  /** A pooler such as PgBouncer is between here and the server. */
  readonly isPooled: boolean
  /** What it lets through, and how that is known; undefined before the first connection. */
  readonly pooler: Pooler | undefined
  /** Since the pool was made. */
  readonly counts: {
    readonly express: number
    readonly alone: number
    readonly repeated: number
    readonly cancelled: number
    readonly preempted: number
    readonly timedOut: number
    readonly aborted: number
  }
  readonly connections: readonly ConnectionStats[]
  /** Borrowers, who has held longest first. */
  readonly holders: readonly Holder[]
  /** The 50 shapes that ran most. */
  readonly statements: readonly StatementStats[]
}

const MAX_STATEMENTS = 50

export function poolStats(
  set: ConnectionSet,
  dispatcher: Dispatcher,
  book: StatementBook,
  leases: Leases,
): PoolStats {
  const now = performance.now()
  return {
    max: set.max,
    total: set.total,
    idle: set.idle,
    shared: set.sharing.length,
    lent: leases.size,
    connecting: set.connecting,
    waiting: dispatcher.waitingByLane,
    isPooled: set.isPooled,
    pooler: set.pooler,
    counts: { ...dispatcher.counts },
    connections: [...set.all()].map((connection) => ({
      number: connection.number,
      processId: connection.client.processID ?? undefined,
      mode: connection.mode,
      underWay: connection.calls.length,
      prepared: connection.preparedCount,
      uses: connection.uses,
      ageMs: Math.round(now - connection.bornMs),
    })),
    holders: leases.holders(),
    statements: book
      .shapes()
      .slice(0, MAX_STATEMENTS)
      .map(({ statement, lane, why, runs, meanMs, offences }) => ({
        text: statement.text,
        lane,
        why,
        runs,
        meanMs: Math.round(meanMs * 1_000) / 1_000,
        offences,
      })),
  }
}
