/**
 * Leases: who holds connections, since when and from where.
 *
 * A stack costs microseconds to take, and ten times that to put into words, which waits until somebody
 * asks. It is taken of one borrower in 128, of one in 4 while others wait, and of each where
 * `leakDetectionMs` asks for it. That is enough: whoever keeps connections does it
 * again and again.
 */
import type { ConnectionSet } from './connection-set.ts'
import type { Lease } from './lease.ts'

export interface Holder {
  readonly connection: number
  readonly processId: number | undefined
  readonly heldMs: number
  /** Of `pool.connect()`, where it was sampled. */
  readonly stack: string | undefined
}

export interface PoolState {
  readonly max: number
  readonly total: number
  readonly idle: number
  readonly shared: number
  readonly connecting: number
  readonly lent: number
  readonly waiting: { readonly express: number; readonly alone: number; readonly lent: number }
  /** Borrowers, who has held longest first; at most 20. */
  readonly holders: readonly Holder[]
}

const MAX_HOLDERS = 20
const MAX_NAMED = 3

/** Where somebody took a connection; the words are made when they are wanted. */
export class BorrowerStack {
  declare readonly stack: string

  constructor(above: unknown) {
    Error.captureStackTrace(this, above as (...all: never[]) => unknown)
  }

  get text(): string {
    return this.stack.split('\n').slice(1, 9).join('\n')
  }
}

export class Leases {
  readonly #leakDetectionMs: number
  readonly #now: () => number
  readonly #open = new Set<Lease>()
  readonly #warned = new WeakSet<Lease>()
  #count = 0
  #watch: NodeJS.Timeout | undefined

  constructor(leakDetectionMs: number, now: () => number) {
    this.#leakDetectionMs = leakDetectionMs
    this.#now = now
  }

  get size(): number {
    return this.#open.size
  }

  sampleStack(waiting: number, above: unknown): BorrowerStack | undefined {
    this.#count += 1
    const every = this.#leakDetectionMs > 0 ? 1 : waiting > 0 ? 4 : 128
    return this.#count % every === 0 ? new BorrowerStack(above) : undefined
  }

  begin(lease: Lease): Lease {
    this.#open.add(lease)
    if (this.#leakDetectionMs > 0 && this.#watch === undefined) this.#watchLeaks()
    return lease
  }

  end(lease: Lease): void {
    this.#open.delete(lease)
  }

  close(): void {
    clearInterval(this.#watch)
  }

  holders(): Holder[] {
    const now = this.#now()
    return [...this.#open]
      .sort((a, b) => a.sinceMs - b.sinceMs)
      .slice(0, MAX_HOLDERS)
      .map((lease) => ({
        connection: lease.connection.number,
        processId: lease.connection.client.processID ?? undefined,
        heldMs: Math.round(now - lease.sinceMs),
        stack: lease.stack?.text,
      }))
  }

  state(set: ConnectionSet, waiting: PoolState['waiting'], max: number): PoolState {
    return {
      max,
      total: set.total,
      idle: set.idle,
      shared: set.sharing.length,
      connecting: set.connecting,
      lent: this.#open.size,
      waiting,
      holders: this.holders(),
    }
  }

  /** One sentence on the state of the pool, for errors. */
  describe(set: ConnectionSet, waiting: PoolState['waiting'], max: number): string {
    const inLine = waiting.express + waiting.alone + waiting.lent
    const parts = [
      `${set.total} of ${max} connections open, ${this.#open.size} lent, ${set.sharing.length} shared, ${set.idle} idle, ${set.connecting} connecting, ${inLine} waiting`,
    ]
    for (const { heldMs, stack, connection } of this.holders().slice(0, MAX_NAMED)) {
      const from = stack?.split('\n')[0]?.trim() ?? 'not sampled where'
      parts.push(`connection ${connection} lent for ${heldMs} ms, ${from}`)
    }
    return parts.join('; ')
  }

  #watchLeaks(): void {
    this.#watch = setInterval(
      () => {
        const now = this.#now()
        for (const lease of this.#open) {
          const heldMs = now - lease.sinceMs
          if (heldMs < this.#leakDetectionMs || this.#warned.has(lease)) continue
          this.#warned.add(lease)
          process.emitWarning(
            `a client has been kept for ${Math.round(heldMs)} ms without release(), longer than leakDetectionMs (${this.#leakDetectionMs}); it was taken\n${lease.stack?.text ?? ''}`,
            'HastenWarning',
          )
        }
      },
      Math.max(10, this.#leakDetectionMs / 4),
    )
    this.#watch.unref()
  }
}
