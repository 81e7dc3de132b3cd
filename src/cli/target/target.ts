/**
 * Target: a command of the user's, running under observation.
 *
 *   start ──▶ listening ──▶ beginPhase … takePhase ──▶ … ──▶ stop
 *     │            │
 *     └─ TARGET_*  └─ exits or crashes: `exited` tells; what was counted until then is still taken
 *
 * Many processes may stand behind one command (npm, a shell, the server, its workers). Each that is
 * Node has an agent of its own; what they count is merged exactly, and those that opened no server
 * and loaded no library of interest are never spoken of.
 *
 * Whatever happens, nothing is left: neither a process nor the private folder. `stop` awaits that,
 * `killNow` does what can be done while the doctor itself is exiting.
 */
import { randomBytes } from 'node:crypto'
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type {
  CrashFacts,
  DiscoveredRoute,
  ListeningFacts,
  ModuleFacts,
  ProfileFacts,
} from '../../core/agent-wire.ts'
import { HastenError } from '../../core/errors.ts'
import type {
  BlockFacts,
  Phase,
  PlanFacts,
  RequestFacts,
  StatementFacts,
} from '../../core/facts.ts'
import { isLocalDatabase } from '../local-database.ts'
import { type AgentLink, type KnownDatabase, routesOf } from './agent-link.ts'
import { AgentServer } from './agent-server.ts'
import { findBlocks } from './block-finder.ts'
import { bundledInto } from './bundle.ts'
import { carries } from './carries.ts'
import { readProfile } from './cpu-profile.ts'
import { PrivateFolder } from './private-folder.ts'
import { type Exit, type OutputStream, ProcessGroup } from './process-group.ts'
import { type OnLook, type PhaseOptions, Phases } from './phases.ts'
import { SourcePlaces } from './source-place.ts'
import { notFound, opaque, portInUse, startFailure } from './start-failure.ts'

export interface TargetOptions {
  /** Default: the doctor's own. */
  readonly cwd?: string
  /** Default: the doctor's own. */
  readonly env?: NodeJS.ProcessEnv
  /** Default: 30,000. */
  readonly readyTimeoutMs?: number
  /** Between SIGTERM and SIGKILL. Default: 5,000. */
  readonly graceMs?: number
  /** Stops the start. What was started is stopped, and the signal's reason thrown. */
  readonly signal?: AbortSignal
  /** Each line of the command's output. Without it the last 200 are kept for error messages. */
  readonly onLine?: (stream: OutputStream, line: string) => void
  /** Every 2 s of a phase, for each process that serves: requests counted in it so far. */
  readonly onLook?: OnLook
}

export interface Listening extends ListeningFacts {
  readonly pid: number
}

export interface Database extends KnownDatabase {
  /** On this machine, judged by its address. */
  readonly isLoopback: boolean
}

export interface Seen {
  readonly modules: readonly ModuleFacts[]
  /** No library that we can look into was loaded: only HTTP itself is visible. */
  readonly nothingHooked: boolean
}

export interface TargetExit extends Exit {
  /** What an agent saw of the error that ended it, else the last lines of its standard error. */
  readonly crash?: string
}

const ASK_MS = 5_000
const REQUEST_MS = 2_000
/** A profile of a minute is serialised and sent by the busy process itself. */
const PROFILE_MS = 30_000
const EXPLAIN_MS = 60_000
/** The package's own code, which is nobody's application. */
const OURS = fileURLToPath(new URL('../../', import.meta.url))
/** After the first server listens: others of the same application follow within moments. */
const SETTLE_MS = 150
/** After a port was found in use: some applications try the next one. */
const NEXT_PORT_MS = 3_000

export class Target {
  /** Resolves when the command has exited; never rejects. */
  readonly exited: Promise<TargetExit>
  readonly #group: ProcessGroup
  readonly #server: AgentServer
  readonly #folder: PrivateFolder
  readonly #graceMs: number
  readonly #phases: Phases
  readonly #onExit = () => this.killNow()
  #stopping: Promise<void> | undefined

