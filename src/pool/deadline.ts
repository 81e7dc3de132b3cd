import { defaultMaxListeners, getMaxListeners, setMaxListeners } from 'node:events'
import { HastenError } from '../core/errors.ts'
import { type CallOptions, deadlineOf, signalOf } from './pool-options.ts'

export type GiveUp = (error: HastenError, count: 'timedOut' | 'aborted') => void

/**
 * Starts the deadline that a caller gave, or `queryTimeoutMs` in its place; 0 is none.
 *
 * Returns what clears it. `giveUp` is called before that where the signal is aborted already.
 */
export function limitBy(
  options: CallOptions,
  queryTimeoutMs: number,
  giveUp: GiveUp,
): (() => void) | undefined {
  const isOwn = options.timeoutMs == null && queryTimeoutMs > 0
  const timeoutMs = isOwn ? queryTimeoutMs : deadlineOf(options.timeoutMs)
  const signal = signalOf(options.signal)
  if (timeoutMs === undefined && signal === undefined) return undefined
  const deadline = new Deadline(timeoutMs, signal, isOwn ? QUERY_READ_TIMEOUT : undefined, giveUp)
  deadline.start()
  return () => deadline.clear()
}

/** Ends a call or a wait when its time is over or its signal says so, whichever is first. */
class Deadline {
  readonly #timeoutMs: number | undefined
  readonly #signal: AbortSignal | undefined
  readonly #text: string | undefined
  readonly #giveUp: GiveUp
  #timer: NodeJS.Timeout | undefined

  constructor(
    timeoutMs: number | undefined,
    signal: AbortSignal | undefined,
    /** In place of the usual words. */
    text: string | undefined,
    giveUp: GiveUp,
  ) {
    this.#timeoutMs = timeoutMs
    this.#signal = signal
    this.#text = text
    this.#giveUp = giveUp
  }

  start(): void {
    if (this.#signal?.aborted) {
      this.#aborted()
      return
    }
    if (this.#signal !== undefined) {
      allowMany(this.#signal)
      this.#signal.addEventListener('abort', this.#aborted, { once: true })
    }
    if (this.#timeoutMs === undefined) return
    this.#timer = setTimeout(() => {
      this.clear()
      const text =
        this.#text ?? `the statement had no answer after ${this.#timeoutMs} ms (timeoutMs)`
      this.#giveUp(new HastenError('STATEMENT_TIMEOUT', text), 'timedOut')
    }, this.#timeoutMs)
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#signal?.removeEventListener('abort', this.#aborted)
  }

  readonly #aborted = () => {
    this.clear()
    const error = new HastenError('STATEMENT_ABORTED', 'the statement was aborted by its signal', {
      cause: this.#signal?.reason,
    })
    this.#giveUp(error, 'aborted')
  }
}

/** In the words of `pg`. */
export const QUERY_READ_TIMEOUT = 'Query read timeout'

/** As many statements as a request may ask at once, before Node warns of a leak; as `fetch` does. */
const MOST_LISTENERS = 1_500

function allowMany(signal: AbortSignal): void {
  if (getMaxListeners(signal) === defaultMaxListeners) setMaxListeners(MOST_LISTENERS, signal)
}
