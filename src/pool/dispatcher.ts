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
 * Rules:
 *   1. An express call goes to the shared connection with the fewest under way; a free one becomes
 *      shared while there are fewer than `express`. Never behind a statement that already takes longer
 *      than `expressMaxMs`. Beyond DEPTH it waits in the line, where it can still go anywhere.
 *   2. A statement at the head of a shared connection that holds others up is cancelled on the server
 *      and run again alone (it is a single statement in its own transaction: cancelled, it left
 *      nothing). See preemption.ts.
 *   3. While express calls come, statements alone leave one connection for them. Borrowers leave it for
 *      LAST_RESORT_MS, then they get it: an application may need all `max` at once.
 *   4. Who waits for a connection for himself has shared ones drained for him.
 *   5. A cancel request may hit what comes after. From the request until the server has closed it and
 *      all that was under way is answered, a connection takes nothing new; what was hit by mistake is
 *      repeated.
 */
import { HastenError } from '../core/errors.ts'
import { Call, type CallOwner } from './call.ts'
import { cancelRequest } from './cancel-request.ts'
import { Checkout } from './checkout.ts'
import type { ConnectionSet } from './connection-set.ts'
import { QUERY_READ_TIMEOUT } from './deadline.ts'
import { farewellOf, hasNotRun, lostError } from './lost-call.ts'
import type { PgError } from './pg.ts'
import type { PooledConnection } from './pooled-connection.ts'
import type { PoolSettings } from './pool-options.ts'
import { Preemption } from './preemption.ts'
import { WaitingLine } from './waiting-line.ts'

