/**
 * HTTP server: each request of `node:http` and `https` runs inside its own timeline.
 *
 * Nothing of the application is replaced. `emit` of the server classes is where Node hands a request
 * to whatever listens, so that is the one place to stand:
 *
 *   parser ─▶ server.emit('request', req, res) ─▶ storage.run(timeline, …listeners…)
 *                                                          │
 *   socket ◀─ bytes ◀──────────── res.end() ◀──────────────┘
 *      │
 *      ├─ channel http.server.response.finish  → finished
 *      └─ socket 'close' before that           → aborted
 *
 * Rules:
 *   1. One request, one timeline: a request that is emitted again (`checkContinue` handed on to
 *      `request`, one server that forwards to another) keeps the first.
 *   2. The end is told by a channel and by one listener per connection, not by a listener on each
 *      response: `res.on('close')` for every request costs more than everything else here.
 *   3. Body and back-pressure events come out of the parser's and the socket's own context, where
 *      the request is unknown. They are run for their request: on `req` only where a body is
 *      expected, on `res` once a write has met back-pressure.
 *   4. Headers are looked at raw. `req.headers` builds an object that a small handler never needs.
 *   5. Upgrades and CONNECT pass by, and so does what comes from no connection of HTTP/1: a request
 *      that somebody made up, or one of HTTP/2 that was handed on. Nobody would tell its end.
 *
 * `responseBytes` are the bytes on the connection, head included, compressed if it was;
 * unknown where the connection is a stream that counts none.
 * `aborted` means that the connection closed before the response was handed to the system; the
 * status is then what had been sent, or 499 where nothing had.
 */
import { subscribe } from 'node:diagnostics_channel'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { serverTiming } from '../exporters/index.ts'
import { type Timeline, timing } from '../timing/index.ts'
import { http, https } from './builtins.ts'
import { nameRequest } from './frameworks.ts'
import { hookFailed } from './guard.ts'
import { type Observed, timelineOf } from './observed.ts'

type Request = IncomingMessage & Observed
type Response = ServerResponse & Observed
type AnyEmit = (this: unknown, ...args: unknown[]) => boolean

const connectionOf = Symbol('hasten.connection')
type ObservedSocket = Omit<Socket, 'bytesWritten'> & {
  [connectionOf]?: Connection
  /** The HTTP server that reads from it, set by Node. */
  readonly server?: unknown
  /** Missing where `server.emit('connection', stream)` was given a stream that is no socket. */
  readonly bytesWritten?: number
}

/** Requests under way on one connection: one, unless the client pipelines. */
class Connection {
  first: Response | undefined
  /** As many as Node's parser lets in before it pauses the socket. */
  readonly others: Response[] = []
  #bytesBefore: number | undefined

  constructor(socket: ObservedSocket) {
    this.#bytesBefore = socket.bytesWritten
    socket.once('close', () => {
      for (const response of [this.first, ...this.others]) {
        if (response !== undefined) end(response, socket, true)
      }
    })
  }

  add(response: Response): void {
    if (this.first === undefined) this.first = response
    else this.others.push(response)
  }

