/**
 * Waiting line: who is served next when every connection is busy.
 *
 *   critical    ─▶ ( A A A ) ( B )
 *   default     ─▶ ( C C C C C … ) ( D ) ( E )     one C, one D, one E, one C …
 *   background  ─▶ ( F )
 *
 * Rules:
 *   1. A higher priority goes first.
 *   2. Within a priority, callers take turns; within a caller, first come, first served. A caller is
 *      whatever asked in one turn of the event loop: ten thousand statements of one `Promise.all` wait
 *      as one, and whoever asks later passes all but the first of them.
 *   3. Whoever has given up (deadline, signal) is stepped over and costs nothing more. What lies
 *      behind is let go when half of the line is such.
 */
export interface Waiter {
  /** 0 critical, 1 default, 2 background. */
  readonly priority: number
  readonly caller: number
  /** Has given up, or was served in another way. */
  readonly isSettled: boolean
}

export class WaitingLine<T extends Waiter> {
  #priorities: readonly Turns<T>[] = emptyTurns()
  #kept = 0
  #settled = 0

  /** Those who still wait. */
  get size(): number {
    return this.#kept - this.#settled
  }

  /** Those in memory, the ones who gave up among them. */
  get kept(): number {
    return this.#kept
  }

  push(waiter: T): void {
    ;(this.#priorities[waiter.priority] as Turns<T>).push(waiter)
    this.#kept += 1
  }

  /** The next one, left in the line. */
  peek(): T | undefined {
    if (this.#kept === 0) return undefined
    for (const turns of this.#priorities) {
      for (let waiter = turns.peek(); waiter !== undefined; waiter = turns.peek()) {
        if (!waiter.isSettled) return waiter
        turns.drop()
        this.#settled -= 1
        this.#kept -= 1
      }
    }
    return undefined
  }

  shift(): T | undefined {
    const next = this.peek()
    if (next === undefined) return undefined
    this.#kept -= 1
    return (this.#priorities[next.priority] as Turns<T>).shift()
  }

  /** A waiter in this line has settled. */
  left(): void {
    this.#settled += 1
    if (this.#settled <= 1_000 || this.#settled * 2 <= this.#kept) return
    for (const waiter of this.clear()) this.push(waiter)
  }

  /** Everybody who still waits, callers in turn order; the line is empty then. */
  clear(): T[] {
    const waiting = this.#priorities
      .flatMap((turns) => turns.all())
      .filter((waiter) => !waiter.isSettled)
    this.#priorities = emptyTurns()
    this.#kept = this.#settled = 0
    return waiting
  }
}

function emptyTurns<T extends Waiter>(): readonly Turns<T>[] {
  return [new Turns<T>(), new Turns<T>(), new Turns<T>()]
}

/** Callers of one priority in a ring, each with what he asked. */
class Turns<T extends Waiter> {
  readonly #byCaller = new Map<number, Fifo<T>>()
  readonly #ring = new Fifo<Fifo<T>>()

  push(waiter: T): void {
    const own = this.#byCaller.get(waiter.caller)
    if (own !== undefined) {
      own.push(waiter)
      return
    }
    const first = new Fifo<T>()
    first.push(waiter)
    this.#byCaller.set(waiter.caller, first)
    this.#ring.push(first)
  }

  peek(): T | undefined {
    return this.#ring.peek()?.peek()
  }

  /** Takes the next one off without his caller's turn being over. */
  drop(): void {
    const own = this.#ring.peek()
    const waiter = own?.shift()
    if (own === undefined || waiter === undefined || own.size > 0) return
    this.#ring.shift()
    this.#byCaller.delete(waiter.caller)
  }

  shift(): T | undefined {
    const own = this.#ring.peek()
    const waiter = own?.shift()
    if (own === undefined || waiter === undefined) return undefined
    // Alone in the ring, he stays where he is.
    if (own.size > 0 && this.#ring.size === 1) return waiter
    this.#ring.shift()
    if (own.size > 0) this.#ring.push(own)
    else this.#byCaller.delete(waiter.caller)
    return waiter
  }

  all(): T[] {
    return this.#ring.all().flatMap((own) => own.all())
  }
}

/** An array that is read from its front, and moved up now and then. */
class Fifo<T> {
  #items: T[] = []
  #head = 0

  get size(): number {
    return this.#items.length - this.#head
  }

  push(item: T): void {
    this.#items.push(item)
  }

  peek(): T | undefined {
    return this.#items[this.#head]
  }

  shift(): T | undefined {
    const item = this.#items[this.#head]
    if (item === undefined) return undefined
    this.#items[this.#head] = undefined as T
    this.#head += 1
    if (this.#head > 1_000 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  all(): T[] {
    return this.#items.slice(this.#head)
  }
}
