/**
 * Sequence: requests one at a time, each under a trace id of its own.
 *
 * With nothing beside it, what a request costs is its own: no queue, no neighbour on the event loop.
 * The `traceparent` (W3C, sampled) lets the observed process say which request it was. A duration
 * counts from the moment the request is written, not from the moment a connection is opened for it.
 *
 * Redirects are not followed. Bodies are read to the end and kept up to `maxBodyBytes`. An answer
 * that does not end (server-sent events, long polling) is cut off:
 *
 *   headers ──── byte ── byte ──── byte ···· quiet for quietMs ─▶ endless
 *           └────────────────── at most streamMs ──────────────▶ endless
 */
import { randomBytes } from 'node:crypto'
import { Client, type Dispatcher } from 'undici'
import { kindOf } from './flight.ts'
import type { LoadErrorKind } from './load-result.ts'
import { isLoopback, originOf } from './origin.ts'
import type { PlannedRequest } from './planned-request.ts'

/** Headers of an answer that tell how to go on. */
const keptHeaders = ['content-type', 'content-length', 'location', 'www-authenticate', 'allow']

export interface SequenceOptions {
  readonly origin: string
  /** For each answer, from the moment it was asked for. @default 30,000 */
  readonly timeoutMs?: number | undefined
  /** Longest silence within a body. @default 2,000 */
  readonly quietMs?: number | undefined
  /** Longest body, from the headers to the last byte. @default 10,000 */
  readonly streamMs?: number | undefined
  /** Kept of a body; the rest is counted and dropped. @default 1 MB */
  readonly maxBodyBytes?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface Answer {
  readonly request: PlannedRequest
  /** 32 hex digits. */
  readonly traceId: string
  /** 0 where no answer came. */
  readonly status: number
  readonly durationMs: number
  readonly bytes: number
  /** Lower-case names; only those that tell how to go on. */
  readonly headers: Readonly<Record<string, string>>
  /** As text, at most `maxBodyBytes` of it. */
  readonly body: string
  readonly isBodyComplete: boolean
  readonly error?: LoadErrorKind | 'endless'
  /** Of the client's error, where there was one. */
  readonly errorMessage?: string
}

export class Sequence {
  readonly #options: SequenceOptions
  readonly #client: Client

  constructor(options: SequenceOptions) {
    this.#options = options
    const origin = originOf(options.origin)
    const timeout = options.timeoutMs ?? 30_000
    this.#client = new Client(origin, {
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout, rejectUnauthorized: !isLoopback(new URL(origin).hostname) },
    })
  }

  /** Never rejects for what the server does; rejects with the signal's reason once it has fired. */
  async ask(request: PlannedRequest): Promise<Answer> {
    this.#options.signal?.throwIfAborted()
    const traceId = randomBytes(16).toString('hex')
    const traceparent = `00-${traceId}-${randomBytes(8).toString('hex')}-01`
    const question = new Question(request, traceId, this.#options)
    this.#client.dispatch(
      {
        method: request.method,
        path: request.path,
        headers: { ...request.headers, traceparent },
        body: request.body ?? null,
      },
      question,
    )
    return question.answer
  }

  async close(): Promise<void> {
    await this.#client.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

/** Asks `requests` in order. Where the signal fires, the answers until then. */
export async function runSequence(
  requests: readonly PlannedRequest[],
  options: SequenceOptions & { readonly onAnswer?: (answer: Answer, index: number) => void },
): Promise<Answer[]> {
  const sequence = new Sequence(options)
  const answers: Answer[] = []
  try {
    for (const [index, request] of requests.entries()) {
      const answer = await sequence.ask(request)
      answers.push(answer)
      options.onAnswer?.(answer, index)
    }
    return answers
  } catch (error) {
    if (options.signal?.aborted === true) return answers
    throw error
  } finally {
    await sequence.close()
  }
}

class Question implements Dispatcher.DispatchHandler {
  readonly answer: Promise<Answer>
  readonly #request: PlannedRequest
  readonly #traceId: string
  readonly #signal: AbortSignal | undefined
  readonly #quietMs: number
  readonly #streamMs: number
  readonly #maxBodyBytes: number
  readonly #timeout: NodeJS.Timeout
  readonly #onAbort = () => this.#refuse(this.#signal?.reason)
  #stream: NodeJS.Timeout | undefined
  #quiet: NodeJS.Timeout | undefined
  #controller: Dispatcher.DispatchController | undefined
  #startMs = performance.now()
  #status = 0
  #headers: Record<string, string> = {}
  #bytes = 0
  #keptBytes = 0
  readonly #chunks: Buffer[] = []
  #isOver = false
  #resolve!: (answer: Answer) => void
  #reject!: (reason: unknown) => void

  constructor(request: PlannedRequest, traceId: string, options: SequenceOptions) {
    this.#request = request
    this.#traceId = traceId
    this.#signal = options.signal
    this.#quietMs = options.quietMs ?? 2000
    this.#streamMs = options.streamMs ?? 10_000
    this.#maxBodyBytes = options.maxBodyBytes ?? 2 ** 20
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#timeout = setTimeout(() => this.#cut('timeout'), options.timeoutMs ?? 30_000)
    this.#signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    this.#startMs = performance.now()
    if (this.#isOver) controller.abort(new Error('given up'))
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200 || this.#isOver) return
    this.#status = status
    this.#headers = Object.fromEntries(
      keptHeaders.flatMap((name) => (headers[name] ? [[name, String(headers[name])]] : [])),
    )
    if (
      /^(?:text\/event-stream|multipart\/x-mixed-replace)/.test(this.#headers['content-type'] ?? '')
    ) {
      this.#cut('endless')
      return
    }
    this.#stream = setTimeout(() => this.#cut('endless'), this.#streamMs)
    this.#quiet = setTimeout(() => this.#cut('endless'), this.#quietMs)
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#quiet?.refresh()
    this.#bytes += chunk.length
    const room = this.#maxBodyBytes - this.#keptBytes
    if (room <= 0) return
    // A copy: the chunk is a view of a buffer that the client reads into again.
    const kept = Buffer.from(chunk.subarray(0, room))
    this.#keptBytes += kept.length
    this.#chunks.push(kept)
  }

  onResponseEnd(): void {
    this.#land()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#land(kindOf(error, this.#controller !== undefined), error.message)
  }

  #cut(error: 'timeout' | 'endless'): void {
    this.#land(error)
    this.#controller?.abort(new Error(error))
  }

  #refuse(reason: unknown): void {
    if (this.#isOver) return
    this.#clear()
    this.#reject(reason)
    this.#controller?.abort(new Error('aborted'))
  }

  #land(error?: LoadErrorKind | 'endless', errorMessage?: string): void {
    if (this.#isOver) return
    this.#clear()
    this.#resolve({
      request: this.#request,
      traceId: this.#traceId,
      status: this.#status,
      durationMs: performance.now() - this.#startMs,
      bytes: this.#bytes,
      headers: this.#headers,
      body: Buffer.concat(this.#chunks).toString('utf8'),
      isBodyComplete: error === undefined && this.#keptBytes === this.#bytes,
      ...(error !== undefined && { error }),
      ...(errorMessage !== undefined && { errorMessage }),
    })
  }

  #clear(): void {
    this.#isOver = true
    clearTimeout(this.#timeout)
    clearTimeout(this.#stream)
    clearTimeout(this.#quiet)
    this.#signal?.removeEventListener('abort', this.#onAbort)
  }
}
