/**
 * undici: each call of global `fetch`, and of any copy of `undici`, is a span of kind `http`.
 *
 * The copy inside of Node and those from npm publish on the same channels:
 *
 *   undici:request:create ──▶ :headers ──▶ :bodyChunkReceived… ──▶ :trailers     :error at any time
 *   span opens                 status       outputs (deep, undici 7)   span ends   span ends
 *
 * The span lasts until the body has arrived in full, not until somebody has parsed it. A redirect is
 * a request of its own.
 *
 * What waits in the line of `httpPool()` is a span of kind `pool-wait` before it.
 *
 * `create` is published where the request object is made. A pool of limited size makes it when a
 * connection is free, in the context of the request that freed it. So `dispatch` of the copies from
 * npm remembers, by handler, where it was first called (the copy inside of Node is only ever used with
 * unlimited connections).
 */
import { channel } from 'node:diagnostics_channel'
import { foldPath } from '../core/fold-path.ts'
import { type Span, timing } from '../timing/index.ts'
import { runFor, type Scope } from './context.ts'
import { guard, hookFailed } from './guard.ts'
import { hashesOf, hashesOfJson, hashesOfPath } from './hashed.ts'
import { onModule, once } from './modules.ts'
import { propagate } from './propagation.ts'

const patched = Symbol('hasten.patched')
const MOST_BODY_BYTES = 256 * 1024

interface UndiciRequest {
  readonly method: string
  readonly path: string
  readonly origin: string | URL
  readonly body: unknown
  readonly headers: string | unknown[]
  addHeader(name: string, value: string): unknown
}

interface Call {
  readonly span: Span
  /** Chunks of a JSON response; `undefined` where it is not looked at. */
  body: Buffer[] | undefined
  bytes: number
}

const calls = new WeakMap<UndiciRequest, Call>()

export function observeUndici(): void {
  on('undici:request:create', (message) => {
    create(message.request)
  })
  on('undici:request:headers', ({ request, response }) => {
    const call = calls.get(request)
    if (call === undefined || response === undefined) return
    call.span.status = response.statusCode
    if (call.span.inputs !== undefined && isPlainJson(response.headers)) call.body = []
  })
  on('undici:request:bodyChunkReceived', ({ request, chunk }) => {
    const call = calls.get(request)
    if (call?.body === undefined || chunk === undefined) return
    call.bytes += chunk.length
    if (call.bytes > MOST_BODY_BYTES) call.body = undefined
    else call.body.push(Buffer.from(chunk))
  })
  on('undici:request:trailers', ({ request }) => {
    const call = calls.get(request)
    if (call === undefined) return
    // Without chunks it is unknown what came: undici 6 does not show them.
    if (call.body !== undefined && call.body.length > 0) {
      const outputs = hashesOfJson(Buffer.concat(call.body).toString('utf8'))
      if (outputs !== undefined) call.span.outputs = outputs
    }
    call.span.end()
  })
  on('undici:request:error', ({ request, error }) => {
    calls.get(request)?.span.end(error ?? new Error('failed'))
  })
  observeWaiting()
  onModule('undici', observeDispatch)
}

/** `hasten/pool`'s own line in front of undici tells when somebody waits in it. */
function observeWaiting(): void {
  const waits = new WeakMap<object, Span>()
  const began = (message: unknown): void => {
    const { origin } = message as { readonly origin: string }
    const span = timing.scope()?.open('pool-wait', `connection to ${new URL(origin).host}`)
    if (span !== undefined) waits.set(message as object, span)
  }
  const ended = (message: unknown): void => waits.get(message as object)?.end()
  channel('hasten:http-pool:waiting').subscribe(guard(began))
  channel('hasten:http-pool:admitted').subscribe(guard(ended))
}

interface Message {
  readonly request: UndiciRequest
  readonly response?: { readonly statusCode: number; readonly headers: readonly Uint8Array[] }
  readonly chunk?: Uint8Array
  readonly error?: unknown
}

function on(name: string, listen: (message: Message) => void): void {
  channel(name).subscribe((message) => {
    try {
      listen(message as Message)
    } catch (error) {
      hookFailed(error)
    }
  })
}

function create(request: UndiciRequest): void {
  const scope = timing.scope()
  if (scope === undefined) return
  const host = new URL(request.origin).host
  const span = scope.open('http', `${request.method} ${host}${foldPath(request.path)}`)
  if (span === undefined) return
  span.method = request.method
  span.host = host
  calls.set(request, { span, body: undefined, bytes: 0 })
  const { timeline } = scope
  if (timeline.deep) span.inputs = [...hashesOfPath(request.path), ...hashesOfBody(request.body)]
  if (timeline.traceId !== undefined) {
    propagate(
      timeline,
      () => hasTraceparent(request.headers),
      (value) => {
        request.addHeader('traceparent', value)
      },
    )
  }
}

function hashesOfBody(body: unknown): number[] {
  if (typeof body === 'string') return hashesOfJson(body) ?? []
  if (body instanceof Uint8Array && body.length <= MOST_BODY_BYTES) {
    return hashesOfJson(Buffer.from(body).toString('utf8')) ?? []
  }
  return hashesOf(undefined)
}

function hasTraceparent(headers: string | unknown[]): boolean {
  if (typeof headers === 'string') return /^traceparent:/im.test(headers)
  return headers.some((name, i) => i % 2 === 0 && String(name).toLowerCase() === 'traceparent')
}

/** JSON that is not compressed: what is compressed would have to be unpacked twice. */
function isPlainJson(headers: readonly Uint8Array[]): boolean {
  let isJson = false
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = Buffer.from(headers[i] as Uint8Array)
      .toString('latin1')
      .toLowerCase()
    if (name === 'content-encoding') return false
    if (name !== 'content-type') continue
    isJson = /[/+]json\b/i.test(Buffer.from(headers[i + 1] as Uint8Array).toString('latin1'))
  }
  return isJson
}

type Dispatch = (this: unknown, options: unknown, handler: object) => unknown
interface Dispatcher {
  readonly prototype: { dispatch: Dispatch }
}

function observeDispatch(exports: Record<string, Dispatcher | undefined>): void {
  const scopes = new WeakMap<object, Scope | undefined>()
  for (const name of ['Client', 'Pool', 'BalancedPool', 'RoundRobinPool', 'Agent', 'ProxyAgent']) {
    // The one that has `dispatch` of its own: all of them inherit it from one base.
    let prototype = exports[name]?.prototype
    while (prototype && !Object.hasOwn(prototype, 'dispatch')) {
      prototype = Object.getPrototypeOf(prototype) as Dispatcher['prototype'] | undefined
    }
    if (!prototype || !once(prototype, patched)) continue
    const { dispatch } = prototype
    prototype.dispatch = function observedDispatch(options, handler) {
      if (typeof handler !== 'object' || handler === null)
        return dispatch.call(this, options, handler)
      const current = timing.scope()
      if (!scopes.has(handler)) scopes.set(handler, current)
      const scope = scopes.get(handler)
      if (scope === current) return dispatch.call(this, options, handler)
      return runFor(scope, () => dispatch.call(this, options, handler))
    }
  }
}
