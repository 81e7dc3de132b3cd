/**
 * Collector: what this process counted in a phase, as the doctor wants it.
 *
 * Totals are timing's own. Beside them the whole requests: those that timing keeps anyway, more of
 * them than it would in production, and the deep ones.
 */
import { subscribe } from 'node:diagnostics_channel'
import type { ProcessTotals } from '../../core/agent-wire.ts'
import type { PoolFacts, RequestFacts, StatementFacts } from '../../core/facts.ts'
import { snapshot } from '../../exporters/index.ts'
import { timing } from '../../timing/index.ts'
import { RequestKeeper } from './request-keeper.ts'

export interface CollectorSources {
  readonly pools: () => readonly PoolFacts[]
  readonly resetPools: () => void
  readonly dropped: () => number
}

/** Of each route, under load. */
const SLOWEST = 10
const SAMPLE = 20
const MAX_STATEMENTS = 5_000

export class Collector {
  readonly requests: RequestKeeper = new RequestKeeper()
  readonly #sources: CollectorSources
  readonly #statements = new Map<string, StatementFacts>()
  #startedAt = performance.now()

  constructor(sources: CollectorSources) {
    this.#sources = sources
    subscribe('hasten:request', this.requests.see)
  }

  begin(deepEvery: number, reset: boolean): void {
    // One at a time, a request's own share of the event loop is worth half a microsecond.
    timing.configure({ deepEvery, detail: deepEvery === 1 })
    this.requests.reset(deepEvery)
    if (!reset) return
    timing.configure({ slowestPerRoute: SLOWEST, samplePerRoute: SAMPLE })
    timing.reset()
    this.#sources.resetPools()
    this.#startedAt = performance.now()
  }

  /** Whether there is anything to tell. */
  get hasCounted(): boolean {
    if (timing.routes().length > 0) return true
    return timing.process().background.queries > 0
  }

  /** Called for every statement that runs. */
  seeStatement({ id, text }: StatementFacts): void {
    if (this.#statements.has(id) || this.#statements.size >= MAX_STATEMENTS) return
    this.#statements.set(id, { id, text })
  }

  take(isBrief: boolean): ProcessTotals {
    return {
      seconds: (performance.now() - this.#startedAt) / 1_000,
      snapshot: snapshot(timing),
      requests: isBrief ? [] : this.#requests(),
      pools: this.#sources.pools(),
      process: timing.process(),
      statements: isBrief ? [] : [...this.#statements.values()],
      dropped: this.#sources.dropped(),
    }
  }

  #requests(): RequestFacts[] {
    // The deep ones were written down when they ended; the kept may have late spans by now.
    const all = [...timing.slowest(), ...timing.sample(), ...this.requests.kept]
    return [...new Map(all.map((request) => [request.id, request])).values()]
  }
}
