/**
 * Preemption: takes a statement off a shared connection when it holds others up.
 *
 *   several under way ─▶ every `maxMs`: how long has the head been at it? ─▶ too long: cancel it,
 *                                                                            it runs again alone
 *
 * Rules:
 *   1. Too long is `maxMs` times the patience, and eight times what is usual for its shape.
 *   2. The question is asked after the socket has been read: where this process was busy, the answer
 *      lay there all the time.
 *   3. At most `PREEMPTIONS` a second: a server that is slow as a whole is not helped by it.
 *   4. What was cancelled and turns out to be fast was not to blame, the machine was: its shape comes
 *      back to the express lane, and the patience doubles. It falls again with time, and with each
 *      one that was to blame.
 */
import type { Call } from './call.ts'
import type { PooledConnection } from './pooled-connection.ts'

const PREEMPTIONS = 10
const MAX_PATIENCE = 16

export class Preemption {
  readonly #sharing: () => readonly PooledConnection[]
  readonly #maxMs: () => number
  readonly #now: () => number
  readonly #cancel: (connection: PooledConnection) => void
  #timer: NodeJS.Timeout | undefined
  #patience = 1
  #spent = 0
  #secondMs = 0

  constructor(
    sharing: () => readonly PooledConnection[],
    maxMs: () => number,
    now: () => number,
    cancel: (connection: PooledConnection) => void,
  ) {
    this.#sharing = sharing
    this.#maxMs = maxMs
    this.#now = now
    this.#cancel = cancel
  }

  /** Somebody is behind somebody. */
  watch(): void {
    if (this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      setImmediate(() => this.#look())
    }, this.#maxMs())
    this.#timer.unref()
  }

  /** What was preempted has run alone. */
  learn(call: Call): void {
    call.isPreempted = false
    if (call.serviceMs > this.#maxMs()) {
      this.#patience = Math.max(1, this.#patience / 2)
      return
    }
    this.#patience = Math.min(MAX_PATIENCE, this.#patience * 2)
    call.known.shape.wasInnocent()
  }

  #look(): void {
    const now = this.#now()
    let isBusy = false
    for (const connection of [...this.#sharing()]) {
      if (connection.calls.length < 2) continue
      isBusy = true
      const head = connection.calls[0] as Call
      const ms = now - Math.max(head.sentMs, connection.answeredMs)
      const { shape } = head.known
      const usual = 8 * (shape.meanMs + 4 * shape.deviationMs)
      if (ms < Math.max(this.#maxMs() * this.#patience, usual)) continue
      if (connection.cancels > 0 || !this.#mayPreempt(now)) continue
      head.isPreempted = true
      shape.heldUp(ms)
      this.#cancel(connection)
    }
    if (isBusy) this.watch()
  }

  #mayPreempt(now: number): boolean {
    if (now - this.#secondMs > 1_000) {
      this.#patience = Math.max(1, this.#patience * 0.9)
      this.#secondMs = now
      this.#spent = 0
    }
    this.#spent += 1
    return this.#spent <= PREEMPTIONS
  }
}
