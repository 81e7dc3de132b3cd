/**
 * Dispatcher: brings calls and borrowers together with connections.
 *
 *                    ┌ express line ┐        ┌──── shared: up to `express` connections, DEPTH deep
 *   pool.query  ──▶  │ alone line   │  ──▶   ├──── alone: one call each
 *   pool.connect ─▶  └ lent line    ┘        └──── lent: to one borrower
 *
 * A connection has no lane of its own: what is free takes whoever comes, and is free again when that
 * has ended. So a pool of one works, and a pool without slow statements is all express lane.
 *
 * Who gets which connection is placement.ts, who is next waiting-lines.ts.
 *
 * Rules:
 *   1. A statement at the head of a shared connection that holds others up is cancelled on the server
 *      and run again alone (it is a single statement in its own transaction: cancelled, it left
 *      nothing). See preemption.ts.
 *   2. What was hit by a cancel request for another is repeated. See cancellation.ts.
 *   3. What was lost with its connection is repeated where that is safe. See lost-call.ts.
 */
import type { HastenError } from '../core/errors.ts'
import { Call, type CallOwner } from './call.ts'
import { Cancellation } from './cancellation.ts'
import { Checkout } from './checkout.ts'
import type { ConnectionSet } from './connection-set.ts'
import { QUERY_READ_TIMEOUT } from './deadline.ts'
import { farewellOf, hasNotRun, isFatal, isRefusal, lostError } from './lost-call.ts'
import type { PgError } from './pg.ts'
import { Placement } from './placement.ts'
import type { PooledConnection } from './pooled-connection.ts'
import type { PoolSettings } from './pool-options.ts'
import { Preemption } from './preemption.ts'
import type { WaitingLine } from './waiting-line.ts'
import { type Situation, WaitingLines } from './waiting-lines.ts'

const MAX_ATTEMPTS = 4
export interface DispatcherCounts {
  express: number
  alone: number
  repeated: number
  cancelled: number
  preempted: number
  timedOut: number
  aborted: number
}

export class Dispatcher implements CallOwner {
  readonly counts: DispatcherCounts = {
    express: 0,
    alone: 0,
    repeated: 0,
    cancelled: 0,
    preempted: 0,
    timedOut: 0,
    aborted: 0,
  }
  readonly #settings: PoolSettings
  readonly #set: ConnectionSet
  readonly #now: () => number
  readonly #lines: WaitingLines
  readonly #placement: Placement
  readonly #cancellation: Cancellation
  readonly #preemption: Preemption
  /** Calls and borrowers under way or waiting: the pool ends when there are none. */
  onQuiet: (() => void) | undefined

