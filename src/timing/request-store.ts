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
import { type Keeper, KeptRequests } from './kept-requests.ts'
import type { Timeline } from './timeline.ts'
import type { TimingSettings } from './timing-options.ts'

// Measured with heap snapshots on Node 20 and rounded up.
const TIMELINE_BYTES = 500
const SPAN_BYTES = 350
const HASH_BYTES = 16

export class RequestStore implements Keeper {
  readonly random: () => number
  readonly #settings: TimingSettings
  readonly #overall: KeptRequests
  readonly #lists: KeptRequests[]
  #bytes = 0

  constructor(settings: TimingSettings) {
    this.#settings = settings
    this.random = settings.random
    this.#overall = new KeptRequests(this, settings.slowest, 0)
    this.#lists = [this.#overall]
  }

  /** The lists of one more route. */
  newRoute(): KeptRequests {
    const { slowestPerRoute, samplePerRoute } = this.#settings
    const kept = new KeptRequests(this, slowestPerRoute, samplePerRoute)
    this.#lists.push(kept)
    return kept
  }

  offer(timeline: Timeline, durationMs: number, ofRoute: KeptRequests): void {
    ofRoute.offer(timeline, durationMs)
    this.#overall.offer(timeline, durationMs)
    const { maxKeptBytes } = this.#settings
    if (this.#bytes <= maxKeptBytes) return
    while (this.#bytes > maxKeptBytes * 0.9) {
      let heaviest = this.#overall
      for (const list of this.#lists) if (list.bytes > heaviest.bytes) heaviest = list
      if (!heaviest.shrink()) return
    }
  }

  /** Slowest first; those of every route are among them. */
  slowest(): RequestFacts[] {
    const kept = this.#lists.flatMap(({ slowest }) => slowest)
    const requests = new Set(kept.sort((a, b) => a.key - b.key).map(({ timeline }) => timeline))
    return Array.from(requests, (timeline) => timeline.toFacts())
  }

  /** In order of coming. */
  sample(): RequestFacts[] {
    return this.#lists
      .flatMap(({ sample }) => sample.map(({ timeline }) => timeline.toFacts()))
      .sort((a, b) => a.id - b.id)
  }

  hold(timeline: Timeline): void {
    if (timeline.keepers++ > 0) return
    timeline.keptBytes = bytesOf(timeline)
    this.#bytes += timeline.keptBytes
  }

  release(timeline: Timeline): void {
    if (--timeline.keepers === 0) this.#bytes -= timeline.keptBytes
  }
}

function bytesOf(timeline: Timeline): number {
  let bytes = TIMELINE_BYTES + bytesOfHashes(timeline.inputs)
  for (const { name, inputs, outputs } of timeline.spans) {
    // Names of hooks are shared; a long one is probably not.
    bytes += SPAN_BYTES + (name.length > 64 ? name.length * 2 : 0)
    bytes += bytesOfHashes(inputs) + bytesOfHashes(outputs)
  }
  return bytes
}

function bytesOfHashes(hashes: readonly number[] = []): number {
  return hashes.length * HASH_BYTES
}