  /** Resolves when it listens, rejects with a HastenError TARGET_* otherwise. */
  static async start(command: readonly string[], options: TargetOptions = {}): Promise<Target> {
    const { readyTimeoutMs = 30_000, graceMs = 5_000, signal } = options
    const cwd = resolve(options.cwd ?? process.cwd())
    const [executable, ...args] = command
    if (executable === undefined) {
      throw new HastenError(
        'OPTION_INVALID',
        'command must name what to start: hasten doctor -- node server.js',
      )
    }
    signal?.throwIfAborted()
    assertFolder(cwd)

    const folder = new PrivateFolder()
    const server = new AgentServer(folder)
    let group: ProcessGroup
    try {
      await server.open()
      group = new ProcessGroup(executable, args, {
        cwd,
        env: observedEnv(options.env ?? process.env, folder.socket),
        onLine: options.onLine ?? (() => {}),
      })
    } catch (error) {
      // Some failures spawn throws at once, such as a command line that is too long.
      server.close()
      folder.remove()
      throw notFound(command, cwd, error)
    }
    const target = new Target(group, server, folder, graceMs, options.onLook)
    try {
      await group.spawned.catch((error: unknown) => {
        throw notFound(command, cwd, error)
      })
      await target.#ready(command, readyTimeoutMs, signal)
      return target
    } catch (error) {
      await target.stop()
      throw error
    }
  }

