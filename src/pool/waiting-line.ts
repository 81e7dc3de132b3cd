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

interface Queue<T> {
  readonly items: T[]
  head: number
}

export class WaitingLine<T extends Waiter> {
  readonly #callers: readonly Map<number, Queue<T>>[] = [new Map(), new Map(), new Map()]
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
    const callers = this.#callers[waiter.priority] as Map<number, Queue<T>>
    const queue = callers.get(waiter.caller)
    if (queue === undefined) callers.set(waiter.caller, { items: [waiter], head: 0 })
    else queue.items.push(waiter)
    this.#kept += 1
  }

  /** The next one, left in the line. */
  peek(): T | undefined {
    if (this.#kept === 0) return undefined
    for (const callers of this.#callers) {
      for (const [caller, queue] of callers) {
        const waiter = this.#firstOf(queue)
        if (waiter !== undefined) return waiter
        callers.delete(caller)
      }
    }
    return undefined
  }

  shift(): T | undefined {
    if (this.#kept === 0) return undefined
    for (const callers of this.#callers) {
      for (const [caller, queue] of callers) {
        const waiter = this.#firstOf(queue)
        if (waiter === undefined) {
          callers.delete(caller)
          continue
        }
        this.#drop(queue)
        if (queue.head === queue.items.length) callers.delete(caller)
        else if (callers.size > 1) {
          callers.delete(caller)
          callers.set(caller, queue)
        }
        return waiter
      }
    }
    return undefined
  }

  /** A waiter in this line has settled. */
  left(): void {
    this.#settled += 1
    if (this.#settled > 1_000 && this.#settled * 2 > this.#kept) this.#compact()
  }

  /** Everybody, in no order; the line is empty then. */
  clear(): T[] {
    const all = this.#callers.flatMap((callers) =>
      [...callers.values()].flatMap(({ items, head }) => items.slice(head)),
    )
    for (const callers of this.#callers) callers.clear()
    this.#kept = this.#settled = 0
    return all.filter((waiter) => !waiter.isSettled)
  }

  #firstOf(queue: Queue<T>): T | undefined {
    while (queue.head < queue.items.length) {
      const waiter = queue.items[queue.head] as T
      if (!waiter.isSettled) return waiter
      this.#settled -= 1
      this.#drop(queue)
    }
    return undefined
  }

  #drop(queue: Queue<T>): void {
    queue.items[queue.head] = undefined as unknown as T
    queue.head += 1
    this.#kept -= 1
    if (queue.head > 1_000 && queue.head * 2 > queue.items.length) {
      queue.items.splice(0, queue.head)
      queue.head = 0
    }
  }

  #compact(): void {
    for (const callers of this.#callers) {
      for (const [caller, queue] of callers) {
        const items = queue.items.slice(queue.head).filter((waiter) => !waiter.isSettled)
        if (items.length === 0) callers.delete(caller)
        else callers.set(caller, { items, head: 0 })
      }
    }
    this.#kept = this.#callers.reduce(
      (sum, callers) =>
        sum + [...callers.values()].reduce((inner, { items }) => inner + items.length, 0),
      0,
    )
    this.#settled = 0
  }
}
