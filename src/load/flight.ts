/**
 * Flight: one request on its way, from the moment it was due to the last byte of its answer.
 *
 * A handler of undici's `dispatch`, the lowest door of that client: no promise, no stream, no body
 * kept. It lands exactly once, whatever comes in which order; what comes later is ignored.
 */
import type { Dispatcher } from 'undici'
import type { LoadErrorKind } from './load-result.ts'

export interface Landing {
  onAnswer(flight: Flight, status: number, bytes: number): void
  onFailure(flight: Flight, kind: LoadErrorKind): void
}

export class Flight implements Dispatcher.DispatchHandler {
  /** Index of the request in the plan. */
  readonly request: number
  readonly dueMs: number
  readonly #landing: Landing
  #controller: Dispatcher.DispatchController | undefined
  #status = 0
  #bytes = 0
  #landed = false

  constructor(request: number, dueMs: number, landing: Landing) {
    this.request = request
    this.dueMs = dueMs
    this.#landing = landing
  }

  /** Gives up: lands as `kind` now, and cuts the connection. */
  giveUp(kind: LoadErrorKind): void {
    if (this.#landed) return
    this.#fail(kind)
    this.#controller?.abort(new Error('given up'))
  }

  /** Cuts the connection without landing: nobody counts it. */
  forget(): void {
    this.#landed = true
    this.#controller?.abort(new Error('forgotten'))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    // Given up while it still waited for its connection.
    if (this.#landed) controller.abort(new Error('given up'))
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    // 1xx come before the answer proper.
    if (status >= 200) this.#status = status
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length
  }

  onResponseEnd(): void {
    if (this.#landed) return
    this.#landed = true
    this.#landing.onAnswer(this, this.#status, this.#bytes)
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (!this.#landed) this.#fail(kindOf(error, this.#controller !== undefined))
  }

  #fail(kind: LoadErrorKind): void {
    this.#landed = true
    this.#landing.onFailure(this, kind)
  }
}

/** What went wrong, by the code of undici's or the system's error. */
export function kindOf(error: Error, hadConnection: boolean): LoadErrorKind {
  const code = (error as NodeJS.ErrnoException).code ?? ''
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return 'timeout'
  if (!hadConnection) return 'connect'
  if (error.name === 'HTTPParserError' || code === 'UND_ERR_HEADERS_OVERFLOW') return 'protocol'
  return 'reset'
}
