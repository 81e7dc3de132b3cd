/**
 * Observed server: a real HTTP server whose handlers say what they do, in place of a process under
 * observation. What the safety rules are told is exactly what the handlers did.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ProbeDatabase, ProbeRoute, ProbeTarget } from '#src/cli/drive/index.js'
import type { Phase, RequestFacts, SpanFacts } from '#src/core/facts.js'

interface Running {
  readonly path: string
  readonly traceId: string
  readonly spans: SpanFacts[]
  readonly late: string[]
  route: string
  status: number
  ended: boolean
}

export class ObservedServer implements ProbeTarget {
  readonly asked: string[] = []
  databaseList: ProbeDatabase[] = []
  droppedSpans = 0
  isBlind = false
  readonly #routes: ProbeRoute[]
  readonly #storage = new AsyncLocalStorage<Running>()
  readonly #running: Running[] = []
  readonly #texts = new Map<string, string>()
  #told = new Map<string, string>()
  readonly #servers: Server[] = []

  constructor(routes: readonly (ProbeRoute | string)[]) {
    this.#routes = routes.map((route) =>
      typeof route === 'string' ? { method: 'GET', pattern: route, framework: 'fastify' } : route,
    )
  }

  /** Listens with `handler`; gives the origin. */
  async listen(
    handler: (request: IncomingMessage, response: ServerResponse) => void,
  ): Promise<string> {
    const server = createServer((request, response) => {
      const running: Running = {
        path: request.url ?? '',
        traceId: String(request.headers['traceparent']).split('-')[1] ?? '',
        spans: [],
        late: [],
        route: (request.url ?? '').split('?', 1).join(''),
        status: 0,
        ended: false,
      }
      this.#running.push(running)
      this.asked.push(`${request.method} ${request.url}`)
      response.on('close', () => {
        running.ended = true
        running.status = response.statusCode
      })
      this.#storage.run(running, () => handler(request, response))
    }).listen(0, '127.0.0.1')
    this.#servers.push(server)
    await once(server, 'listening')
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  /** A handler ran this statement. */
  query(text: string): void {
    const running = this.#storage.getStore() as Running
    const id = createHash('sha256').update(text).digest('hex').slice(0, 16)
    this.#texts.set(id, text)
    if (running.ended) running.late.push(id)
    else
      running.spans.push({ kind: 'query', name: 'query', startMs: 0, durationMs: 1, statement: id })
  }

  /** A statement ran that belongs to no request. */
  background(text: string): void {
    this.#texts.set(createHash('sha256').update(text).digest('hex').slice(0, 16), text)
  }

  /** A handler called this host. */
  call(host: string): void {
    const running = this.#storage.getStore() as Running
    running.spans.push({ kind: 'http', name: `GET ${host}`, startMs: 0, durationMs: 1, host })
  }

  /** The framework found this route. */
  found(route: string): void {
    ;(this.#storage.getStore() as Running).route = route
  }

  async routes(): Promise<readonly ProbeRoute[]> {
    return this.#routes
  }

  databases(): readonly ProbeDatabase[] {
    return this.databaseList
  }

  async request(traceId: string): Promise<RequestFacts | undefined> {
    const running = this.#running.find((each) => each.traceId === traceId)
    if (running === undefined || this.isBlind) return undefined
    return {
      id: 1,
      pid: 1,
      method: 'GET',
      route: running.route,
      status: running.status,
      aborted: false,
      startedAt: 0,
      durationMs: 1,
      concurrency: 1,
      traceId,
      deep: false,
      spans: running.spans,
      droppedSpans: this.droppedSpans,
    }
  }

  /** As with a real target: those that a phase has brought. */
  statements() {
    return [...this.#told].map(([id, text]) => ({ id, text }))
  }

  async beginPhase(): Promise<void> {}

  async takePhase(): Promise<Phase> {
    this.#told = new Map(this.#texts)
    const routes = this.#running.map(({ route, spans, late }) => ({
      method: 'GET',
      route,
      requests: 1,
      errors: 0,
      queries: spans.length,
      connects: 0,
      totalMs: 1,
      dbMs: 1,
      poolWaitMs: 0,
      connectMs: 0,
      httpMs: 0,
      responseBytes: 0,
      p50Ms: 1,
      p95Ms: 1,
      p99Ms: 1,
      statements: [...spans.flatMap(({ statement }) => statement ?? []), ...late].map(
        (statement) => ({
          statement,
          calls: 1,
          totalMs: 1,
          rows: 0,
          bytes: 0,
          errors: 0,
        }),
      ),
    }))
    return { seconds: 1, routes, requests: [], pools: [], processes: [] }
  }

  close(): void {
    for (const server of this.#servers) {
      server.close()
      server.closeAllConnections()
    }
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
