/**
 * Discovers traffic: from the routes of a server that nobody described to requests that are safe to
 * send a thousand times.
 *
 *   routes ──▶ GET only ──▶ name ──▶ parameters ──▶ called once, ──▶ did it ──▶ driven
 *                 │          smells     unknown        alone        write, call
 *                 ▼            ▼           ▼                        out, fail
 *              not driven, each with its reason  ◀────────────────────┘
 *
 * Rules (timing's research calls them "Driving what one does not know"):
 *   1. Nothing but GET. HEAD and OPTIONS repeat it; everything else means to change something.
 *   2. A name that smells of doing (`/logout`) is not called at all: smelling-name.ts.
 *   3. Each other route is called once, alone, observed. One that wrote or called another host is
 *      never called again, unless the user said so.
 *   4. Routes without parameters first: their answers hold the ids for the others.
 *   5. What a route does after its answer is seen late. So all totals are looked at once more when
 *      every route has been called, and a route that wrote by then is taken out again.
 *   6. As soon as a database is seen that is not on this machine, nothing more is sent, unless the
 *      user said so.
 *
 * A route that is driven is asked for up to `MAX_VARIANTS` different values of its parameters, so that
 * the load is not one row in the server's cache. All routes have the same share of the load.
 */
import { setTimeout } from 'node:timers/promises'
import type { RequestFacts } from '../../core/facts.ts'
import { type Answer, type PlannedRequest, Sequence } from '../../load/index.ts'
import { KnownValues } from './known-values.ts'
import { OpenApi, readOpenApi, servesOpenApi } from './openapi.ts'
import { readParams } from './params.ts'
import { fillPath, type Sources } from './path-filler.ts'
import type { ProbeTarget } from './probe-target.ts'
import { RoutePattern } from './route-pattern.ts'
import { smellOf } from './smelling-name.ts'
import { type Effect, SqlEffects } from './sql-effects.ts'
import {
  isWorthRetrying,
  type Reason,
  reasonOfAnswer,
  reasonOfFacts,
  type VerdictOptions,
  writes,
} from './verdict.ts'

const MAX_VARIANTS = 20
/** Values that are tried where the first is not found. */
const MAX_TRIES = 3
const MAX_ROUTES = 1000
/** Kept of an answer; a description of a large API has megabytes. */
const MAX_BODY_BYTES = 8 * 2 ** 20
const PROBE_TIMEOUT_MS = 15_000
const BUDGET_MS = 120_000
/** Most that outlives an answer begins at once. */
const SOON_MS = 60
/** For what the route that was called last does after its answer. */
const LATE_MS = 300

export interface DiscoverOptions {
  readonly target: ProbeTarget
  readonly origin: string
  /** Sent with each request. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** As given with `--params`. */
  readonly params?: readonly string[] | undefined
  /** Path of an OpenAPI document. */
  readonly openapi?: string | undefined
  readonly allowWrites?: boolean | undefined
  readonly allowOutbound?: boolean | undefined
  readonly allowRemoteDatabase?: boolean | undefined
  /** Longest time for trying routes; the rest is not driven. @default 120,000 */
  readonly budgetMs?: number | undefined
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((detail: string) => void) | undefined
}

export interface NotDrivenRoute {
  readonly route: string
  readonly method: string
  readonly reason: string
}

export interface DiscoveredTraffic {
  readonly requests: readonly PlannedRequest[]
  readonly notDriven: readonly NotDrivenRoute[]
  /** What the server did when each route was called once. */
  readonly probes: readonly RequestFacts[]
}

/**
 * OPENAPI_INVALID or PARAMS_INVALID where what the user gave cannot be read. Where the signal fires,
 * what was found until then.
 */
export async function discoverTraffic(options: DiscoverOptions): Promise<DiscoveredTraffic> {
  const params = await readParams(options.params ?? [])
  const given = options.openapi === undefined ? [] : [await readOpenApi(options.openapi)]
  const effects = await SqlEffects.load()
  const discovery = new Discovery(options, effects, {
    params,
    known: new KnownValues(),
    openApis: given,
  })
  return discovery.run()
}

interface Driven {
  readonly route: RoutePattern
  /** As the server books it. */
  readonly label: string
  readonly paths: readonly string[]
}

class Discovery {
  readonly #options: DiscoverOptions
  readonly #target: ProbeTarget
  readonly #effects: SqlEffects
  readonly #sources: Sources & { openApis: OpenApi[] }
  readonly #verdict: VerdictOptions
  readonly #sequence: Sequence
  readonly #endMs: number
  readonly #texts = new Map<string, string>()
  /** Statements that were seen before a route was called: of the start, of timers, of other routes. */
  readonly #earlier = new Set<string>()
  readonly #driven: Driven[] = []
  readonly #notDriven: NotDrivenRoute[] = []
  readonly #probes: RequestFacts[] = []

