/**
 * Agent server: the doctor's end of the socket, one link for each observed process that calls.
 *
 * A process that exits closes its link; the link is kept, because what it told stays true (routes,
 * databases, a crash) and its last totals lie in a file. Bound: 4,096 processes in a run; later ones
 * are turned away, which they do not notice.
 */
import { chmodSync, readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { type FinalFacts, finalName } from '../../core/agent-wire.ts'
import { AgentLink, crashOf } from './agent-link.ts'
import type { PrivateFolder } from './private-folder.ts'

const MAX_LINKS = 4_096

export class AgentServer {
  readonly links: AgentLink[] = []
  readonly #server: Server
  readonly #folder: PrivateFolder
  readonly #watchers = new Set<() => void>()

  constructor(folder: PrivateFolder) {
    this.#folder = folder
    this.#server = createServer((socket) => {
      if (this.links.length >= MAX_LINKS) {
        socket.destroy()
        return
      }
      const link = new AgentLink(socket, {
        onNews: () => this.#changed(),
        onEnd: (ended) => {
          ended.final = this.#finalOf(ended)
          ended.crash ??= ended.final?.crash
          this.#changed()
        },
      })
      this.links.push(link)
    })
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.#folder.socket, resolve)
    })
    chmodSync(this.#folder.socket, 0o600)
  }

  /** Links that have said who they are. */
  get known(): AgentLink[] {
    return this.links.filter((link) => link.hello !== undefined)
  }

  get living(): AgentLink[] {
    return this.known.filter((link) => link.isOpen)
  }

  /** Calls `watcher` on any news of any process, until the returned function is called. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  close(): void {
    this.#server.close()
    for (const link of this.links) link.close()
  }

  /** It was written before the socket closed, or never will be. */
  #finalOf({ hello }: AgentLink): FinalFacts | undefined {
    if (hello === undefined) return undefined
    try {
      const file = this.#folder.file(finalName(hello.pid, hello.thread))
      const facts = JSON.parse(readFileSync(file, 'utf8')) as Partial<FinalFacts>
      const crash = crashOf(facts.crash)
      return {
        code: Number(facts.code ?? 0),
        ...(crash === undefined ? {} : { crash }),
        ...(facts.totals === undefined ? {} : { totals: facts.totals }),
      }
    } catch {
      return undefined
    }
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher()
  }
}
