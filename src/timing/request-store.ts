/**
 * Request store: whole requests, for looking at, within a bound of bytes.
 *
 * Of each route the slowest and a sample, of all routes together the slowest. Requests are kept as
 * they are (`Timeline`), facts are made when somebody looks. A request may be in several lists and is
 * counted once.
 *
 * When the estimate of bytes passes the bound, the list that holds most gives up one after the other
 * until a tenth is free. So a route with huge requests shrinks before one with small ones, and with
 * enough of them each route is left with its slowest, or with nothing.
 */
import type { RequestFacts } from '../core/facts.ts'
import { KeptRequests } from './kept-requests.ts'
import type { Timeline } from './timeline.ts'

export interface RequestStoreOptions {
  readonly slowestMax: number
  readonly slowestPerRoute: number
  readonly samplePerRoute: number
  readonly maxBytes: number
  readonly random: () => number
}

// Measured with heap snapshots on Node 20 and rounded up.
const TIMELINE_BYTES = 500
const SPAN_BYTES = 350
const HASH_BYTES = 16

export class RequestStore {
  readonly #options: RequestStoreOptions
  readonly #overall: KeptRequests
  readonly #lists: KeptRequests[] = []
  #bytes = 0

  constructor(options: RequestStoreOptions) {
    this.#options = options
    this.#overall = new KeptRequests(options.slowestMax, 0, options.random)
    this.#lists.push(this.#overall)
  }

  /** Estimate of what is kept. */
  get bytes(): number {
    return this.#bytes
  }

  /** The lists of one more route. */
  newRoute(): KeptRequests {
    const { slowestPerRoute, samplePerRoute, random } = this.#options
    const kept = new KeptRequests(slowestPerRoute, samplePerRoute, random)
    this.#lists.push(kept)
    return kept
  }

  /** Keeps the finished request where it is slow or drawn by lot. Most are neither: three comparisons. */
  offer(timeline: Timeline, durationMs: number, kept: KeptRequests): void {
    kept.seen += 1
    if (durationMs > kept.slowestFloorMs) this.#keep(timeline, kept, kept.keepSlow(timeline))
    if (kept.seen >= kept.nextInSample) this.#keep(timeline, kept, kept.keepSample(timeline))
    const overall = this.#overall
    if (durationMs > overall.slowestFloorMs)
      this.#keep(timeline, overall, overall.keepSlow(timeline))
    if (this.#bytes > this.#options.maxBytes) this.#shrink()
  }

  /** Slowest first; those of every route are among them. */
  slowest(): RequestFacts[] {
    const requests = new Set<Timeline>()
    for (const { slowest } of this.#lists) for (const timeline of slowest) requests.add(timeline)
    return [...requests].sort((a, b) => b.durationMs - a.durationMs).map((each) => each.toFacts())
  }

  /** In order of coming. */
  sample(): RequestFacts[] {
    return this.#lists
      .flatMap(({ sample }) => sample)
      .sort((a, b) => a.id - b.id)
      .map((each) => each.toFacts())
  }

  #keep(timeline: Timeline, list: KeptRequests, gone: Timeline | undefined): void {
    if (timeline.keepers === 0) {
      timeline.keptBytes = bytesOf(timeline)
      this.#bytes += timeline.keptBytes
    }
    timeline.keepers += 1
    list.bytes += timeline.keptBytes
    if (gone !== undefined) this.#release(gone, list)
  }

  #release(timeline: Timeline, list: KeptRequests): void {
    list.bytes -= timeline.keptBytes
    timeline.keepers -= 1
    if (timeline.keepers === 0) this.#bytes -= timeline.keptBytes
  }

  #shrink(): void {
    while (this.#bytes > this.#options.maxBytes * 0.9) {
      let heaviest = this.#overall
      for (const list of this.#lists) if (list.bytes > heaviest.bytes) heaviest = list
      const gone = heaviest.shrink()
      if (gone === undefined) return
      this.#release(gone, heaviest)
    }
  }
}

function bytesOf(timeline: Timeline): number {
  let bytes = TIMELINE_BYTES + (timeline.inputs?.length ?? 0) * HASH_BYTES
  for (const { name, inputs, outputs } of timeline.spans) {
    // Names of hooks are shared; a long one is probably not.
    bytes += SPAN_BYTES + (name.length > 64 ? name.length * 2 : 0)
    bytes += ((inputs?.length ?? 0) + (outputs?.length ?? 0)) * HASH_BYTES
  }
  return bytes
}
