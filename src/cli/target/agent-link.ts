/**
 * Agent link: the doctor's view of one observed process (or worker thread of one).
 *
 * It keeps what the process has told by itself and carries questions to it. A process whose event
 * loop is blocked answers late: every question has a limit, after which the answer is `undefined`
 * and the caller reports without this process. A process that has gone answers `undefined` at once.
 *
 * What comes over the socket is judged before it is believed: it is made by the process that is
 * being examined, and that may be anything.
 */
import type { Socket } from 'node:net'
import {
  type Ask,
  type CrashFacts,
  type DatabaseFacts,
  type DiscoveredRoute,
  type FinalFacts,
  type HelloFacts,
  type ListeningFacts,
  maxLineBytes,
  type ModuleFacts,
  wireVersion,
} from '../../core/agent-wire.ts'
import { JsonLines } from '../../core/json-lines.ts'

/** Bound for each list that a process can make longer by talking. */
const MAX_KEPT = 10_000

export interface AgentLinkEvents {
  /** Something became known: hello, listening, a crash … Called often, cheap to ignore. */
  readonly onNews: (link: AgentLink) => void
  readonly onEnd: (link: AgentLink) => void
}

export interface KnownDatabase extends DatabaseFacts {
  /** Why it could not be reached when last tried: `ECONNREFUSED`. */
  readonly away?: string
}

export class AgentLink {
  hello: HelloFacts | undefined
  readonly listening: ListeningFacts[] = []
  readonly listenErrors: (ListeningFacts & { readonly code: string })[] = []
  readonly modules: ModuleFacts[] = []
  /** By address and name, as last heard. */
  readonly databases: Map<string, KnownDatabase> = new Map()
  routes: readonly DiscoveredRoute[] = []
  crash: CrashFacts | undefined
  /** What it counted in its last moment, where it exited by itself. Set when the link ends. */
  final: FinalFacts | undefined
  readonly #socket: Socket
  readonly #events: AgentLinkEvents
  readonly #lines: JsonLines
  readonly #waiting = new Map<number, (value: unknown) => void>()
  #lastId = 0
  #refused = 0
  #isOpen = true

  constructor(socket: Socket, events: AgentLinkEvents) {
    this.#socket = socket
    this.#events = events
    this.#lines = new JsonLines({
      maxBytes: maxLineBytes,
      onDocument: (document) => this.#hear(document),
    })
    socket.on('data', (chunk) => this.#lines.write(chunk))
    // An error is always followed by `close`; what there is to say is that the process is gone.
    socket.on('error', () => {})
    socket.on('close', () => this.#end())
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Lines that were no message of the wire. */
  get garbage(): number {
    return this.#lines.garbage + this.#refused
  }

  /** Resolves to the answer, or to `undefined` when there is none within the limit. Never rejects. */
  ask(question: Ask, limitMs: number): Promise<unknown> {
    if (!this.#isOpen || this.hello === undefined) return Promise.resolve(undefined)
    this.#lastId += 1
    const id = this.#lastId
    return new Promise((resolve) => {
      const land = (value: unknown) => {
        clearTimeout(timer)
        this.#waiting.delete(id)
        resolve(value)
      }
      const timer = setTimeout(land, limitMs, undefined)
      this.#waiting.set(id, land)
      this.#socket.write(`${JSON.stringify({ ...question, id })}\n`)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #end(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    for (const land of this.#waiting.values()) land(undefined)
    this.#events.onEnd(this)
  }

  #hear(message: Record<string, unknown>): void {
    if (this.hello === undefined) {
      const hello = helloOf(message)
      if (hello === undefined) this.#refused += 1
      else this.hello = hello
    } else if (!this.#learn(message)) {
      this.#refused += 1
      return
    }
    this.#events.onNews(this)
  }

  /** Returns whether it was a message of the wire. */
  #learn(message: Record<string, unknown>): boolean {
    switch (message['tell']) {
      case 'listening':
        return keep(this.listening, listeningOf(message))
      case 'listen-error':
        return keep(this.listenErrors, withCode(listeningOf(message), message))
      case 'module':
        return keep(this.modules, moduleOf(message))
      case 'database':
        return this.#knows(databaseOf(message))
      case 'database-away': {
        const { code, ...facts } = withCode(databaseOf(message), message) ?? {}
        return this.#knows(
          code === undefined ? undefined : { ...(facts as DatabaseFacts), away: code },
        )
      }
      case 'routes':
        this.routes = routesOf(message['routes'])
        return true
      case 'crash':
        this.crash = crashOf(message)
        return this.crash !== undefined
      case 'reply':
        return this.#answered(message)
      default:
        return false
    }
  }

  #knows(database: KnownDatabase | undefined): boolean {
    if (database === undefined) return false
    const key = JSON.stringify([database.host, database.port, database.database])
    if (this.databases.size < MAX_KEPT) this.databases.set(key, database)
    return true
  }

  #answered({ id, value }: Record<string, unknown>): boolean {
    // Nobody waits for an answer that came after its limit: that is no garbage.
    if (typeof id !== 'number' || id > this.#lastId) return false
    this.#waiting.get(id)?.(value)
    return true
  }
}

export function routesOf(value: unknown): DiscoveredRoute[] {
  if (!Array.isArray(value)) return []
  return value.slice(0, MAX_KEPT).flatMap((each: unknown) => {
    const { method, pattern, framework } = (each ?? {}) as Record<string, unknown>
    const isRoute = isText(method) && isText(pattern) && isText(framework)
    return isRoute ? [{ method, pattern, framework }] : []
  })
}

export function crashOf(value: unknown): CrashFacts | undefined {
  const { name, message, code, stack } = (value ?? {}) as Record<string, unknown>
  if (!isText(name) || !isText(message) || !isText(stack)) return undefined
  return { name, message, stack, ...(isText(code) ? { code } : {}) }
}

function keep<T>(list: T[], value: T | undefined): boolean {
  if (value === undefined) return false
  if (list.length < MAX_KEPT) list.push(value)
  return true
}

function helloOf(message: Record<string, unknown>): HelloFacts | undefined {
  const { tell, wire, pid, ppid, thread, node, main, cwd } = message
  if (tell !== 'hello' || wire !== wireVersion) return undefined
  if (!isCount(pid) || !isCount(ppid) || !isCount(thread)) return undefined
  if (!isText(node) || !isText(main) || !isText(cwd)) return undefined
  return { wire, pid, ppid, thread, node, main, cwd }
}

function listeningOf({ host, port, protocol }: Record<string, unknown>) {
  const isKnown = protocol === 'http' || protocol === 'https'
  return isText(host) && isCount(port) && isKnown
    ? ({ host, port, protocol } satisfies ListeningFacts)
    : undefined
}

function moduleOf({ name, version, path }: Record<string, unknown>): ModuleFacts | undefined {
  return isText(name) && isText(version) && isText(path) ? { name, version, path } : undefined
}

function databaseOf({ host, port, database }: Record<string, unknown>): DatabaseFacts | undefined {
  return isText(host) && isCount(port) && isText(database) ? { host, port, database } : undefined
}

function withCode<T>(facts: T | undefined, { code }: Record<string, unknown>) {
  return facts !== undefined && isText(code) ? { ...facts, code } : undefined
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0
}
