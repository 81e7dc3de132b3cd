/**
 * Agent server: the doctor's end of the socket, one link for each observed process that calls.
 *
 * A process that exits closes its link; the link is kept, because what it told stays true (routes,
 * databases, a crash) and its last totals lie in a file. Bound: 4,096 processes in a run; later ones
 * are turned away, which they do not notice.
 */
import { chmodSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { AgentLink } from './agent-link.ts'

const MAX_LINKS = 4_096

export class AgentServer {
  readonly links: AgentLink[] = []
  readonly #server: Server
  readonly #path: string
  readonly #watchers = new Set<() => void>()

  constructor(path: string) {
    this.#path = path
    this.#server = createServer((socket) => {
      if (this.links.length >= MAX_LINKS) {
        socket.destroy()
        return
      }
      const changed = () => this.#changed()
      this.links.push(new AgentLink(socket, { onNews: changed, onEnd: changed }))
    })
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.#path, resolve)
    })
    chmodSync(this.#path, 0o600)
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

  #changed(): void {
    for (const watcher of [...this.#watchers]) watcher()
  }
}
