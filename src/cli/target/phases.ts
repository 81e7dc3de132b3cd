/**
 * Phases: what all observed processes counted between two moments, as one.
 *
 *   begin ── totals of every process start from 0 ── … traffic … ── take ── merged
 *
 * Each process that counted is taken exactly once, from the best source that there is:
 *
 *   it answers                     its answer
 *   it has exited by itself        the file that it left
 *   it was killed, or hangs        the last look in passing (every 2 s), and a warning
 *
 * A process that appears during a phase (a worker restarted, a watcher that reloads) starts from 0 by
 * itself and is told how often a request shall be deep. One that ended before the phase began is left
 * out of it. Processes that neither served nor loaded a library of interest are not spoken of.
 */
import type { ProcessTotals } from '../../core/agent-wire.ts'
import type { Phase, StatementFacts } from '../../core/facts.ts'
import type { AgentLink } from './agent-link.ts'
import type { AgentServer } from './agent-server.ts'
import { mergeTotals } from './totals.ts'

export interface PhaseOptions {
  /** Of how many requests of a route one hashes the values it sees; 0: none. Default: 0. */
  readonly deepEvery?: number
}

/** Told of each look in passing: a process, and how many requests it has counted in this phase. */
export type OnLook = (pid: number, requests: number) => void

const TAKE_MS = 5_000
const BEGIN_MS = 2_000
const LOOK_EVERY_MS = 2_000
const LOOK_MS = 1_000
const MAX_STATEMENTS = 10_000

export class Phases {
  readonly #server: AgentServer
  readonly #onLook: OnLook | undefined
  readonly #statements = new Map<string, StatementFacts>()
  readonly #warnings = new Set<string>()
  #begun: Begun | undefined

  constructor(server: AgentServer, onLook?: OnLook) {
    this.#server = server
    this.#onLook = onLook
  }

  get statements(): StatementFacts[] {
    return [...this.#statements.values()]
  }

  get warnings(): string[] {
    return [...this.#warnings]
  }

  async begin({ deepEvery = 0 }: PhaseOptions): Promise<void> {
    this.#begun?.end()
    const begun = new Begun(this.#server, deepEvery, this.#onLook)
    this.#begun = begun
    await begun.reset()
  }

  async take(): Promise<Phase> {
    const begun = this.#begun ?? new Begun(this.#server, 0, this.#onLook)
    const seconds = begun.seconds
    begun.end()
    const links = begun.links
    const answers = await Promise.all(links.map((link) => link.ask(takeAll, TAKE_MS)))
    const taken = links.flatMap((link, i) => {
      const totals = totalsOf(answers[i]) ?? link.final?.totals
      if (totals !== undefined) return [{ link, totals }]
      return this.#makeDo(link, begun.looks.get(link))
    })
    for (const { totals } of taken) this.#learn(totals)
    const counted = taken.filter(({ link, totals }) => isOfInterest(link, totals))
    const { refused, ...merged } = mergeTotals(counted.map(({ totals }) => totals))
    for (const pid of refused) {
      this.#warnings.add(`process ${pid} counts in another version of hasten: it is left out`)
    }
    return { seconds, ...merged }
  }

  end(): void {
    this.#begun?.end()
  }

  /** What is left of a process that cannot say any more. */
  #makeDo(link: AgentLink, look: ProcessTotals | undefined) {
    const pid = link.hello?.pid
    // Exited before it counted anything: it left no file, and there is nothing to say.
    const isQuiet = !link.isOpen && look === undefined
    if (isQuiet && link.listening.length === 0) return []
    const how = link.isOpen ? 'did not answer within 5 s (its event loop is blocked)' : 'was killed'
    const what = look === undefined ? 'nothing of it is' : 'only what was seen before is'
    this.#warnings.add(`process ${pid} ${how}: ${what} in the report`)
    return look === undefined ? [] : [{ link, totals: look }]
  }

  #learn({ statements, dropped, process }: ProcessTotals): void {
    for (const each of statements) {
      if (this.#statements.size < MAX_STATEMENTS) this.#statements.set(each.id, each)
    }
    if (dropped === 0) return
    this.#warnings.add(`process ${process.pid} could not tell everything: ${dropped} messages lost`)
  }
}

/** A phase that runs. */
class Begun {
  /** Of each process the last look in passing. */
  readonly looks = new Map<AgentLink, ProcessTotals>()
  readonly #server: AgentServer
  readonly #deepEvery: number
  readonly #over: ReadonlySet<AgentLink>
  readonly #told: Set<AgentLink>
  readonly #unwatch: () => void
  readonly #timer: NodeJS.Timeout
  readonly #onLook: OnLook | undefined
  #startedAt = performance.now()

  constructor(server: AgentServer, deepEvery: number, onLook: OnLook | undefined) {
    this.#server = server
    this.#deepEvery = deepEvery
    this.#onLook = onLook
    this.#over = new Set(server.links.filter((link) => !link.isOpen))
    this.#told = new Set(server.living)
    this.#unwatch = server.watch(() => this.#welcome())
    this.#timer = setInterval(() => void this.#look(), LOOK_EVERY_MS).unref()
  }

  get seconds(): number {
    return (performance.now() - this.#startedAt) / 1_000
  }

  /** Processes that took part. */
  get links(): AgentLink[] {
    return this.#server.known.filter((link) => !this.#over.has(link))
  }

  async reset(): Promise<void> {
    const question = { ask: 'begin', deepEvery: this.#deepEvery, reset: true } as const
    await Promise.all([...this.#told].map((link) => link.ask(question, BEGIN_MS)))
    this.#startedAt = performance.now()
  }

  end(): void {
    clearInterval(this.#timer)
    this.#unwatch()
  }

  /** Those that came while it runs. */
  #welcome(): void {
    for (const link of this.#server.living) {
      if (this.#told.has(link)) continue
      this.#told.add(link)
      void link.ask({ ask: 'begin', deepEvery: this.#deepEvery, reset: false }, BEGIN_MS)
    }
  }

  async #look(): Promise<void> {
    await Promise.all(
      this.#server.living.map(async (link) => {
        if (link.listening.length === 0 && link.modules.length === 0) return
        const totals = totalsOf(await link.ask({ ask: 'take', brief: true }, LOOK_MS))
        if (totals === undefined) return
        this.looks.set(link, totals)
        this.#onLook?.(totals.process.pid, requestsIn(totals))
      }),
    )
  }
}

const takeAll = { ask: 'take', brief: false } as const

function totalsOf(answer: unknown): ProcessTotals | undefined {
  const totals = answer as Partial<ProcessTotals> | undefined
  const isWhole =
    Array.isArray(totals?.requests) &&
    Array.isArray(totals.pools) &&
    Array.isArray(totals.statements) &&
    typeof totals.process?.pid === 'number'
  return isWhole ? (totals as ProcessTotals) : undefined
}

function requestsIn(totals: ProcessTotals): number {
  return mergeTotals([totals]).routes.reduce((sum, { requests }) => sum + requests, 0)
}

function isOfInterest(link: AgentLink, { process, requests }: ProcessTotals): boolean {
  return (
    link.listening.length > 0 ||
    link.modules.length > 0 ||
    requests.length > 0 ||
    process.background.queries > 0
  )
}
