/**
 * Request keeper: whole requests that the doctor will ask for, while they are still whole.
 *
 * Timing keeps a sample and the slowest; the doctor needs more of two kinds. Where every request is
 * deep (requests are sent one at a time), all of them, to tell what a route always does from what it
 * did once. Under load, the deep ones. And at any time the one request that carried a given trace id,
 * which may be asked for before or after it has ended.
 *
 * A timeline may be used again after its request, so facts are made at once, in the callback.
 *
 * Bounds: 64 requests a route, 4,000 in all; 256 by trace id, the oldest leave first; 64 waiters.
 */
import type { RequestFacts } from '../../core/facts.ts'

interface FinishedTimeline {
  readonly deep: boolean
  readonly traceId?: string | undefined
  toFacts(): RequestFacts
}

const MAX_PER_ROUTE = 64
const MAX_IN_ALL = 4_000
const MAX_TRACED = 256
const MAX_WAITING = 64

export class RequestKeeper {
  readonly #perRoute = new Map<string, number>()
  readonly #traced = new Map<string, RequestFacts>()
  readonly #waiting = new Map<string, (facts: RequestFacts) => void>()
  #kept: RequestFacts[] = []
  /** Under load a request in n is deep, and remembering each of them would cost too much. */
  #remembers = true

  /** Forgets what was kept. */
  reset(deepEvery: number): void {
    this.#perRoute.clear()
    this.#traced.clear()
    this.#kept = []
    this.#remembers = deepEvery <= 1
  }

  get kept(): readonly RequestFacts[] {
    return this.#kept
  }

  /** Subscriber of `channels.request`. */
  readonly see = (message: unknown): void => {
    const timeline = message as FinishedTimeline
    const { traceId } = timeline
    const waiter = traceId === undefined ? undefined : this.#waiting.get(traceId)
    const isRemembered = traceId !== undefined && this.#remembers
    if (!timeline.deep && waiter === undefined && !isRemembered) return

    const facts = timeline.toFacts()
    if (timeline.deep) this.#keep(facts)
    if (traceId === undefined) return
    if (waiter !== undefined) {
      this.#waiting.delete(traceId)
      waiter(facts)
    }
    if (isRemembered) this.#remember(traceId, facts)
  }

  /** The request that carries this trace id, or `undefined` when none has ended within the limit. */
  find(traceId: string, waitMs: number): Promise<RequestFacts | undefined> {
    const known = this.#traced.get(traceId)
    if (known !== undefined) return Promise.resolve(known)
    if (this.#waiting.size >= MAX_WAITING) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(traceId)
        resolve(undefined)
      }, waitMs).unref()
      this.#waiting.set(traceId, (facts) => {
        clearTimeout(timer)
        resolve(facts)
      })
    })
  }

  #keep(facts: RequestFacts): void {
    const route = `${facts.method} ${facts.route}`
    const count = this.#perRoute.get(route) ?? 0
    if (count >= MAX_PER_ROUTE || this.#kept.length >= MAX_IN_ALL) return
    this.#perRoute.set(route, count + 1)
    this.#kept.push(facts)
  }

  #remember(traceId: string, facts: RequestFacts): void {
    this.#traced.set(traceId, facts)
    if (this.#traced.size <= MAX_TRACED) return
    const [oldest] = this.#traced.keys()
    if (oldest !== undefined) this.#traced.delete(oldest)
  }
}