  constructor(settings: PoolSettings, set: ConnectionSet, situation: Situation, now: () => number) {
    this.#settings = settings
    this.#set = set
    this.#now = now
    this.#lines = new WaitingLines(settings, situation, now)
    this.#placement = new Placement(
      set,
      this.#lines,
      () => this.#maxMs(),
      () => this.pump(),
    )
    this.#cancellation = new Cancellation(set, this.counts, (connection) => {
      this.#after(connection, this.#now())
      this.pump()
    })
    this.#preemption = new Preemption(
      () => set.sharing,
      () => this.#maxMs(),
      now,
      (connection) => {
        this.counts.preempted += 1
        this.#cancellation.ask(connection)
      },
    )
  }

  get waiting(): number {
    return this.#lines.size
  }

  get waitingByLane(): { express: number; alone: number; lent: number } {
    return this.#lines.sizes
  }

  /** A new call. It settles through its own `settle`. */
  ask(call: Call): void {
    const now = this.#now()
    call.askedMs = now
    call.sentMs = now
    const { express } = this.#lines
    if (this.#isExpress(call)) {
      this.#placement.lastExpressMs = now
      const connection = express.size === 0 ? this.#placement.shared(now) : undefined
      if (connection !== undefined) {
        this.#sendExpress(connection, call)
        return
      }
    } else {
      const connection = this.#takeAlone(now)
      if (connection !== undefined) {
        this.#sendAlone(connection, call)
        return
      }
    }
    if (this.#lines.admit(call, this.#lineOf(call))) this.pump()
  }

  /** A caller that wants a connection for himself. */
  checkout(
    isBorrower: boolean,
    priority: number,
    start: (connection: PooledConnection) => void,
    fail: (error: unknown) => void,
  ): Checkout {
    const now = this.#now()
    const { alone, lent } = this.#lines
    const checkout = new Checkout(isBorrower, priority, now, start, fail)
    const connection = isBorrower
      ? this.#isNobodyBefore() && this.#set.takeFree(now)
      : this.#takeAlone(now)
    if (connection) this.#grant(checkout, connection)
    else if (isBorrower ? this.#lines.admit(checkout, lent) : this.#lines.admit(checkout, alone)) {
      this.pump()
    }
    return checkout
  }

  /** One who waits has waited long enough. */
  outOfTime(checkout: Checkout): void {
    this.counts.timedOut += 1
    this.#lines.expire(checkout)
  }

  /** One who waits has given up. */
  withdraw(checkout: Checkout, error: unknown): void {
    this.#lines.withdraw(checkout, error)
  }

  /** A connection that was lent or ran alone is free again, or a new one has come. */
  returned(connection: PooledConnection): void {
    if (connection.isLost) return
    this.#set.toFree(connection, this.#now())
    if (this.waiting > 0 || this.onQuiet !== undefined) this.pump()
  }

  /** A borrower gave his back, in whatever state. */
  endedLease(): void {
    this.#placement.lent -= 1
  }

  /** A statement alone (a checkout that is no borrower) has ended. */
  endedAlone(): void {
    this.#placement.alone -= 1
  }

  // ── answers ──────────────────────────────────────────────────────────────────────────────────

  answered(call: Call): void {
    const connection = call.connection as PooledConnection
    const now = this.#now()
    call.serviceMs = now - Math.max(call.sentMs, connection.answeredMs)
    connection.answeredMs = now
    connection.remove(call)
    connection.keep(call)
    const { result } = call
    call.known.shape.ran(
      call.serviceMs,
      result?.rows.length ?? 0,
      call.bytes,
      call.use,
      this.#maxMs(),
    )
    if (call.isPreempted) this.#preemption.learn(call)
    if (!call.isExpress) this.#placement.alone -= 1
    call.settle(undefined, result)
    this.#after(connection, now)
  }

  failed(call: Call, error: unknown): void {
    const connection = call.connection as PooledConnection
    const now = this.#now()
    const fault = error as PgError
    if (!connection.remove(call)) return
    if (isFatal(fault) && !connection.isLost) {
      connection.farewell = farewellOf(fault)
      connection.farewellCall = call
      this.#set.lost(connection, fault)
    }
    if (!call.isExpress) this.#placement.alone -= 1
    if (isRefusal(fault)) this.#set.lost(connection, fault)
    if (connection.isLost) {
      this.#lostCall(call, connection, error)
      return
    }
    connection.answeredMs = now
    const stale = isStale(fault, call)
    const isByMistake = fault.code === '57014' && connection.hasBeenCancelled && !call.isSettled
    connection.forget(call, stale)
    if (!stale && fault.code === '25006') this.#set.suspect()
    if (!(stale || isByMistake) || !this.#repeat(call)) call.settle(error)
    this.#after(connection, now)
  }

  /** A deadline has passed, or a signal said stop. */
  giveUp(call: Call, error: HastenError, count: 'timedOut' | 'aborted'): void {
    if (call.isSettled) return
    this.counts[count] += 1
    const { connection } = call
    if (error.message !== QUERY_READ_TIMEOUT) {
      error.message +=
        connection === undefined
          ? '; it still waited, and did not run'
          : '; it had been sent: it is being cancelled on the server, and may have been done before'
    }
    const { shape } = call.known
    const ms = this.#now() - call.sentMs
    if (connection?.calls[0] === call && ms > this.#maxMs()) shape.heldUp(ms)
    call.settle(error)
    if (connection === undefined) call.line?.left()
    else if (connection.calls[0] === call) this.#cancellation.ask(connection)
  }

  /** No connection can be had: everybody who waits since before hears why. */
  failWaiting(error: unknown, olderThanMs: number): void {
    this.#lines.failAll(error, this.#now() - olderThanMs)
    this.#quiet()
  }

  /** The first who waits hears why: a connection came up and could not be made ready for him. */
  failFirst(error: unknown): void {
    const { express, alone, lent } = this.#lines
    this.#lines.firstOf(this.#lines.firstOf(lent, alone), express)?.shift()?.fail(error)
  }

  // ── lines to connections ─────────────────────────────────────────────────────────────────────

  pump(): void {
    if (this.waiting === 0 && this.#set.sharing.length === 0) {
      this.#quiet()
      return
    }
    const now = this.#now()
    this.#reline(now)
    while (this.#serveOne(now)) {}
    this.#placement.provide(now)
    this.#quiet()
  }

  /** What was learned since somebody began to wait may have made the other line his. */
  #reline(now: number): void {
    const { express, alone } = this.#lines
    for (let first = alone.peek(); first instanceof Call; first = alone.peek()) {
      if (!this.#isExpress(first)) break
      alone.shift()
      this.#placement.lastExpressMs = now
      this.#lines.move(first, express)
    }
    if (this.#set.expressLimit > 0) return
    for (let first = express.shift(); first !== undefined; first = express.shift()) {
      this.#lines.move(first, alone)
    }
  }

  /** False where nobody who waits can be served now. */
  #serveOne(now: number): boolean {
    const { express, alone, lent } = this.#lines
    const line = this.#lines.firstOf(lent, this.#placement.mayRunAlone(now) ? alone : undefined)
    const waiter = line?.peek()
    const call = express.peek()
    const isFirst =
      waiter !== undefined &&
      (call === undefined || this.#set.sharing.length > 0 || waiter.order < call.order)
    const own = isFirst ? this.#set.takeFree(now) : undefined
    if (own !== undefined) {
      line?.shift()
      if (waiter instanceof Checkout) this.#grant(waiter, own)
      else this.#sendAlone(own, Object.assign(waiter as Call, { sentMs: now }))
      return true
    }
    const shared = call === undefined ? undefined : this.#placement.shared(now)
    if (call === undefined || shared === undefined) return false
    express.shift()
    call.sentMs = now
    this.#sendExpress(shared, call)
    return true
  }

  #isExpress(call: Call): boolean {
    return call.known.shape.lane === 'express' && this.#set.expressLimit > 0
  }

  #lineOf(call: Call): WaitingLine<Call> {
    const { express, alone } = this.#lines
    return this.#isExpress(call) ? express : (alone as WaitingLine<Call>)
  }

  #isNobodyBefore(): boolean {
    return this.#lines.alone.size === 0 && this.#lines.lent.size === 0
  }

  /** For a statement alone that has just been asked. */
  #takeAlone(now: number): PooledConnection | undefined {
    if (!this.#isNobodyBefore() || !this.#placement.mayRunAlone(now)) return undefined
    return this.#set.takeFree(now)
  }

  #sendExpress(connection: PooledConnection, call: Call): void {
    clearTimeout(call.acquireTimer)
    call.isExpress = true
    this.counts.express += 1
    connection.send(call)
    if (connection.calls.length === 1) call.message?.sent(connection.client)
    if (connection.calls.length > 1) this.#preemption.watch()
  }

  #sendAlone(connection: PooledConnection, call: Call): void {
    clearTimeout(call.acquireTimer)
    call.isExpress = false
    this.counts.alone += 1
    this.#placement.alone += 1
    connection.mode = 'alone'
    connection.send(call)
    call.message?.sent(connection.client)
  }

  #grant(checkout: Checkout, connection: PooledConnection): void {
    connection.mode = 'lent'
    if (checkout.isBorrower) this.#placement.lent += 1
    else this.#placement.alone += 1
    checkout.grant(connection)
  }

  // ── what ends, and what goes wrong ───────────────────────────────────────────────────────────

  #after(connection: PooledConnection, now: number): void {
    if (connection.isLost) return
    const head = connection.calls[0]
    if (head !== undefined) {
      head.message?.sent(connection.client)
      if (head.isSettled && connection.cancels === 0) this.#cancellation.askFor(connection, head)
      if (this.#lines.express.size > 0) this.pump()
      return
    }
    if (connection.cancels > 0) return
    connection.hasBeenCancelled = false
    if (connection.mode !== 'shared' && connection.mode !== 'alone') return
    this.#set.toFree(connection, now)
    if (this.waiting > 0) this.pump()
    else if (this.onQuiet !== undefined) this.#quiet()
  }

  #lostCall(call: Call, connection: PooledConnection, error: unknown): void {
    const isNotRun = hasNotRun(call, connection) || isRefusal(error as PgError)
    if (call.isSettled) return
    const isSafe = isNotRun || call.known.shape.statement.isRepeatable
    if (this.#settings.repeat && isSafe && this.#repeat(call)) return
    call.settle(lostError(isNotRun, error))
  }

  /** To the end of the line, on whatever connection comes; false where it was repeated too often. */
  #repeat(call: Call): boolean {
    if (call.isSettled) return true
    call.attempts += 1
    if (call.attempts >= MAX_ATTEMPTS) return false
    this.counts.repeated += 1
    call.reset()
    this.#lines.put(call, this.#lineOf(call))
    process.nextTick(() => this.pump())
    return true
  }

  /** As seen from here: the way to the server is no fault of a statement. */
  #maxMs(): number {
    return this.#settings.expressMaxMs + this.#set.roundTripMs
  }

  #quiet(): void {
    if (this.onQuiet !== undefined && this.waiting === 0) this.onQuiet()
  }
}

/** The prepared statement is not what it was; the statement itself was not run. */
function isStale(error: PgError, call: Call): boolean {
  if (call.prepared === undefined) return false
  if (error.code === '26000' || error.code === '42P05') return true
  return error.code === '0A000' && error.routine === 'RevalidateCachedQuery'
}
