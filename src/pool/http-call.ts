/**
 * One HTTP request through the pool, over all of its attempts.
 *
 *            ┌────────────── queued ◀─────────────┐
 *   begin ───┤                 │                  │ its wait is over
 *            └─────────────▶ running ──failed──▶ resting
 *                              │
 *                              └──────▶ settled: response handed on, or an error
 *
 * To undici it is the handler of each attempt; to the caller's handler it is the controller, one and
 * the same over all attempts. So the caller can give up at any time: in the queue or resting it leaves
 * at once, which undici's own queue does not know.
 *
 * A response that will be retried is read to its end, so that the connection can be used again, but
 * not for more than 64 kB.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import {
  type HttpRetryPolicy,
  isRepeatable,
  isRetriedError,
  isRetriedStatus,
  retryWaitMs,
} from './http-retry.ts'

/** Where a call runs. */
export interface CallPlace {
  /** Starts the call, now or later, or refuses it. */
  enter(call: HttpCall): void
  /** It enters again after a while. */
  rest(call: HttpCall): void
  /** Neither waits nor rests any more. */
  forget(call: HttpCall): void
  /** Its connection is free again. */
  left(call: HttpCall): void
  /** Pays for a retry. */
  mayRetry(): boolean
}

const MOST_SWALLOWED_BYTES = 64 * 1024

export class HttpCall implements Dispatcher.DispatchHandler, Dispatcher.DispatchController {
  readonly options: Dispatcher.DispatchOptions
  readonly #handler: Dispatcher.DispatchHandler
  readonly #place: CallPlace
  readonly #policy: HttpRetryPolicy | undefined
  #state: 'queued' | 'running' | 'resting' | 'settled' = 'queued'
  #target: Dispatcher.DispatchController | undefined
  #tries = 0
  /** Attempts whose connection is free again. */
  #left = 0
  #isHandedOn = false
  /** Of a response that will be tried again: how long to rest. */
  #restMs: number | undefined
  #swallowedBytes = 0
  #timer: NodeJS.Timeout | undefined
  #isPaused = false
  #aborted: Error | undefined

  constructor(
    options: Dispatcher.DispatchOptions,
    handler: Dispatcher.DispatchHandler,
    place: CallPlace,
    policy: HttpRetryPolicy | undefined,
  ) {
    this.options = options
    this.#handler = handler
    this.#place = place
    this.#policy = policy
  }

  begin(): void {
    this.#handler.onRequestStart?.(this, {})
    if (this.#state === 'queued') this.#place.enter(this)
  }

  /** A connection is there. */
  run(dispatcher: Dispatcher): void {
    this.#state = 'running'
    this.#target = undefined
    this.#restMs = undefined
    this.#swallowedBytes = 0
    this.#tries++
    try {
      dispatcher.dispatch(this.options, this)
    } catch (error) {
      this.onResponseError(undefined, error as Error)
    }
  }

  refuse(error: Error): void {
    clearTimeout(this.#timer)
    this.#settle(error)
  }

  // The handler that undici sees.

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#target = controller
    if (this.#aborted !== undefined) controller.abort(this.#aborted)
    else if (this.#isPaused) controller.pause()
  }

  onRequestUpgrade(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    socket: Duplex,
  ): void {
    this.#leave()
    if (this.#state === 'settled') {
      socket.destroy()
      return
    }
    this.#state = 'settled'
    this.#handler.onRequestUpgrade?.(this, status, headers, socket)
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    message?: string,
  ): void {
    if (this.#state === 'settled') return
    if (status >= 200) {
      if (isRetriedStatus(this.options.method, status)) this.#restMs = this.#retryWait(headers)
      if (this.#restMs !== undefined) return
      this.#isHandedOn = true
    }
    this.#handler.onResponseStart?.(this, status, headers, message)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#state === 'settled') return
    if (this.#restMs === undefined) {
      this.#handler.onResponseData?.(this, chunk)
      return
    }
    this.#swallowedBytes += chunk.length
    if (this.#swallowedBytes > MOST_SWALLOWED_BYTES) controller.abort(new Error('not needed'))
  }

  onResponseEnd(_controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    this.#leave()
    if (this.#state === 'settled') return
    if (this.#restMs !== undefined) this.#rest(this.#restMs)
    else {
      this.#state = 'settled'
      this.#handler.onResponseEnd?.(this, trailers)
    }
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.#leave()
    if (this.#state === 'settled') return
    if (this.#aborted === undefined) {
      const restMs =
        this.#restMs ??
        (isRetriedError(this.options.method, error) ? this.#retryWait(undefined) : undefined)
      if (restMs !== undefined) {
        this.#rest(restMs)
        return
      }
    }
    this.#settle(this.#aborted ?? error)
  }

  // The controller that the caller sees.

  get aborted(): boolean {
    return this.#aborted !== undefined
  }

  get reason(): Error | null {
    return this.#aborted ?? null
  }

  get paused(): boolean {
    return this.#isPaused
  }

  get rawHeaders(): NonNullable<Dispatcher.DispatchController['rawHeaders']> | null {
    return this.#target?.rawHeaders ?? null
  }

  get rawTrailers(): NonNullable<Dispatcher.DispatchController['rawTrailers']> | null {
    return this.#target?.rawTrailers ?? null
  }

  pause(): void {
    this.#isPaused = true
    this.#target?.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#target?.resume()
  }

  abort(reason: Error): void {
    if (this.#state === 'settled' || this.#aborted !== undefined) return
    this.#aborted = reason
    if (this.#state === 'running' && this.#target !== undefined) {
      this.#target.abort(reason)
      return
    }
    // Queued, resting, or its connection is just being made: the slot is free once that has ended.
    this.#place.forget(this)
    clearTimeout(this.#timer)
    this.#settle(reason)
  }

  /** Once for each attempt. */
  #leave(): void {
    if (this.#tries === this.#left) return
    this.#left = this.#tries
    this.#place.left(this)
  }

  #retryWait(headers: IncomingHttpHeaders | undefined): number | undefined {
    const policy = this.#policy
    if (policy === undefined || this.#isHandedOn || this.#tries > policy.max) return undefined
    if (!isRepeatable(this.options.body)) return undefined
    const waitMs = retryWaitMs(policy, this.#tries, headers)
    return waitMs !== undefined && this.#place.mayRetry() ? waitMs : undefined
  }

  #rest(ms: number): void {
    this.#state = 'resting'
    this.#place.rest(this)
    this.#timer = setTimeout(() => {
      this.#state = 'queued'
      this.#place.enter(this)
    }, ms)
  }

  #settle(error: Error): void {
    if (this.#state === 'settled') return
    this.#state = 'settled'
    this.#handler.onResponseError?.(this, error)
  }
}
