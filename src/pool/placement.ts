/**
 * Placement: which connection a call or a borrower may have, and how many there should be.
 *
 * Rules:
 *   1. An express call goes to the shared connection with the fewest under way; a free one becomes
 *      shared while there are fewer than `express`. Never behind a statement that already takes longer
 *      than `expressMaxMs`. Beyond DEPTH it waits in the line, where it can still go anywhere.
 *   2. While express calls come, statements alone leave one connection for them. Borrowers leave it for
 *      LAST_RESORT_MS, then they get it: an application may need all `max` at once.
 *   3. Who waits for a connection for himself has shared ones drained for him.
 */
import type { Call } from './call.ts'
import type { ConnectionSet } from './connection-set.ts'
import type { PooledConnection } from './pooled-connection.ts'
import type { WaitingLines } from './waiting-lines.ts'

/** Calls under way on a shared connection. Deeper is no faster, and more would wait behind one. */
const DEPTH = 32
/** Under way on every shared connection before another is opened for them. */
const CROWDED = 8
const LAST_RESORT_MS = 20
/** With one connection and fast statements without end, others would wait for ever. */
const LAST_RESORT_ALONE_MS = 100
/** Express calls within this time keep a connection from statements alone. */
const EXPRESS_RECENT_MS = 1_000

export class Placement {
  readonly #set: ConnectionSet
  readonly #lines: WaitingLines
  readonly #maxMs: () => number
  readonly #pump: () => void
  /** Connections that run a statement alone. */
  alone = 0
  /** Connections in the hands of borrowers. */
  lent = 0
  /** Of the last express call. */
  lastExpressMs: number = Number.NEGATIVE_INFINITY
  #lastResort: NodeJS.Timeout | undefined

  constructor(set: ConnectionSet, lines: WaitingLines, maxMs: () => number, pump: () => void) {
    this.#set = set
    this.#lines = lines
    this.#maxMs = maxMs
    this.#pump = pump
  }

  /** For an express call. */
  shared(now: number): PooledConnection | undefined {
    const { sharing, expressLimit } = this.#set
    let best: PooledConnection | undefined
    let least = DEPTH
    for (const connection of sharing) {
      const { length } = connection.calls
      if (length >= least || connection.isDraining) continue
      if (this.#set.isOver(connection, now)) continue
      const head = connection.calls[0] as Call
      const since = Math.max(head.sentMs, connection.answeredMs)
      if (now - since > this.#maxMs()) continue
      best = connection
      least = length
    }
    if (sharing.length >= expressLimit) return best
    if (best !== undefined && this.#lines.lent.size > 0) return best
    const free = this.#set.takeFree(now)
    if (free !== undefined) {
      free.mode = 'shared'
      sharing.push(free)
      return free
    }
    if (least >= CROWDED) this.#set.openOneMore()
    return best
  }

  mayRunAlone(now: number): boolean {
    const { max, idle, sharing, hasRoom } = this.#set
    const isReserved = max > 1 && now - this.lastExpressMs < EXPRESS_RECENT_MS
    if (!isReserved) return true
    // The last one that is open stays, too, until another is; but not for long: it may not come.
    if (hasRoom && idle + sharing.length < 2) {
      const first = this.#lines.alone.peek()
      if (first === undefined) return false
      if (now - first.askedMs < LAST_RESORT_MS) {
        this.#pumpIn(LAST_RESORT_MS)
        return false
      }
    }
    // Where borrowers have nearly all, one at a time goes on.
    return this.alone < Math.max(1, max - 1 - this.lent)
  }

  /** Opens what those who wait could use, and drains what they wait for. */
  provide(now: number): void {
    const { express, alone, lent } = this.#lines
    const more = this.#set.expressLimit - this.#set.sharing.length
    const shared = Math.max(0, Math.min(Math.ceil(express.size / DEPTH), more))
    this.#set.openFor(lent.size, alone.size + shared)
    this.#drain(now)
  }

  #drain(now: number): void {
    const { sharing } = this.#set
    const { alone, lent } = this.#lines
    const wanted = lent.size + (this.mayRunAlone(now) ? alone.size : 0)
    if (wanted === 0) {
      for (const each of sharing) if (each.cancels === 0) each.isDraining = false
      return
    }
    if (this.#set.hasRoom || sharing.length === 0) return
    let draining = sharing.filter(({ isDraining }) => isDraining).length
    for (const connection of sharing) {
      if (draining >= wanted || draining >= sharing.length - 1) break
      if (connection.isDraining) continue
      connection.isDraining = true
      draining += 1
    }
    // The last one: not before he has waited, a statement for longer than a borrower.
    const first = lent.peek() ?? alone.peek()
    if (first === undefined || draining >= wanted) return
    const patienceMs = lent.size > 0 ? LAST_RESORT_MS : LAST_RESORT_ALONE_MS
    const waitedMs = now - first.askedMs
    if (waitedMs >= patienceMs) for (const connection of sharing) connection.isDraining = true
    else this.#pumpIn(patienceMs - waitedMs)
  }

  #pumpIn(ms: number): void {
    if (this.#lastResort !== undefined) return
    this.#lastResort = setTimeout(() => {
      this.#lastResort = undefined
      this.#pump()
    }, ms)
    this.#lastResort.unref()
  }
}
