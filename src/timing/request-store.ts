/**
 * Request store: of all finished requests the slowest and a fair sample of each route.
 *
 * The sample is a reservoir (Vitter's algorithm R): after n requests each of them is kept with the
 * same chance, whenever it came. The slowest are kept beside it, so a rare outlier is never lost to
 * chance. Bounds: so many per route, and so many spans in all; where the spans are used up, a newcomer
 * is kept only in place of another one of its route.
 *
 * Source: J. S. Vitter, Random Sampling with a Reservoir, ACM TOMS 11 (1985)
 */
import type { Timeline } from './timeline.ts'

export interface StoreBounds {
  readonly slowest: number
  readonly sample: number
  readonly spans: number
}

interface Shelf {
  seen: number
  readonly slowest: Timeline[]
  readonly sample: Timeline[]
}

export class RequestStore {
  #shelves = new Map<object, Shelf>()
  #spans = 0
  readonly #bounds: StoreBounds
  readonly #random: () => number

  constructor(bounds: StoreBounds, random: () => number = Math.random) {
    this.#bounds = bounds
    this.#random = random
  }

  /** @param route whatever stands for the route; it is the key */
  add(route: object, timeline: Timeline): void {
    let shelf = this.#shelves.get(route)
    if (shelf === undefined) {
      shelf = { seen: 0, slowest: [], sample: [] }
      this.#shelves.set(route, shelf)
    }
    shelf.seen += 1
    this.#addSlow(shelf.slowest, timeline)
    this.#addSample(shelf, timeline)
  }

  /** Slowest first. */
  slowest(): Timeline[] {
    const all = [...this.#shelves.values()].flatMap((shelf) => shelf.slowest)
    return all.sort((a, b) => b.durationMs - a.durationMs)
  }

  sample(): Timeline[] {
    return [...this.#shelves.values()].flatMap((shelf) => shelf.sample)
  }

  /** Kept in whatever way, each once. */
  all(): Timeline[] {
    return [...new Set([...this.slowest(), ...this.sample()])]
  }

  clear(): void {
    this.#shelves = new Map()
    this.#spans = 0
  }

  #addSlow(slowest: Timeline[], timeline: Timeline): void {
    if (slowest.length < this.#bounds.slowest) {
      if (this.#hasRoom(timeline)) slowest.push(this.#keep(timeline))
      return
    }
    let fastest = 0
    for (let i = 1; i < slowest.length; i++) {
      if ((slowest[i] as Timeline).durationMs < (slowest[fastest] as Timeline).durationMs)
        fastest = i
    }
    const loser = slowest[fastest]
    if (loser !== undefined && loser.durationMs < timeline.durationMs) {
      this.#spans -= loser.spans.length
      slowest[fastest] = this.#keep(timeline)
    }
  }

  #addSample(shelf: Shelf, timeline: Timeline): void {
    const { sample, seen } = shelf
    if (sample.length < this.#bounds.sample && sample.length === seen - 1) {
      if (this.#hasRoom(timeline)) sample.push(this.#keep(timeline))
      return
    }
    const place = Math.floor(this.#random() * seen)
    const loser = sample[place]
    if (loser === undefined) return
    this.#spans -= loser.spans.length
    sample[place] = this.#keep(timeline)
  }

  #hasRoom(timeline: Timeline): boolean {
    return this.#spans + timeline.spans.length <= this.#bounds.spans
  }

  #keep(timeline: Timeline): Timeline {
    this.#spans += timeline.spans.length
    return timeline
  }
}