/** Calls under way on a shared connection. Deeper is no faster, and more would wait behind one. */
const DEPTH = 32
/** Under way on every shared connection before another is opened for them. */
const CROWDED = 8
const LAST_RESORT_MS = 20
/** With one connection and fast statements without end, others would wait for ever. */
const LAST_RESORT_ALONE_MS = 100
/** A statement that has been cancelled must end within this, or its connection is replaced. */
const CANCEL_LIMIT_MS = 2_000
const CANCEL_AGAIN_MS = 25
const MAX_ATTEMPTS = 4
/** Express calls within this time keep a connection from statements alone. */
const EXPRESS_RECENT_MS = 1_000

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
  readonly #describe: () => string
  readonly #state: () => unknown
  readonly #express = new WaitingLine<Call>()
  readonly #alone = new WaitingLine<Call | Checkout>()
  readonly #lent = new WaitingLine<Checkout>()
  readonly #preemption: Preemption
  #aloneCount = 0
  #lentCount = 0
  #lastExpressMs = Number.NEGATIVE_INFINITY
  #order = 0
  #caller = 0
  #isTurnOpen = false
  #lastResort: NodeJS.Timeout | undefined
  /** Calls and borrowers under way or waiting: the pool ends when there are none. */
  onQuiet: (() => void) | undefined

  constructor(
    settings: PoolSettings,
    set: ConnectionSet,
    now: () => number,
    describe: () => string,
    state: () => unknown,
  ) {
    this.#settings = settings
    this.#set = set
    this.#now = now
    this.#describe = describe
    this.#state = state
    this.#preemption = new Preemption(
      () => set.sharing,
      () => this.#maxMs(),
      now,
      (connection) => {
        this.counts.preempted += 1
        this.#cancel(connection)
      },
    )
  }

  get waiting(): number {
    return this.#express.size + this.#alone.size + this.#lent.size
  }

  get waitingByLane(): { express: number; alone: number; lent: number } {
    return { express: this.#express.size, alone: this.#alone.size, lent: this.#lent.size }
  }

  /** A new call. It settles through its own `settle`. */
  ask(call: Call): void {
    const now = this.#now()
    call.askedMs = now
    call.sentMs = now
    if (call.known.shape.lane === 'express' && this.#set.expressLimit > 0) {
      this.#lastExpressMs = now
      if (this.#express.size === 0) {
        const connection = this.#bestShared(now)
        if (connection !== undefined) {
          this.#sendExpress(connection, call)
          return
        }
      }
    } else if (this.#alone.size === 0 && this.#lent.size === 0 && this.#mayRunAlone(now)) {
      const connection = this.#set.takeFree(now)
      if (connection !== undefined) {
        this.#sendAlone(connection, call)
        return
      }
    }
    this.#enqueue(call)
  }

  /** A caller that wants a connection for himself. */
  checkout(
    isBorrower: boolean,
    priority: number,
    start: (connection: PooledConnection) => void,
    fail: (error: unknown) => void,
  ): Checkout {
    const askedMs = this.#now()
    const checkout = new Checkout(isBorrower, priority, askedMs, start, fail)
    const isFirst = this.#lent.size === 0 && this.#alone.size === 0
    if (isFirst && (isBorrower || this.#mayRunAlone(askedMs))) {
      const connection = this.#set.takeFree(askedMs)
      if (connection !== undefined) {
        this.#grant(checkout, connection)
        return checkout
      }
    }
    if (this.#isFull()) {
      checkout.fail(this.#fullError())
      return checkout
    }
    checkout.caller = this.#turn()
    checkout.order = ++this.#order
    const line = isBorrower ? this.#lent : this.#alone
    line.push(checkout)
    const { acquireTimeoutMs } = this.#settings
    if (acquireTimeoutMs > 0) {
      checkout.acquireTimer = setTimeout(() => {
        if (checkout.isSettled) return
        checkout.fail(this.#acquireError(checkout.askedMs))
        line.left()
      }, acquireTimeoutMs)
      checkout.acquireTimer.unref()
    }
    this.pump()
    return checkout
  }

  /** One who waits has waited long enough. */
  outOfTime(checkout: Checkout): void {
    this.counts.timedOut += 1
    this.withdraw(checkout, this.#acquireError(checkout.askedMs))
  }

  /** One who waits has given up. */
  withdraw(checkout: Checkout, error: unknown): void {
    if (checkout.isSettled) return
    checkout.fail(error)
    ;(checkout.isBorrower ? this.#lent : this.#alone).left()
  }

  /** A connection that was lent or ran alone is free again, or a new one has come. */
  returned(connection: PooledConnection): void {
    if (connection.isLost) return
    this.#set.toFree(connection, this.#now())
    if (this.waiting > 0 || this.onQuiet !== undefined) this.pump()
  }

  /** A borrower gave his back, in whatever state. */
  endedLease(): void {
    this.#lentCount -= 1
  }

  /** A statement alone (a checkout that is no borrower) has ended. */
  endedAlone(): void {
    this.#aloneCount -= 1
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
    if (!call.isExpress) this.#aloneCount -= 1
    this.#settle(call, undefined, result)
    this.#after(connection, now)
  }

  failed(call: Call, error: unknown): void {
    const connection = call.connection as PooledConnection
    const now = this.#now()
    const fault = error as PgError
    const isFatal = fault?.severity === 'FATAL' || fault?.severity === 'PANIC'
    if (!connection.remove(call)) return
    if (isFatal && !connection.isLost) {
      connection.farewell = farewellOf(fault)
      connection.farewellCall = call
      this.#set.lost(connection, fault)
    }
    if (!call.isExpress) this.#aloneCount -= 1
    if (isRefusal(fault)) this.#set.lost(connection, fault)
    if (connection.isLost) {
      this.#lostCall(call, connection, error)
      return
    }
    connection.answeredMs = now
    if (isStale(fault, call)) {
      connection.forget(call, true)
      if (this.#repeat(call)) return this.#after(connection, now)
    } else if (fault.code === '57014' && connection.hasBeenCancelled && !call.isSettled) {
      connection.forget(call, false)
      if (this.#repeat(call)) return this.#after(connection, now)
    } else {
      connection.forget(call, false)
      if (fault.code === '25006') this.#set.suspect()
    }
    this.#settle(call, error)
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
    this.#settle(call, error)
    if (connection === undefined) call.line?.left()
    else if (connection.calls[0] === call) this.#cancel(connection)
  }

  /** No connection can be had: everybody who waits since before hears why. */
  failWaiting(error: unknown, olderThanMs: number): void {
    const before = this.#now() - olderThanMs
    for (const line of [this.#express, this.#alone, this.#lent] as WaitingLine<Call | Checkout>[]) {
      for (const waiter of line.clear()) {
        if (waiter.askedMs > before) line.push(waiter)
        else if (waiter instanceof Checkout) waiter.fail(error)
        else this.#settle(waiter, waiter.attempts > 0 ? lostError(true, error) : error)
      }
    }
    this.#quiet()
  }

  /** The first who waits hears why: a connection came up and could not be made ready for him. */
  failFirst(error: unknown): void {
    const first = this.#firstOf(this.#firstOf(this.#lent, this.#alone), this.#express)
    const waiter = first?.shift()
    if (waiter instanceof Checkout) waiter.fail(error)
    else if (waiter !== undefined) this.#settle(waiter, error)
  }

  // ── lines to connections ─────────────────────────────────────────────────────────────────────

  pump(): void {
    if (this.waiting === 0 && this.#set.sharing.length === 0) {
      this.#quiet()
      return
    }
    const now = this.#now()
    for (;;) {
      const exclusive = this.#nextExclusive(now)
      const call = this.#express.peek()
      if (exclusive === undefined && call === undefined) break
      const isFirst =
        exclusive !== undefined &&
        (call === undefined || this.#set.sharing.length > 0 || exclusive.waiter.order < call.order)
      if (isFirst) {
        const connection = this.#set.takeFree(now)
        if (connection !== undefined) {
          exclusive.line.shift()
          if (exclusive.waiter instanceof Checkout) this.#grant(exclusive.waiter, connection)
          else {
            exclusive.waiter.sentMs = now
            this.#sendAlone(connection, exclusive.waiter)
          }
          continue
        }
      }
      if (call === undefined) break
      const connection = this.#bestShared(now)
      if (connection === undefined) break
      this.#express.shift()
      call.sentMs = now
      this.#sendExpress(connection, call)
    }
    this.#grow()
    this.#drainForWaiting(now)
    this.#quiet()
  }

  /** Of the two lines the one whose first came first, if he may go now. */
  #nextExclusive(
    now: number,
  ): { line: WaitingLine<Call | Checkout>; waiter: Call | Checkout } | undefined {
    // What was new when it began to wait may have been learned since.
    for (let first = this.#alone.peek(); ; first = this.#alone.peek()) {
      if (!(first instanceof Call) || first.known.shape.lane !== 'express') break
      if (this.#set.expressLimit === 0) break
      this.#alone.shift()
      this.#lastExpressMs = now
      this.#push(first)
    }
    const line = this.#firstOf(
      this.#lent as WaitingLine<Call | Checkout>,
      this.#mayRunAlone(now) ? this.#alone : undefined,
    )
    const waiter = line?.peek()
    return line === undefined || waiter === undefined ? undefined : { line, waiter }
  }

  #firstOf<T extends Call | Checkout>(
    one: WaitingLine<T> | undefined,
    other: WaitingLine<T> | WaitingLine<Call> | undefined,
  ): WaitingLine<T> | undefined {
    const first = one?.peek()
    const second = other?.peek()
    if (second === undefined) return first === undefined ? undefined : one
    return first !== undefined && first.order < second.order ? one : (other as WaitingLine<T>)
  }

  #bestShared(now: number): PooledConnection | undefined {
    const { sharing } = this.#set
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
    if (sharing.length >= this.#set.expressLimit) return best
    if (best !== undefined && this.#lent.size > 0) return best
    const free = this.#set.takeFree(now)
    if (free !== undefined) {
      free.mode = 'shared'
      sharing.push(free)
      return free
    }
    if (least >= CROWDED && sharing.length < this.#set.expressLimit) this.#set.openOneMore()
    return best
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
    this.#aloneCount += 1
    connection.mode = 'alone'
    connection.send(call)
    call.message?.sent(connection.client)
  }

  #grant(checkout: Checkout, connection: PooledConnection): void {
    connection.mode = 'lent'
    if (checkout.isBorrower) this.#lentCount += 1
    else this.#aloneCount += 1
    checkout.grant(connection)
  }

  #mayRunAlone(now: number): boolean {
    const { max, idle, sharing, hasRoom } = this.#set
    const isReserved = max > 1 && now - this.#lastExpressMs < EXPRESS_RECENT_MS
    if (!isReserved) return true
    // The last one that is open stays, too, until another is; but not for long: it may not come.
    if (hasRoom && idle + sharing.length < 2) {
      const first = this.#alone.peek()
      if (first === undefined) return false
      if (now - first.askedMs < LAST_RESORT_MS) {
        this.#pumpIn(LAST_RESORT_MS)
        return false
      }
    }
    // Where borrowers have nearly all, one at a time goes on.
    return this.#aloneCount < Math.max(1, max - 1 - this.#lentCount)
  }

  #grow(): void {
    const express = Math.max(
      0,
      Math.min(
        Math.ceil(this.#express.size / DEPTH),
        this.#set.expressLimit - this.#set.sharing.length,
      ),
    )
    this.#set.openFor(this.#lent.size, this.#alone.size + express)
  }

  #drainForWaiting(now: number): void {
    const { sharing } = this.#set
    const wanted = this.#lent.size + (this.#mayRunAlone(now) ? this.#alone.size : 0)
    if (wanted === 0 || this.#set.hasRoom || sharing.length === 0) {
      if (wanted === 0) for (const connection of sharing) this.#undrain(connection)
      return
    }
    let draining = sharing.filter(({ isDraining }) => isDraining).length
    for (const connection of sharing) {
      if (draining >= wanted || draining >= sharing.length - 1) break
      if (connection.isDraining) continue
      connection.isDraining = true
      draining += 1
    }
    // The last one: not before he has waited, a statement for longer than a borrower.
    const first = this.#lent.peek() ?? this.#alone.peek()
    if (first === undefined || draining >= wanted) return
    const patienceMs = this.#lent.size > 0 ? LAST_RESORT_MS : LAST_RESORT_ALONE_MS
    const waitedMs = now - first.askedMs
    if (waitedMs >= patienceMs) for (const connection of sharing) connection.isDraining = true
    else this.#pumpIn(patienceMs - waitedMs)
  }

  #pumpIn(ms: number): void {
    if (this.#lastResort !== undefined) return
    this.#lastResort = setTimeout(() => {
      this.#lastResort = undefined
      this.pump()
    }, ms)
    this.#lastResort.unref()
  }

  #undrain(connection: PooledConnection): void {
    if (connection.cancels === 0) connection.isDraining = false
  }

  #enqueue(call: Call): void {
    if (this.#isFull()) {
      this.#settle(call, this.#fullError())
      return
    }
    call.order = ++this.#order
    call.caller = this.#turn()
    this.#push(call)
    const { acquireTimeoutMs } = this.#settings
    if (acquireTimeoutMs > 0) {
      call.acquireTimer = setTimeout(() => {
        if (call.isSettled || call.connection !== undefined) return
        this.#settle(call, this.#acquireError(call.askedMs))
        call.line?.left()
      }, acquireTimeoutMs)
      call.acquireTimer.unref()
    }
    this.pump()
  }

  #push(call: Call): void {
    const isExpress = call.known.shape.lane === 'express' && this.#set.expressLimit > 0
    const line = isExpress ? this.#express : (this.#alone as WaitingLine<Call>)
    call.line = line
    line.push(call)
  }

  /** Who asks in one turn of the event loop is one caller. */
  #turn(): number {
    if (!this.#isTurnOpen) {
      this.#isTurnOpen = true
      this.#caller += 1
      setImmediate(() => {
        this.#isTurnOpen = false
      })
    }
    return this.#caller
  }

  // ── what ends, and what goes wrong ───────────────────────────────────────────────────────────

  #after(connection: PooledConnection, now: number): void {
    if (connection.isLost) return
    const head = connection.calls[0]
    if (head !== undefined) {
      head.message?.sent(connection.client)
      if (head.isSettled && connection.cancels === 0) this.#cancelAgain(connection, head)
      if (this.#express.size > 0) this.pump()
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
    this.#settle(call, lostError(isNotRun, error))
  }

  /** To the end of the line, on whatever connection comes; false where it was repeated too often. */
  #repeat(call: Call): boolean {
    if (call.isSettled) return true
    call.attempts += 1
    if (call.attempts >= MAX_ATTEMPTS) return false
    this.counts.repeated += 1
    call.connection = undefined
    call.prepared = undefined
    call.result = undefined
    call.order = ++this.#order
    call.caller = this.#turn()
    this.#push(call)
    process.nextTick(() => this.pump())
    return true
  }

  #settle(call: Call, error: unknown, result?: Call['result']): void {
    if (call.isSettled) return
    call.isSettled = true
    clearTimeout(call.acquireTimer)
    call.cleanUp?.()
    call.message?.done(error)
    call.settle(error, result)
  }

  #cancel(connection: PooledConnection): void {
    this.counts.cancelled += 1
    connection.cancels += 1
    connection.hasBeenCancelled = true
    connection.isDraining = true
    const head = connection.calls[0]
    if (head !== undefined) head.cancelRequests += 1
    const limit = setTimeout(() => {
      if (head !== undefined && connection.calls[0] === head && !connection.isLost) {
        this.#set.destroy(connection, new Error('a cancelled statement did not end'))
      }
    }, CANCEL_LIMIT_MS)
    limit.unref()
    void cancelRequest(connection.client, connection.stream).then(() => {
      connection.cancels -= 1
      if (connection.cancels > 0 || connection.isLost) return
      connection.isDraining = false
      // Behind a pooler the request is passed on in its own time.
      if (this.#set.isPooled) this.#set.retireWhenFree(connection)
      this.#after(connection, this.#now())
      this.pump()
    })
  }

  /** A request that came to nothing is repeated, less and less often. */
  #cancelAgain(connection: PooledConnection, head: Call): void {
    if (head.cancelRequests === 0) {
      this.#cancel(connection)
      return
    }
    const again = setTimeout(
      () => {
        const isStill = connection.calls[0] === head && !connection.isLost
        if (isStill && connection.cancels === 0) this.#cancel(connection)
      },
      CANCEL_AGAIN_MS * 2 ** head.cancelRequests,
    )
    again.unref()
  }

  /** As seen from here: the way to the server is no fault of a statement. */
  #maxMs(): number {
    return this.#settings.expressMaxMs + this.#set.roundTripMs
  }

  #quiet(): void {
    if (this.onQuiet !== undefined && this.waiting === 0) this.onQuiet()
  }

  #isFull(): boolean {
    return this.waiting >= this.#settings.maxWaiting
  }

  #fullError(): HastenError {
    return new HastenError(
      'POOL_FULL',
      `${this.waiting} callers wait for a connection already, as many as maxWaiting allows (${this.#describe()}); ask less at a time, or raise maxWaiting`,
    )
  }

  #acquireError(askedMs: number): HastenError {
    const waitedMs = Math.round(this.#now() - askedMs)
    const error = new HastenError(
      'POOL_ACQUIRE_TIMEOUT',
      `timeout exceeded when trying to connect: waited ${waitedMs} ms; ${this.#describe()}`,
    )
    return Object.assign(error, { pool: this.#state() })
  }
}

/** The client refused to take it: nothing went out. */
function isRefusal(error: PgError | undefined): boolean {
  return error?.message?.endsWith('not queryable') === true
}

/** The prepared statement is not what it was; the statement itself was not run. */
function isStale(error: PgError, call: Call): boolean {
  if (call.prepared === undefined) return false
  if (error.code === '26000' || error.code === '42P05') return true
  return error.code === '0A000' && error.routine === 'RevalidateCachedQuery'
}
