/**
 * Observation builder: writes down what an application would have been seen to do.
 *
 *   const app = new ObservationBuilder()
 *   app.route('GET /users/:id', (request, i) => {
 *     request.given(`user ${i}`)
 *     request.query('SELECT name FROM users WHERE id = $1', { ms: 2, sends: [`user ${i}`] })
 *   })
 *   app.observation()
 *
 * Each call moves the request's clock by its time; `parallel` starts all branches at one moment. The
 * script runs for requests that are alone and for those under load. Values are given as text and
 * become numbers here. Totals are added up from the same spans, so that they agree.
 */
import { createHash } from 'node:crypto'
import type {
  BlockFacts,
  Observation,
  Phase,
  PlanFacts,
  PoolFacts,
  RequestFacts,
  RouteFacts,
  SpanFacts,
  StatementFacts,
} from '../core/facts.ts'

export type PhaseName = 'solo' | 'load'

export interface QueryScript {
  readonly ms?: number
  /** null: not known. */
  readonly sends?: readonly unknown[] | null
  readonly brings?: readonly unknown[]
  readonly rows?: number
  readonly error?: string
  readonly connection?: number
  readonly transaction?: number
}

export interface HttpScript {
  readonly ms?: number
  readonly method?: string
  readonly status?: number
  readonly sends?: readonly unknown[]
  /** Absent: the body could not be read. */
  readonly brings?: readonly unknown[]
}

export interface RouteScript {
  /** Of each phase, alone and under load. */
  readonly solo?: number
  readonly load?: number
  /** Requests that the totals under load speak of. */
  readonly total?: number
  /** Values are known: always, never, or in one of the phases. */
  readonly deep?: boolean | PhaseName
}

export class ObservationBuilder {
  readonly seconds = 10
  pools: PoolFacts[] = []
  plans: PlanFacts[] = []
  blocks: BlockFacts[] = []
  loopUtilisation = 0.3
  readonly #statements = new Map<string, StatementFacts>()
  readonly #values = new Map<string, number>()
  readonly #phases: Record<PhaseName, { routes: RouteFacts[]; requests: RequestFacts[] }> = {
    solo: { routes: [], requests: [] },
    load: { routes: [], requests: [] },
  }
  #id = 0

  route(
    key: string,
    script: (request: RequestScript, i: number, phase: PhaseName) => void,
    { solo = 4, load = 6, total = 200, deep = true }: RouteScript = {},
  ): this {
    const [method = '', route = ''] = key.split(' ')
    for (const phase of ['solo', 'load'] as const) {
      const count = phase === 'solo' ? solo : load
      if (count === 0) continue
      const requests = Array.from({ length: count }, (_, i) => {
        const request = new RequestScript(this)
        script(request, i, phase)
        return request.facts(method, route, ++this.#id, deep === true || deep === phase)
      })
      this.#phases[phase].requests.push(...requests)
      const weight = phase === 'solo' ? 1 : total / count
      this.#phases[phase].routes.push(totalsOf(method, route, requests, weight))
    }
    return this
  }

  pool(facts: Partial<PoolFacts> = {}): this {
    const some = { total: 4, idle: 0, waiting: 0, waitingMax: 0 }
    this.pools.push({ pid: 1, pool: 1, library: 'pg', max: 4, ...some, ...facts })
    return this
  }

  statement(text: string): string {
    const id = createHash('sha256').update(text).digest('hex').slice(0, 16)
    this.#statements.set(id, { id, text })
    return id
  }

  hash(value: unknown): number {
    const key = String(value)
    const known = this.#values.get(key) ?? this.#values.size + 1
    this.#values.set(key, known)
    return known
  }

  observation(): Observation {
    return {
      solo: this.#phase('solo'),
      load: this.#phase('load'),
      statements: [...this.#statements.values()],
      blocks: this.blocks,
      plans: this.plans,
    }
  }

  #phase(name: PhaseName): Phase {
    const { routes, requests } = this.#phases[name]
    const process = { pid: 1, node: 'v20.20.0', cpuMs: 1000, maxRssMb: 90 }
    return {
      seconds: this.seconds,
      routes,
      requests,
      pools: name === 'load' ? this.pools : [],
      processes: [
        {
          ...process,
          loopUtilisation: name === 'load' ? this.loopUtilisation : 0,
          loopDelayP99Ms: 2,
          loopDelayMaxMs: 5,
          background: { queries: 0, dbMs: 0 },
        },
      ],
    }
  }
}

export class RequestScript {
  readonly spans: SpanFacts[] = []
  status = 200
  responseBytes = 500
  loopActiveMs = 0.5
  #now = 0.2
  #parent: number | undefined
  readonly #inputs: unknown[] = []
  readonly #app: ObservationBuilder

  constructor(app: ObservationBuilder) {
    this.#app = app
  }

  get now(): number {
    return this.#now
  }

  given(...values: unknown[]): void {
    this.#inputs.push(...values)
  }