  private constructor(
    group: ProcessGroup,
    server: AgentServer,
    folder: PrivateFolder,
    graceMs: number,
    onLook: OnLook | undefined,
  ) {
    this.#group = group
    this.#server = server
    this.#folder = folder
    this.#graceMs = graceMs
    this.#phases = new Phases(server, onLook)
    this.exited = group.exited.then((exit) => this.#describe(exit))
    process.once('exit', this.#onExit)
  }

  /** Pid of the command itself. */
  get pid(): number {
    return this.#group.pid ?? 0
  }

  /** TCP servers for HTTP of living processes, in order of appearance. */
  get listening(): readonly Listening[] {
    return this.#server.living.flatMap((link) =>
      link.listening
        .filter(({ port }) => port > 0)
        .map((each) => ({ ...each, pid: link.hello?.pid ?? 0 })),
    )
  }

  /** Last lines of its output, at most 200 of each stream. */
  output(stream: OutputStream): string[] {
    return this.#group[stream].last()
  }

  /** As far as the frameworks tell; asks again, since routes may be added while it runs. */
  async routes(): Promise<DiscoveredRoute[]> {
    await Promise.all(
      this.#server.living.map(async (link) => {
        const answer = await link.ask({ ask: 'routes' }, ASK_MS)
        if (answer !== undefined) link.routes = routesOf(answer)
      }),
    )
    const routes = this.#server.known.flatMap((link) => link.routes)
    return uniqueBy(routes, ({ method, pattern }) => `${method} ${pattern}`)
  }

  /** Databases that the application has connected to, or tried to. */
  databases(): Database[] {
    const all = this.#server.known.flatMap((link) => [...link.databases.values()])
    return uniqueBy(all, ({ host, port, database }) => `${host}\0${port}\0${database}`).map(
      (each) => ({ ...each, isLoopback: isLocalDatabase(each.host) }),
    )
  }

  seen(): Seen {
    const modules = uniqueBy(
      this.#server.known.flatMap((link) => link.modules),
      ({ path }) => path,
    )
    return { modules, nothingHooked: modules.length === 0 }
  }

  /** What a reader must know of the numbers: a process that was killed, or did not answer. */
  get warnings(): readonly string[] {
    return this.#phases.warnings
  }

  /** Totals of all processes start from 0. */
  beginPhase(options: PhaseOptions = {}): Promise<void> {
    return this.#phases.begin(options)
  }

  /** What was counted since `beginPhase`, by processes that have exited in between too. */
  takePhase(): Promise<Phase> {
    return this.#phases.take()
  }

  /** Every statement that a phase has met so far. */
  statements(): StatementFacts[] {
    return this.#phases.statements
  }

  /**
   * The one request that carried this trace id, once it has ended. Where one request in n is deep it
   * must be asked for before it ends; else the last 256 of each process are remembered.
   */
  async request(traceId: string, limitMs: number = REQUEST_MS): Promise<RequestFacts | undefined> {
    const question = { ask: 'request', traceId, waitMs: limitMs } as const
    const links = this.#server.living
    const answers = links.map(async (link) => {
      const facts = await link.ask(question, limitMs + 500)
      return facts === undefined || facts === null ? Promise.reject() : (facts as RequestFacts)
    })
    const found = await Promise.any(answers).catch(() => undefined)
    if (found !== undefined) return found
    // It may have brought its process down.
    const last = this.#server.known.flatMap((link) => link.final?.totals?.requests ?? [])
    return last.find((request) => request.traceId === traceId)
  }

  /** Starts a CPU profile of each process that serves. */
  async profileStart(): Promise<void> {
    await Promise.all(this.#serving().map((link) => link.ask({ ask: 'profile-start' }, ASK_MS)))
  }

  /** Ends it, and finds what blocked the event loop during these requests, sent one at a time. */
  async profileStop(requests: readonly RequestFacts[]): Promise<BlockFacts[]> {
    const places = new SourcePlaces()
    const found = await Promise.all(
      this.#serving().map(async (link) => {
        const facts = await link.ask({ ask: 'profile-stop' }, PROFILE_MS)
        const profile = isProfile(facts) ? readProfile(facts, OURS) : undefined
        if (profile === undefined) return []
        const own = requests.filter(({ pid }) => pid === link.hello?.pid)
        return findBlocks(profile, own, {
          placeOf: (file, line, column) => places.placeOf(file, line, column),
        })
      }),
    )
    // Workers of a cluster see the same function: the one that saw it most often speaks.
    const blocks = found.flat().sort((a, b) => a.seen - b.seen || a.ms - b.ms)
    return uniqueBy(
      blocks,
      (block) => `${block.method} ${block.route} ${block.file}:${block.line} ${block.function}`,
    ).sort((a, b) => b.ms - a.ms)
  }

  /** Plans by `EXPLAIN`, never `ANALYZE`; each statement by the first process that can. */
  async explain(ids: readonly string[]): Promise<PlanFacts[]> {
    const plans = new Map<string, PlanFacts>()
    for (const link of this.#server.living) {
      const open = ids.filter((id) => plans.get(id)?.plan === undefined)
      if (open.length === 0) break
      if (link.modules.length === 0) continue
      const answer = await link.ask({ ask: 'explain', ids: open }, EXPLAIN_MS)
      if (!Array.isArray(answer)) continue
      for (const plan of answer as PlanFacts[]) {
        if (plans.get(plan.statement)?.plan === undefined) plans.set(plan.statement, plan)
      }
    }
    return ids.map(
      (id) => plans.get(id) ?? { statement: id, error: 'no process could ask the planner' },
    )
  }

  /** SIGTERM, grace, SIGKILL of everything it started; returns when nothing is left. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  /** Synchronous, no grace. Called by the doctor's own `exit` event, whatever ends it. */
  killNow(): void {
    this.#group.killNow(this.#strays())
    this.#folder.remove()
  }

  async #stop(): Promise<void> {
    this.#phases.end()
    const left = await this.#group.stop(this.#graceMs, this.#strays())
    this.#server.close()
    this.#folder.remove()
    process.off('exit', this.#onExit)
    if (left.length === 0) return
    throw new HastenError(
      'TARGET_LEFT',
      `process ${left.join(', ')} did not end after SIGKILL. End it yourself: kill -9 ${left.join(' ')}`,
    )
  }

  #serving(): AgentLink[] {
    return this.#server.living.filter((link) => link.listening.length > 0)
  }

  /** Observed processes that may have left the group. A closed link's pid may be another's by now. */
  #strays(): number[] {
    const told = this.#server.living.flatMap((link) => (link.hello ? [link.hello.pid] : []))
    return told.filter((pid) => carries(pid, this.#folder.socket))
  }

  async #ready(
    command: readonly string[],
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const started = performance.now()
    let deadline = started + timeoutMs
    for (;;) {
      if (this.listening.length > 0) break
      const exit = this.#group.exit
      const isLate = performance.now() >= deadline
      if (exit !== undefined || isLate) {
        throw startFailure({
          command,
          group: this.#group,
          links: this.#server.known,
          waitedMs: timeoutMs,
          ...(exit === undefined ? {} : { exit }),
        })
      }
      if (portInUse({ links: this.#server.known, group: this.#group }) !== undefined) {
        deadline = Math.min(deadline, performance.now() + NEXT_PORT_MS)
      }
      await this.#news(deadline - performance.now(), signal)
      signal?.throwIfAborted()
    }
    await this.#settled(signal)
    this.#assertTransparent()
  }

  /** Until no further server has appeared for a moment. */
  async #settled(signal: AbortSignal | undefined): Promise<void> {
    for (let count = -1; count !== this.listening.length; ) {
      count = this.listening.length
      await this.#news(SETTLE_MS, signal, () => this.listening.length !== count)
      signal?.throwIfAborted()
    }
  }

  /** Resolves on news of any process, on exit, on abort, or after the limit; never rejects. */
  #news(limitMs: number, signal?: AbortSignal, isNews: () => boolean = () => true): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        unwatch()
        signal?.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, Math.max(0, limitMs))
      const unwatch = this.#server.watch(() => {
        if (isNews()) done()
      })
      signal?.addEventListener('abort', done, { once: true })
      void this.#group.exited.then(done)
    })
  }

  #assertTransparent(): void {
    if (!this.seen().nothingHooked) return
    for (const { hello } of this.#server.living.filter((link) => link.listening.length > 0)) {
      const libraries = hello === undefined || hello.main === '' ? [] : bundledInto(hello.main)
      if (libraries.length > 0) throw opaque(hello?.main ?? '', libraries)
    }
  }

  #describe(exit: Exit): TargetExit {
    const seen = this.#server.known.map((link) => link.crash).find((each) => each !== undefined)
    const isClean = exit.code === 0 || this.#stopping !== undefined
    const words = this.#group.stderr.last(20).join('\n').trim()
    const crash = seen === undefined ? (isClean ? '' : words) : crashText(seen)
    return crash === '' ? exit : { ...exit, crash }
  }
}

