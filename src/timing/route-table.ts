/**
 * Route table: the totals of every route, found in one or two look-ups, never more than `maxRoutes`.
 *
 *   framework's pattern ───────────────────┐
 *                                          ├─▶ by route ─▶ totals GET ─▶ totals POST ─▶ …
 *   raw path ─▶ remembered? ─▶ else folded ┘
 *
 * A path that folds to itself is remembered, so that it is not folded again on each request; one with
 * an id in it would never come back. Remembered are 1,000 paths of at most 128 characters, and all are
 * forgotten when one more comes: a crawler costs some folding, not memory.
 *
 * Routes above the limit are one: `(other)`, whatever the method. Names are cut at 300 characters and
 * copied: a slice of a long URL would keep all of it in memory.
 */
import { foldPath } from '../core/fold-path.ts'
import type { RequestStore } from './request-store.ts'
import { RouteTotals } from './route-totals.ts'
import { LATE, REQUESTS } from './totals.ts'

const OTHER_ROUTE = '(other)'
const MAX_PATHS = 1000
const MAX_PATH = 128
const MAX_NAME = 300

export class RouteTable {
  readonly #maxRoutes: number
  readonly #store: RequestStore
  readonly #byRoute = new Map<string, RouteTotals>()
  readonly #paths = new Map<string, RouteTotals>()
  readonly #all: RouteTotals[] = []
  #other: RouteTotals | undefined

  constructor(maxRoutes: number, store: RequestStore) {
    this.#maxRoutes = maxRoutes
    this.#store = store
  }

  /** Those that have counted something. */
  get used(): RouteTotals[] {
    return this.#all.filter(({ figures }) => figures[REQUESTS] !== 0 || figures[LATE] !== 0)
  }

  /** Shared by all routes above the limit. */
  get #shared(): RouteTotals {
    return (this.#other ??= this.#create('*', OTHER_ROUTE))
  }

  ofPath(method: string, path: string): RouteTotals {
    const known = this.#paths.get(path)
    if (known) return known.method === method ? known : this.ofRoute(method, known.route)
    const route = foldPath(path)
    const totals = this.ofRoute(method, route)
    if (route === path && path.length <= MAX_PATH && totals !== this.#other) {
      if (this.#paths.size >= MAX_PATHS) this.#paths.clear()
      this.#paths.set(totals.route, totals)
    }
    return totals
  }

  ofRoute(method: string, route: string): RouteTotals {
    if (route === OTHER_ROUTE) return this.#shared
    let totals = this.#byRoute.get(route)
    while (totals && totals.method !== method) totals = totals.next
    return totals ?? this.#add(method, route)
  }

  #add(method: string, route: string): RouteTotals {
    if (route.length > MAX_NAME) return this.ofRoute(method, route.slice(0, MAX_NAME))
    if (this.#all.length - (this.#other ? 1 : 0) >= this.#maxRoutes) {
      return this.#shared
    }
    const totals = this.#create(method, copyOf(route))
    totals.next = this.#byRoute.get(totals.route)
    this.#byRoute.set(totals.route, totals)
    return totals
  }

  #create(method: string, route: string): RouteTotals {
    const totals = new RouteTotals(copyOf(method), route, this.#store.newRoute())
    this.#all.push(totals)
    return totals
  }
}

function copyOf(text: string): string {
  return JSON.parse(JSON.stringify(text)) as string
}