  query(text: string, script: QueryScript = {}): void {
    const { ms = 1, sends = [], brings = [], rows = brings.length, ...rest } = script
    this.#span({
      ...{ kind: 'query', name: text.split(' ', 1)[0] ?? '', statement: this.#app.statement(text) },
      ...{ durationMs: ms, rows, connection: 1, ...this.#values(sends, brings), ...rest },
    })
  }

  http(
    name: string,
    { ms = 10, method = 'GET', status = 200, sends = [], brings }: HttpScript = {},
  ): void {
    const values =
      brings === undefined ? { inputs: this.#hashes(sends) } : this.#values(sends, brings)
    this.#span({
      kind: 'http',
      name: `${method} ${name}`,
      durationMs: ms,
      method,
      status,
      ...values,
    })
  }

  connect(ms = 5, error?: string): void {
    this.#span({ kind: 'connect', name: 'connect', durationMs: ms, ...(error && { error }) })
  }

  poolWait(ms: number): void {
    this.#span({ kind: 'pool-wait', name: 'wait', durationMs: ms })
  }

  idle(ms: number): void {
    this.#now += ms
  }

  compute(ms: number): void {
    this.#now += ms
    this.loopActiveMs += ms
  }

  /** Lends one connection for as long as `work` takes. */
  checkout(work: () => void): void {
    const startMs = this.#now
    const at = this.spans.push({ kind: 'custom', name: 'pg.checkout', startMs, durationMs: 0 }) - 1
    work()
    this.spans[at] = {
      ...(this.spans[at] as SpanFacts),
      durationMs: this.#now - startMs,
      connection: 1,
    }
  }

  within(name: string, work: () => void): void {
    const startMs = this.#now
    const at = this.spans.push({ kind: 'custom', name, startMs, durationMs: 0 }) - 1
    const before = this.#parent
    this.#parent = at
    work()
    this.#parent = before
    this.spans[at] = { ...(this.spans[at] as SpanFacts), durationMs: this.#now - startMs }
  }

  parallel(...branches: (() => void)[]): void {
    const begin = this.#now
    let end = begin
    for (const branch of branches) {
      this.#now = begin
      branch()
      end = Math.max(end, this.#now)
    }
    this.#now = end
  }

  facts(method: string, route: string, id: number, deep: boolean): RequestFacts {
    return {
      ...{ id, pid: 1, method, route, status: this.status, aborted: false, startedAt: id * 1000 },
      ...{ durationMs: this.#now + 0.3, concurrency: 1, responseBytes: this.responseBytes },
      ...{ loopActiveMs: this.loopActiveMs, deep, droppedSpans: 0 },
      ...(deep && { inputs: this.#hashes(this.#inputs) }),
      spans: deep
        ? this.spans
        : this.spans.map(({ inputs: _inputs, outputs: _outputs, ...span }) => span),
    }
  }

  #span(span: Omit<SpanFacts, 'startMs'>): void {
    const parent = this.#parent === undefined ? {} : { parent: this.#parent }
    this.spans.push({ ...span, ...parent, startMs: this.#now })
    this.#now += Math.max(0, span.durationMs)
    // A turn of the loop.
    this.#now += 0.05
  }

  #values(sends: readonly unknown[] | null, brings: readonly unknown[]) {
    return {
      ...(sends !== null && { inputs: this.#hashes(sends) }),
      outputs: this.#hashes(brings),
    }
  }

  #hashes(values: readonly unknown[]): number[] {
    return values.map((value) => this.#app.hash(value))
  }
}

function totalsOf(
  method: string,
  route: string,
  requests: readonly RequestFacts[],
  weight: number,
): RouteFacts {
  const spans = requests.flatMap((request) => request.spans)
  const total = (kind: string) =>
    weight * spans.reduce((sum, span) => sum + (span.kind === kind ? span.durationMs : 0), 0)
  const count = (kind: string) => weight * spans.filter((span) => span.kind === kind).length
  const durations = requests.map(({ durationMs }) => durationMs).sort((a, b) => a - b)
  const statements = new Map<string, SpanFacts[]>()
  for (const span of spans) {
    if (span.statement === undefined) continue
    statements.set(span.statement, [...(statements.get(span.statement) ?? []), span])
  }
  return {
    ...{ method, route, requests: requests.length * weight, errors: 0 },
    ...{ queries: count('query'), connects: count('connect'), httpMs: total('http') },
    ...{ dbMs: total('query'), poolWaitMs: total('pool-wait'), connectMs: total('connect') },
    totalMs: weight * durations.reduce((sum, each) => sum + each, 0),
    responseBytes: weight * requests.reduce((sum, each) => sum + (each.responseBytes ?? 0), 0),
    p50Ms: durations[durations.length >> 1] ?? 0,
    p95Ms: durations.at(-1) ?? 0,
    p99Ms: durations.at(-1) ?? 0,
    statements: [...statements].map(([statement, calls]) => ({
      ...{ statement, calls: weight * calls.length, bytes: 0 },
      totalMs: weight * calls.reduce((sum, each) => sum + each.durationMs, 0),
      rows: weight * calls.reduce((sum, each) => sum + (each.rows ?? 0), 0),
      errors: weight * calls.filter((each) => each.error !== undefined).length,
    })),
  }
}
