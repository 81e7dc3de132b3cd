/**
 * HTTP client: each call of `http.request` and `https.request` is a span of kind `http`.
 *
 *   request() ─ span opens ── connect ── send ── wait ── headers ── body ── 'close': span ends
 *
 * It lasts from the call to the end of the response's body, as the caller waits for it: queueing in
 * the agent, DNS and TLS included. A body that nobody reads is never at its end; the span then ends
 * with the connection.
 *
 * Node tells of a request at its creation (`http.client.request.created`, 22.12 and later), in the
 * caller's own context. On Node 20 the earliest channel fires when the request has been sent, which
 * with a busy agent is in the context of another request; there `request` and `get` of the two modules
 * are replaced, by functions that call what they replaced. An application that replaces them as well
 * wraps ours or is wrapped by it; both work.
 *
 * `error` handlers are never added: an error that nobody handles must stay one. `close` is enough,
 * and the request remembers what it failed with.
 */
import { subscribe } from 'node:diagnostics_channel'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { syncBuiltinESMExports } from 'node:module'
import { foldPath } from '../core/fold-path.ts'
import { type Span, timing } from '../timing/index.ts'
import { http, https } from './builtins.ts'
import { hookFailed } from './guard.ts'
import { hashesOfPath } from './hashed.ts'
import { propagate } from './propagation.ts'

const spanOf = Symbol('hasten.span')

type ObservedRequest = ClientRequest & { [spanOf]?: Span }

export function observeHttpClient(): void {
  if (hasCreatedChannel()) {
    subscribe('http.client.request.created', (message) => {
      opened((message as { request: ObservedRequest }).request)
    })
  } else {
    for (const module of [http, https]) replaceRequest(module)
    syncBuiltinESMExports()
  }
  subscribe('http.client.response.finish', (message) => {
    const { request, response } = message as {
      request: ObservedRequest
      response: IncomingMessage
    }
    const span = request[spanOf]
    if (span !== undefined) span.status = response.statusCode
  })
}

function hasCreatedChannel(): boolean {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  return major > 23 || (major === 23 && minor >= 2) || (major === 22 && minor >= 12)
}

function replaceRequest(module: typeof http | typeof https): void {
  const { request } = module
  function observedRequest(this: unknown, ...args: unknown[]): ClientRequest {
    const made = (request as (...args: unknown[]) => ObservedRequest).apply(this, args)
    opened(made)
    return made
  }
  Object.defineProperty(observedRequest, 'name', { value: 'request' })
  Object.defineProperty(observedRequest, 'length', { value: request.length })
  // Node's own `get` calls its inner `request`: neither the exported one, nor ours.
  function observedGet(this: unknown, ...args: unknown[]): ClientRequest {
    const made = observedRequest.apply(this, args)
    made.end()
    return made
  }
  Object.defineProperty(observedGet, 'name', { value: 'get' })
  Object.defineProperty(observedGet, 'length', { value: module.get.length })
  module.request = observedRequest as typeof module.request
  module.get = observedGet as typeof module.get
}

function opened(request: ObservedRequest): void {
  try {
    const scope = timing.scope()
    if (scope === undefined || request[spanOf] !== undefined) return
    const host = hostOf(request)
    const span = scope.open('http', `${request.method} ${host}${foldPath(request.path)}`)
    if (span === undefined) return
    request[spanOf] = span
    span.method = request.method
    span.host = host
    const { timeline } = scope
    if (timeline.deep) span.inputs = hashesOfPath(request.path)
    if (timeline.traceId !== undefined && !request.headersSent) {
      propagate(
        timeline,
        () => request.hasHeader('traceparent'),
        (value) => {
          request.setHeader('traceparent', value)
        },
      )
    }
    request.once('close', () => {
      span.end(failureOf(request))
    })
  } catch (error) {
    hookFailed(error)
  }
}

function failureOf(request: ObservedRequest): unknown {
  if (request.errored) return request.errored
  const { res } = request as { res?: IncomingMessage }
  if (res === undefined) return { code: 'ECONNRESET' }
  return res.complete ? undefined : (res.errored ?? { code: 'ECONNRESET' })
}

/** With its port, where the header tells. */
function hostOf(request: ClientRequest): string {
  const sent = request.getHeader('host')
  const { host } = request
  // A proxy hands on the header that it got: then it names somebody else than who is called.
  const isSame = typeof sent === 'string' && isOf(sent, host)
  return isSame ? sent : host
}

function isOf(header: string, host: string): boolean {
  return header === host || header.startsWith(`${host}:`) || header.startsWith(`[${host}]`)
}
