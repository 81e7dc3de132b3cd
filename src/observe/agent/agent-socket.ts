/**
 * Agent socket: the observed process's end of the line to the doctor.
 *
 * It lives inside somebody else's application, so it must be as if it were not there:
 *
 *   1. It never keeps the process alive: the socket is unref'd, and where a write hangs because the
 *      doctor does not read (that would hold the event loop open), the line is cut.
 *   2. It never throws and never waits: what does not fit into the queue is dropped and counted.
 *   3. When the doctor has gone, also by kill -9, it falls silent for good. No attempt to reconnect.
 */
import { connect, type Socket } from 'node:net'
import { type Asked, maxLineBytes, type Tell } from '../../core/agent-wire.ts'
import { JsonLines } from '../../core/json-lines.ts'

/** Full at this many bytes that the doctor has not taken yet. */
const MAX_QUEUED = 8 * 2 ** 20
const STALL_MS = 10_000

export class AgentSocket {
  readonly #socket: Socket
  #isOpen = true
  #dropped = 0
  #stall: NodeJS.Timeout | undefined

  constructor(path: string, onAsk: (asked: Asked) => void) {
    const lines = new JsonLines({
      maxBytes: maxLineBytes,
      onDocument: (document) => onAsk(document as unknown as Asked),
    })
    const socket = connect(path)
    this.#socket = socket
    socket.unref()
    socket.on('data', (chunk) => lines.write(chunk))
    socket.on('error', () => this.close())
    socket.on('close', () => this.close())
    socket.on('drain', () => this.#calm())
  }

  /** Messages that found the queue full. */
  get dropped(): number {
    return this.#dropped
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  tell(message: Tell): void {
    if (!this.#isOpen) return
    if (this.#socket.writableLength > MAX_QUEUED) {
      this.#dropped += 1
      return
    }
    try {
      if (this.#socket.write(`${JSON.stringify(message)}\n`)) return
      this.#stall ??= setTimeout(() => this.close(), STALL_MS).unref()
    } catch {
      this.#dropped += 1
    }
  }

  close(): void {
    this.#isOpen = false
    this.#calm()
    this.#socket.destroy()
  }

  #calm(): void {
    clearTimeout(this.#stall)
    this.#stall = undefined
  }
}