function crashText({ name, message, stack }: CrashFacts): string {
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line))
  return [`${name}: ${message}`, ...frames].join('\n')
}

function observedEnv(env: NodeJS.ProcessEnv, socket: string): NodeJS.ProcessEnv {
  // Not `--import`, see there.
  const preload = fileURLToPath(new URL('../../observe/agent/preload.cjs', import.meta.url))
  const options = [env['NODE_OPTIONS'] ?? '', `--require ${quoted(preload)}`].join(' ').trim()
  return {
    ...env,
    NODE_OPTIONS: options,
    HASTEN_AGENT: socket,
    // Hashes of values must be comparable between the processes of one run, and of no other.
    HASTEN_SALT: randomBytes(16).toString('hex'),
  }
}

/** As NODE_OPTIONS wants a path with spaces. */
function quoted(path: string): string {
  return /[\s"\\]/.test(path) ? `"${path.replaceAll(/["\\]/g, '\\$&')}"` : path
}

function assertFolder(cwd: string): void {
  // spawn reports a missing folder as ENOENT of the command, which sends the reader astray.
  if (statSync(cwd, { throwIfNoEntry: false })?.isDirectory() === true) return
  throw new HastenError('TARGET_NOT_FOUND', `the folder to start in does not exist: ${cwd}.`)
}

function isProfile(answer: unknown): answer is ProfileFacts {
  const { startMicros, startEpochMs, cwd } = (answer ?? {}) as Partial<ProfileFacts>
  return [startMicros, startEpochMs].every(Number.isFinite) && typeof cwd === 'string'
}

function uniqueBy<T>(list: readonly T[], key: (value: T) => string): T[] {
  return [...new Map(list.map((each) => [key(each), each])).values()]
}