  constructor(
    options: DiscoverOptions,
    effects: SqlEffects,
    sources: Sources & { openApis: OpenApi[] },
  ) {
    this.#options = options
    this.#target = options.target
    this.#effects = effects
    this.#sources = sources
    this.#verdict = {
      allowWrites: options.allowWrites ?? false,
      allowOutbound: options.allowOutbound ?? false,
      hasHeaders: Object.keys(options.headers ?? {}).length > 0,
    }
    this.#sequence = new Sequence({
      origin: options.origin,
      timeoutMs: options.timeoutMs ?? PROBE_TIMEOUT_MS,
      maxBodyBytes: MAX_BODY_BYTES,
      signal: options.signal,
    })
    this.#endMs = performance.now() + (options.budgetMs ?? BUDGET_MS)
  }

  async run(): Promise<DiscoveredTraffic> {
    try {
      await this.#target.beginPhase()
      await this.#target.takePhase()
      for (const { id } of this.#target.statements()) this.#earlier.add(id)
      const open = await this.#candidates()
      await this.#readServedDescriptions(open)
      this.#addDescribed(open)
      await this.#probeAll(open)
      await this.#lookAgain()
    } catch (error) {
      if (this.#options.signal?.aborted !== true) throw error
    } finally {
      await this.#sequence.close()
    }
    const remote = this.#remoteDatabase()
    if (remote !== undefined) {
      for (const { route } of this.#driven) this.#refuse(route.pattern, remote)
      this.#driven.length = 0
    }
    return {
      requests: this.#driven.flatMap((driven) => this.#requestsOf(driven)),
      notDriven: this.#notDriven,
      probes: this.#probes,
    }
  }

  /** Routes that may be called, those without parameters first. */
  async #candidates(): Promise<RoutePattern[]> {
    const found = await this.#target.routes()
    const open = new Map<string, RoutePattern>()
    for (const { method, pattern } of found) {
      const isGet = /^(?:GET|ALL|\*)$/i.test(method)
      if (/^(?:HEAD|OPTIONS)$/i.test(method)) continue
      if (!isGet) {
        const reason = 'is not GET; to drive it, give traffic with --requests'
        this.#notDriven.push({ route: pattern, method, reason })
        continue
      }
      if (open.size >= MAX_ROUTES) this.#refuse(pattern, `is beyond the first ${MAX_ROUTES} routes`)
      else this.#admit(pattern, open)
    }
    return [...open.values()].sort((a, b) => a.params.length - b.params.length)
  }

  #admit(pattern: string, open: Map<string, RoutePattern>): void {
    const route = new RoutePattern(pattern)
    const smell = smellOf(pattern)
    if (open.has(route.pattern)) return
    if (route.obstacle !== undefined) this.#refuse(pattern, route.obstacle)
    else if (smell === undefined) open.set(pattern, route)
    else {
      const what = `was not called: by its name ('${smell}') it may change something`
      this.#refuse(pattern, `${what}; to drive it, name it in a file given with --requests`)
    }
  }

  /** A server that describes itself gives examples for its parameters. */
  async #readServedDescriptions(open: RoutePattern[]): Promise<void> {
    for (const route of open.filter(
      ({ pattern, params }) => servesOpenApi(pattern) && params.length === 0,
    )) {
      open.splice(open.indexOf(route), 1)
      if (!this.#mayGoOn(route.pattern)) continue
      const answer = await this.#sequence.ask(this.#get(route.pattern))
      const openApi = answer.isBodyComplete ? OpenApi.of(jsonOf(answer.body)) : undefined
      if (openApi === undefined) open.unshift(route)
      else {
        this.#sources.openApis.push(openApi)
        this.#refuse(
          route.pattern,
          'serves the description of the API, from which examples were taken',
        )
      }
    }
  }

  /** Where the framework tells no routes, a description does. */
  #addDescribed(open: RoutePattern[]): void {
    const shapes = new Set(open.map(({ shape }) => shape))
    const refused = new Set(this.#notDriven.map(({ route }) => new RoutePattern(route).shape))
    const [given] = this.#options.openapi === undefined ? [] : this.#sources.openApis
    const added = new Map<string, RoutePattern>()
    for (const pattern of given?.patterns() ?? []) {
      const { shape } = new RoutePattern(pattern)
      if (shapes.has(shape) || refused.has(shape) || open.length > 0) continue
      shapes.add(shape)
      this.#admit(pattern, added)
    }
    open.push(...[...added.values()].sort((a, b) => a.params.length - b.params.length))
  }

  /** Round after round, as long as an answer gave values to a route that had none. */
  async #probeAll(candidates: readonly RoutePattern[]): Promise<void> {
    let open = [...candidates]
    for (let isNew = true; isNew && open.length > 0; ) {
      isNew = false
      const waiting: RoutePattern[] = []
      for (const route of open) {
        const filled = fillPath(route, this.#sources, MAX_VARIANTS)
        if ('missing' in filled) waiting.push(route)
        else {
          isNew = true
          if (this.#mayGoOn(route.pattern)) await this.#probe(route, filled.paths)
        }
      }
      open = waiting
    }
    for (const route of open) {
      const filled = fillPath(route, this.#sources, 1)
      const name = 'missing' in filled ? filled.missing : ''
      this.#refuse(route.pattern, `no value is known for '${name}': give --params ${name}=…`)
    }
  }

  /** Calls it once; with another value where the first is not found. */
  async #probe(route: RoutePattern, paths: readonly string[]): Promise<void> {
    let reason: Reason
    for (const path of paths.slice(0, MAX_TRIES)) {
      this.#options.onProgress?.(`GET ${path}`)
      const answer = await this.#sequence.ask(this.#get(path))
      const facts = await this.#target.request(answer.traceId)
      if (facts !== undefined) this.#probes.push(facts)
      reason = await this.#judge(answer, facts)
      if (reason === undefined) {
        this.#sources.known.learn(path, answer.body)
        const good = paths.slice(paths.indexOf(path))
        this.#driven.push({ route, label: facts?.route ?? route.pattern, paths: good })
        return
      }
      if (!isWorthRetrying(answer) || !this.#mayGoOn(route.pattern, false)) break
    }
    this.#refuse(route.pattern, reason ?? 'was not called')
  }

  async #judge(answer: Answer, facts: RequestFacts | undefined): Promise<Reason> {
    if (facts === undefined) {
      const byAnswer = reasonOfAnswer(answer, this.#verdict)
      return byAnswer ?? 'was not seen by the observer, so that nobody knows what it does'
    }
    await this.#learnStatements(facts)
    const byFacts = reasonOfFacts(facts, (id) => this.#effectOf(id), this.#verdict)
    return byFacts ?? reasonOfAnswer(answer, this.#verdict) ?? (await this.#afterwards())
  }

  /**
   * What begins after an answer belongs to no request any more. A statement that writes, that no
   * request has run and that was not there before, is put down to the route that was called last.
   */
  async #afterwards(): Promise<Reason> {
    if (this.#verdict.allowWrites) return undefined
    await setTimeout(SOON_MS, undefined, { signal: this.#options.signal })
    const { routes } = await this.#target.takePhase()
    const booked = new Set(routes.flatMap((each) => each.statements.map((use) => use.statement)))
    for (const { id, text } of this.#target.statements()) {
      this.#texts.set(id, text)
      if (this.#earlier.has(id)) continue
      this.#earlier.add(id)
      const effect = booked.has(id) ? undefined : this.#effects.of(text)
      if (effect !== undefined) {
        return `writes to the database after its answer (${effect}); --allow-writes drives it nevertheless`
      }
    }
    return undefined
  }

  /** Texts come with a phase. */
  async #learnStatements(facts: RequestFacts): Promise<void> {
    const isKnown = () =>
      facts.spans.every(({ statement: id }) => id === undefined || this.#texts.has(id))
    if (isKnown()) return
    await this.#target.takePhase()
    for (const { id, text } of this.#target.statements()) this.#texts.set(id, text)
  }

  #effectOf(id: string): Effect {
    const text = this.#texts.get(id)
    return text === undefined ? 'a statement whose text is not known' : this.#effects.of(text)
  }

  /** Work that outlived its answer, and statements beyond the bound of one request. */
  async #lookAgain(): Promise<void> {
    if (this.#verdict.allowWrites || this.#driven.length === 0) return
    await setTimeout(LATE_MS, undefined, { signal: this.#options.signal })
    const { routes } = await this.#target.takePhase()
    for (const { id, text } of this.#target.statements()) this.#texts.set(id, text)
    for (const { method, route, statements } of routes) {
      if (method !== 'GET') continue
      const effect = statements.map((use) => this.#effectOf(use.statement)).find((one) => one)
      if (effect === undefined) continue
      for (const driven of this.#driven.filter(({ label }) => label === route)) {
        this.#driven.splice(this.#driven.indexOf(driven), 1)
        this.#refuse(driven.route.pattern, writes(effect))
      }
    }
  }

  /** Otherwise the route is listed with what stopped it, unless it is listed already. */
  #mayGoOn(pattern: string, isToBeListed = true): boolean {
    this.#options.signal?.throwIfAborted()
    const isLate = performance.now() > this.#endMs
    const obstacle =
      this.#remoteDatabase() ?? (isLate ? 'there was no time left to try it' : undefined)
    if (obstacle !== undefined && isToBeListed) this.#refuse(pattern, obstacle)
    return obstacle === undefined
  }

  #remoteDatabase(): Reason {
    if (this.#options.allowRemoteDatabase === true) return undefined
    const remote = this.#target.databases().find(({ isLoopback }) => !isLoopback)
    if (remote === undefined) return undefined
    const where = `${remote.database} on ${remote.host}:${remote.port}`
    return `the database ${where} is not on this machine; --allow-remote-database drives it nevertheless`
  }

  #requestsOf({ label, paths }: Driven): PlannedRequest[] {
    return paths.map((path) => ({ ...this.#get(path), weight: 1 / paths.length, route: label }))
  }

  #get(path: string): PlannedRequest {
    const { headers } = this.#options
    return { method: 'GET', path, weight: 1, ...(headers && { headers }) }
  }

  #refuse(pattern: string, reason: string): void {
    this.#notDriven.push({ route: pattern, method: 'GET', reason })
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
