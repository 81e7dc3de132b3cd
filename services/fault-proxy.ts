/**
 * Fault proxy: a TCP relay in this process that does to a connection what networks and hosts do.
 *
 *   client ⇄ [ front │ pipe → │ back ] ⇄ server
 *            [       │ ← pipe │      ]
 *
 * Each direction is a pipe: chunks wait in line until their delay is over and nobody stalls them.
 * What is switched on holds for connections that are open and for those to come, until `heal`.
 *
 *   delay        every chunk arrives that much later, in order
 *   stall        nothing arrives, nothing is said: to both ends, packets are lost
 *   halfOpen     the server's side is closed, the client is not told: a host that lost power
 *   reset        RST to both ends of every connection
 *   refuse       nobody listens: ECONNREFUSED
 *   slowAccept   connected at once (by the kernel, as ever), served later
 *   cutAfter     RST once so many bytes of the server's were handed on: in mid-message
 *
 * A pipe holds at most `MAX_HELD_BYTES` and then reads no more, so that a stalled sender is blocked
 * as by TCP itself.
 */
import { once } from 'node:events'
import { createConnection, createServer, type Server, type Socket } from 'node:net'

export interface FaultProxyTarget {
  readonly host: string
  readonly port: number
}

interface Faults {
  delayMs: number
  isStalled: boolean
  slowAcceptMs: number
  /** Undefined: never. */
  cutAfterBytes: number | undefined
}

const MAX_HELD_BYTES = 2 ** 20