  /** What was written since the answer before. */
  bytesOf({ bytesWritten }: ObservedSocket): number | undefined {
    if (bytesWritten === undefined || this.#bytesBefore === undefined) return undefined
    const bytes = bytesWritten - this.#bytesBefore
    this.#bytesBefore = bytesWritten
    return bytes
  }

  /** False where it had ended before. */
  delete(response: Response): boolean {
    if (this.first === response) {
      this.first = this.others.length === 0 ? undefined : this.others.shift()
      return true
    }
    const index = this.others.indexOf(response)
    if (index === -1) return false
    this.others.splice(index, 1)
    return true
  }
}

export function observeHttpServer(): void {
  for (const { prototype } of [http.Server, https.Server]) observeEmit(prototype)
  observeWrite(http.ServerResponse.prototype)
  if (process.env['HASTEN_SERVER_TIMING'] === '1') addServerTiming(http.ServerResponse.prototype)
  subscribe('http.server.response.finish', (message) => {
    const { response, socket } = message as { response: Response; socket: Socket }
    if (response[timelineOf] !== undefined) end(response, socket, false)
  })
}

/** `prototype.emit`, run for the request that it hands over. */
function observeEmit(prototype: { emit: unknown }): void {
  const emit = prototype.emit as AnyEmit
  const { storage } = timing
  prototype.emit = function observedEmit(
    this: unknown,
    event: unknown,
    req: unknown,
    res: unknown,
  ) {
    if (event === 'request' || event === 'checkContinue' || event === 'checkExpectation') {
      const timeline = begin(req as Request, res as Response)
      if (timeline !== undefined)
        return storage.run(timeline, callEmit, emit, this, event, req, res)
    }
    // biome-ignore lint/complexity/noArguments: forwarding them as they are is what is fast
    return emit.apply(this, arguments as unknown as unknown[])
  }
}

/** No closure and no bound function: two allocations less for each request. */
function callEmit(
  emit: AnyEmit,
  server: unknown,
  event: unknown,
  req: unknown,
  res: unknown,
): boolean {
  return emit.call(server, event, req, res)
}

function begin(req: Request, res: Response): Timeline | undefined {
  try {
    if (res[timelineOf] !== undefined) return undefined
    const { socket } = req as { socket?: ObservedSocket | null }
    if (req.httpVersionMajor === 2 || !socket?.server) return undefined
    const timeline = timing.begin(
      req.method ?? 'GET',
      req.url ?? '/',
      traceparentOf(req.rawHeaders),
    )
    res[timelineOf] = timeline
    const connection = (socket[connectionOf] ??= new Connection(socket))
    connection.add(res)
    if (hasBody(req) && !Object.hasOwn(req, 'emit')) {
      req[timelineOf] = timeline
      req.emit = emitForRequest
    }
    return timeline
  } catch (error) {
    hookFailed(error)
    return undefined
  }
}

function end(res: Response, socket: ObservedSocket, aborted: boolean): void {
  try {
    const timeline = res[timelineOf]
    const connection = socket[connectionOf]
    if (timeline === undefined || connection === undefined || !connection.delete(res)) return
    timeline.responseBytes = connection.bytesOf(socket)
    finish(timeline, res, aborted)
  } catch (error) {
    hookFailed(error)
  }
}

function finish(timeline: Timeline, res: Response, aborted: boolean): void {
  const status = aborted && !res.headersSent ? 499 : res.statusCode
  try {
    nameRequest(timeline, res.req, res, status)
  } catch (error) {
    hookFailed(error)
  }
  timing.finish(timeline, status, aborted)
}

function emitForRequest(this: Request | Response, ...args: unknown[]): boolean {
  // Whatever the class of this request says `emit` is: frameworks and applications have their own.
  let prototype = Object.getPrototypeOf(this) as { emit: AnyEmit }
  // Made by `Object.create(req)`: the first one up the chain is the request with ours again.
  while (prototype.emit === emitForRequest) {
    prototype = Object.getPrototypeOf(prototype) as { emit: AnyEmit }
  }
  const { emit } = prototype
  return timing.storage.run(this[timelineOf] as Timeline, Reflect.apply, emit, this, args)
}

/** Back-pressure is felt by `write` alone; a response that never waits keeps Node's own `emit`. */
function observeWrite(prototype: ServerResponse): void {
  const write = prototype.write as (this: unknown, ...args: unknown[]) => boolean
  prototype.write = function observedWrite(this: Response, ...args: unknown[]): boolean {
    const goesOn = write.apply(this, args)
    if (!goesOn && this[timelineOf] !== undefined && !Object.hasOwn(this, 'emit')) {
      this.emit = emitForRequest
    }
    return goesOn
  } as typeof prototype.write
}

/** Only where it is switched on: what a response took is not everybody's business. */
function addServerTiming(prototype: ServerResponse): void {
  const writeHead = prototype.writeHead as (this: Response, ...args: unknown[]) => Response
  prototype.writeHead = function observedWriteHead(this: Response, ...args: unknown[]): Response {
    try {
      const timeline = this[timelineOf]
      if (timeline !== undefined && !this.headersSent) {
        this.appendHeader('Server-Timing', serverTiming(timeline))
      }
    } catch (error) {
      hookFailed(error)
    }
    return writeHead.apply(this, args)
  } as typeof prototype.writeHead
}

function hasBody(req: Request): boolean {
  if (req.method === 'GET' || req.method === 'HEAD') return false
  return true
}

/** Its value, where the caller sent one. */
function traceparentOf(rawHeaders: readonly string[]): string | undefined {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length === 11 && name.toLowerCase() === 'traceparent') return rawHeaders[i + 1]
  }
  return undefined
}
