/**
 * The progress line: what is going on while the doctor or compare works.
 *
 * On a terminal one line, written over again and again, and gone when the report comes; elsewhere,
 * in a log, a line when the step changes and then now and again, so that nobody thinks it hangs
 * and no log drowns. It goes to stderr: stdout is for the result alone.
 *
 * It has no timer of its own: it writes when it is told something, and forgets what comes too soon.
 */
import { type Clock, monotonic } from '../core/clock.ts'
import { clip, printable } from './terminal-text.ts'

export interface ProgressStream {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
  write(text: string): unknown
}

export interface ProgressOptions {
  /** @default process.stderr */
  readonly stream?: ProgressStream | undefined
  /** @default performance */
  readonly clock?: Clock | undefined
}

const LIVE_EVERY_MS = 80
const LOG_EVERY_MS = 10_000
const CLEAR = '\r\u001b[2K'

export class Progress {
  readonly #stream: ProgressStream
  readonly #clock: Clock
  readonly #isLive: boolean
  #step = ''
  #writtenAt = Number.NEGATIVE_INFINITY
  #isShown = false

  constructor({ stream = process.stderr, clock = monotonic }: ProgressOptions = {}) {
    this.#stream = stream
    this.#clock = clock
    this.#isLive = stream.isTTY === true && process.env['TERM'] !== 'dumb'
  }

  /** `step` is what is done (`driving the routes`), `detail` how far it is. */
  update(step: string, detail = ''): void {
    const now = this.#clock.now()
    const isNew = step !== this.#step
    const pauseMs = this.#isLive ? LIVE_EVERY_MS : LOG_EVERY_MS
    if (!isNew && now - this.#writtenAt < pauseMs) return
    this.#step = step
    this.#writtenAt = now
    const line = printable(detail === '' ? step : `${step} · ${detail}`)
    if (this.#isLive) {
      // One cell less than there are: a full line would wrap, and could not be written over.
      this.#stream.write(CLEAR + clip(line, Math.max(10, (this.#stream.columns ?? 80) - 1)))
      this.#isShown = true
    } else this.#stream.write(`${line}\n`)
  }

  /** A line that stays, above the live one. */
  say(text: string): void {
    this.clear()
    this.#stream.write(`${printable(text)}\n`)
  }

  /** Removes the live line; to be called before anything else is printed. */
  clear(): void {
    if (this.#isShown) this.#stream.write(CLEAR)
    this.#isShown = false
    this.#writtenAt = Number.NEGATIVE_INFINITY
  }
}