export class FaultProxy {
  readonly host = '127.0.0.1'
  readonly #target: FaultProxyTarget
  readonly #faults: Faults = {
    delayMs: 0,
    isStalled: false,
    slowAcceptMs: 0,
    cutAfterBytes: undefined,
  }
  readonly #open = new Set<Relay>()
  #server: Server | undefined
  #port = 0
  #accepted = 0

  private constructor(target: FaultProxyTarget) {
    this.#target = target
  }

  static async start(target: FaultProxyTarget): Promise<FaultProxy> {
    const proxy = new FaultProxy(target)
    await proxy.accept()
    return proxy
  }

  get port(): number {
    return this.#port
  }

  /** Connections of clients that are open now, those included whose server is gone. */
  get connections(): number {
    return this.#open.size
  }

  /** Since the start. */
  get accepted(): number {
    return this.#accepted
  }

  /** `url` with the proxy's address in it. */
  url(url: string): string {
    const through = new URL(url)
    through.host = `${this.host}:${this.#port}`
    return through.href
  }

  delay(delayMs: number): void {
    this.#faults.delayMs = delayMs
  }

  stall(): void {
    this.#faults.isStalled = true
  }

  /** What was held arrives now. */
  resume(): void {
    this.#faults.isStalled = false
    for (const relay of this.#open) relay.pump()
  }

  halfOpen(): void {
    for (const relay of this.#open) relay.loseServer()
  }

  reset(): void {
    for (const relay of this.#open) relay.reset()
  }

  refuse(): void {
    // Its event `close` would wait for the open connections, which go on; the port is free at once.
    this.#server?.close()
    this.#server = undefined
  }

  /** After `refuse`: on the same port. */
  async accept(): Promise<void> {
    if (this.#server !== undefined) return
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true })
    server.on('connection', (front) => this.#relay(front))
    server.listen(this.#port, this.host)
    await once(server, 'listening')
    this.#server = server
    this.#port = (server.address() as { port: number }).port
  }

  slowAccept(ms: number): void {
    this.#faults.slowAcceptMs = ms
  }

  /** Counted on each connection from its next byte on. */
  cutAfter(bytes: number): void {
    this.#faults.cutAfterBytes = bytes
    for (const relay of this.#open) relay.countAnew()
  }

  /** No more faults: but what was lost stays lost. */
  async heal(): Promise<void> {
    this.#faults.delayMs = 0
    this.#faults.slowAcceptMs = 0
    this.#faults.cutAfterBytes = undefined
    this.resume()
    await this.accept()
  }

  async stop(): Promise<void> {
    const closed = [...this.#open].map((relay) => relay.closed)
    this.refuse()
    this.reset()
    await Promise.all(closed)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  #relay(front: Socket): void {
    this.#accepted++
    const relay = new Relay(front, this.#target, this.#faults)
    this.#open.add(relay)
    front.once('close', () => this.#open.delete(relay))
  }
}

class Relay {
  readonly closed: Promise<unknown>
  readonly #front: Socket
  readonly #target: FaultProxyTarget
  readonly #faults: Faults
  readonly #timer: NodeJS.Timeout
  #back: Socket | undefined
  #pipes: readonly Pipe[] = []
  #isServerLost = false
  #toClient = 0

  constructor(front: Socket, target: FaultProxyTarget, faults: Faults) {
    this.#front = front
    this.#target = target
    this.#faults = faults
    // Without a listener an error ends the process; 'close' follows.
    front.on('error', () => {})
    this.#timer = setTimeout(() => this.#connect(), faults.slowAcceptMs)
    this.closed = once(front, 'close')
    front.once('close', () => {
      clearTimeout(this.#timer)
      this.#back?.destroy()
    })
  }

  pump(): void {
    for (const pipe of this.#pipes) pipe.pump()
  }

  loseServer(): void {
    this.#isServerLost = true
    this.#back?.destroy()
  }

  reset(): void {
    clearTimeout(this.#timer)
    this.#back?.resetAndDestroy()
    this.#front.resetAndDestroy()
  }

  countAnew(): void {
    this.#toClient = 0
  }

  #connect(): void {
    const back = createConnection({ ...this.#target, allowHalfOpen: true, noDelay: true })
    this.#back = back
    back.on('error', () => {})
    back.once('close', () => {
      if (!this.#isServerLost && !this.#front.writableEnded) this.#front.resetAndDestroy()
    })
    const towardsServer = new Pipe(this.#front, back, this.#faults, () => {})
    const towardsClient = new Pipe(back, this.#front, this.#faults, (chunk) => this.#cut(chunk))
    this.#pipes = [towardsServer, towardsClient]
  }

  /** What may still pass of a chunk of the server's; the rest is never sent. */
  #cut(chunk: Buffer): Buffer | undefined {
    const { cutAfterBytes: limit } = this.#faults
    if (limit === undefined) return undefined
    const left = limit - this.#toClient
    this.#toClient += chunk.length
    return chunk.length < left ? undefined : chunk.subarray(0, Math.max(0, left))
  }
}

interface Held {
  /** Null is the end. */
  readonly chunk: Buffer | null
  readonly dueAt: number
}

class Pipe {
  readonly #from: Socket
  readonly #to: Socket
  readonly #faults: Faults
  readonly #cut: (chunk: Buffer) => Buffer | undefined | void
  #held: Held[] = []
  #heldBytes = 0
  #isCut = false
  #timer: NodeJS.Timeout | undefined

  constructor(
    from: Socket,
    to: Socket,
    faults: Faults,
    cut: (chunk: Buffer) => Buffer | undefined | void,
  ) {
    this.#from = from
    this.#to = to
    this.#faults = faults
    this.#cut = cut
    from.on('data', (chunk: Buffer) => this.#hold(chunk))
    from.once('end', () => this.#hold(null))
    to.on('drain', () => this.pump())
    to.once('close', () => clearTimeout(this.#timer))
    from.resume()
  }

  pump(): void {
    clearTimeout(this.#timer)
    while (
      !this.#isCut &&
      !this.#faults.isStalled &&
      !this.#to.destroyed &&
      !this.#to.writableNeedDrain
    ) {
      const [next] = this.#held
      if (next === undefined) break
      const waitMs = next.dueAt - performance.now()
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.pump(), waitMs)
        break
      }
      this.#held.shift()
      this.#pass(next.chunk)
    }
    if (!this.#isCut && this.#heldBytes < MAX_HELD_BYTES && this.#from.isPaused())
      this.#from.resume()
  }

  #hold(chunk: Buffer | null): void {
    this.#held.push({ chunk, dueAt: performance.now() + this.#faults.delayMs })
    this.#heldBytes += chunk?.length ?? 0
    if (this.#heldBytes >= MAX_HELD_BYTES) this.#from.pause()
    this.pump()
  }

  #pass(chunk: Buffer | null): void {
    if (chunk === null) {
      this.#to.end()
      return
    }
    this.#heldBytes -= chunk.length
    const last = this.#cut(chunk)
    if (last === undefined) {
      this.#to.write(chunk)
      return
    }
    // RST only once the bytes are on their way: a reset throws away what is still to be sent.
    this.#isCut = true
    this.#from.pause()
    this.#to.write(last, () => this.#to.resetAndDestroy())
  }
}
