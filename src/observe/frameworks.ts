/**
 * Frameworks: the pattern under which a request was answered (`/users/:id`).
 *
 *   framework   how it is known                                        hook
 *   Fastify     the route's context, in the first onRequest hook       channel fastify.initialization
 *   Express     req.baseUrl and req.route, once the response ends      none
 *   Koa         ctx._matchedRoute of @koa/router, once it ends         createContext
 *   others      not at all: timing folds the path                      none
 *
 * Rules:
 *   1. Asked once, at the end: what a router wrote on the request is still there, and a request
 *      that was never routed costs nothing.
 *   2. No path without a route makes a route of its own: 404 without a pattern is `(unmatched)`,
 *      so that a scanner's paths are one line.
 *   3. Where everything has one path (GraphQL), the operation's name is part of the route.
 *
 * Fastify's own tracing channel (`tracing:fastify.request.handler`) tells the route too, but each
 * request then pays for a store and a second entry into a context: as much as all of observing.
 *
 * Express keeps only the text of a mount path once it is matched (`/tenants/7`, not
 * `/tenants/:tenant`). The pattern is read back from the routers that lead there, and remembered.
 */
import { channel } from 'node:diagnostics_channel'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { foldPath } from '../core/fold-path.ts'
import { graphqlOperation, isGraphqlPath } from '../core/graphql-operation.ts'
import type { Timeline } from '../timing/index.ts'
import { guard, hookFailed } from './guard.ts'
import { hashesOf, hashesOfPath } from './hashed.ts'
import { onModule, once } from './modules.ts'
import { type Observed, timelineOf } from './observed.ts'

export const UNMATCHED = '(unmatched)'

const patched = Symbol('hasten.patched')
const fastifyRequestOf = Symbol('hasten.fastify')
const koaContextOf = Symbol('hasten.koa')

interface FrameworkRequest extends IncomingMessage {
  // Express
  baseUrl?: string
  route?: { path?: unknown }
  app?: ExpressApp
  body?: unknown
  originalUrl?: string
}

interface FrameworkResponse extends ServerResponse, Observed {
  [fastifyRequestOf]?: { body?: unknown }
  [koaContextOf]?: KoaContext
}

interface KoaContext {
  _matchedRoute?: unknown
  request?: { body?: unknown }
}

export function observeFrameworks(): void {
  channel('fastify.initialization').subscribe((message) => {
    try {
      observeFastify((message as { fastify: FastifyInstance }).fastify)
    } catch (error) {
      hookFailed(error)
    }
  })
  onModule('koa', (exports) => {
    observeKoa((exports.default ?? exports).prototype)
  })
}

/** Gives the timeline its route and, for a deep request, the hashes of what came in. */
export function nameRequest(
  timeline: Timeline,
  req: IncomingMessage,
  res: ServerResponse,
  status: number,
): void {
  const request = req as FrameworkRequest
  const response = res as FrameworkResponse
  const route = timeline.route ?? expressRoute(request) ?? koaRoute(response)
  const canAsk = req.method === 'POST' || req.method === 'GET'
  const isGraphql = canAsk && isGraphqlPath(request.originalUrl ?? req.url ?? '')
  if (route !== undefined) timeline.route = route
  else if (status === 404) timeline.route = UNMATCHED
  if (isGraphql && timeline.route !== UNMATCHED) {
    const operation = graphqlOperation(req.url ?? '', bodyOf(request, response))
    if (operation !== undefined && isAmongOperations(operation)) {
      timeline.route = `${timeline.route ?? foldPath(timeline.path)} ${operation}`
    }
  }
  if (timeline.deep) {
    timeline.inputs = [
      ...hashesOfPath(timeline.path),
      ...hashesOf(bodyOf(request, response)),
    ].slice(0, 512)
  }
}

const MOST_OPERATIONS = 200
const operations = new Set<string>()

/** Callers choose these names, and must not fill the table of routes with them. */
function isAmongOperations(name: string): boolean {
  if (operations.size < MOST_OPERATIONS) operations.add(name)
  return operations.has(name)
}

function bodyOf(req: FrameworkRequest, res: FrameworkResponse): unknown {
  return res[fastifyRequestOf]?.body ?? res[koaContextOf]?.request?.body ?? req.body
}

// ── Fastify ──────────────────────────────────────────────────────────────────────────────────────

interface FastifyInstance {
  addHook(name: 'onRequest', hook: FastifyHook): unknown
}
type FastifyHook = (request: FastifyRequest, reply: FastifyReply, done: () => void) => void
interface FastifyRequest {
  readonly raw: IncomingMessage
  readonly body?: unknown
  readonly routeOptions?: { readonly url?: string }
  readonly [context: symbol]: { readonly config?: { readonly url?: string } }
}
interface FastifyReply {
  readonly raw: FrameworkResponse
}

function observeFastify(fastify: FastifyInstance): void {
  // `request.routeOptions` builds and freezes an object of nine fields for each request. The context
  // behind it is under a symbol of Fastify's own copy, found once.
  let context: symbol | undefined
  fastify.addHook('onRequest', function hastenRoute(request, reply, done) {
    const response = reply.raw
    const timeline = response[timelineOf]
    if (timeline !== undefined) {
      try {
        context ??= Object.getOwnPropertySymbols(request).find(
          (symbol) => symbol.description === 'fastify.context',
        )
        const url =
          context === undefined ? request.routeOptions?.url : request[context]?.config?.url
        if (url !== undefined) timeline.route = url
        if (timeline.deep || url === undefined || url.includes('g')) {
          response[fastifyRequestOf] = request
        }
      } catch (error) {
        hookFailed(error)
      }
    }
    done()
  })
}

// ── Koa ──────────────────────────────────────────────────────────────────────────────────────────

function observeKoa(prototype: {
  createContext?: (req: unknown, res: FrameworkResponse) => KoaContext
}): void {
  const { createContext } = prototype
  if (createContext === undefined || !once(prototype, patched)) return
  prototype.createContext = function observedCreateContext(req, res) {
    const context = createContext.call(this, req, res)
    if (res[timelineOf] !== undefined) res[koaContextOf] = context
    return context
  }
}

function koaRoute(res: FrameworkResponse): string | undefined {
  const route = res[koaContextOf]?._matchedRoute
  return typeof route === 'string' || route instanceof RegExp ? String(route) : undefined
}

// ── Express ──────────────────────────────────────────────────────────────────────────────────────

interface ExpressApp {
  readonly mountpath?: string | string[]
  readonly parent?: ExpressApp
  // Express 5 has `router`; in Express 4 that is a getter that throws, and `_router` the thing.
  readonly _router?: Router
  readonly router?: Router
}
interface Router {
  readonly stack?: Layer[]
}
interface Layer {
  readonly route?: unknown
  readonly handle?: Router
  readonly slash?: boolean
  // Express 4
  readonly regexp?: RegExp & { fast_slash?: boolean }
  readonly keys?: { name: string | number }[]
  // Express 5
  readonly matchers?: ((path: string) => false | { path: string; params: Record<string, string> })[]
}

function expressRoute(req: FrameworkRequest): string | undefined {
  const path = req.route?.path
  if (path === undefined || req.app === undefined) return undefined
  const base = req.baseUrl ? basePattern(req.app, req.baseUrl) : ''
  const own = ownPattern(path, req)
  return own === '/' && base !== '' ? base : base + own
}

/** Of several paths of one route the one that this request took. */
function ownPattern(path: unknown, req: FrameworkRequest): string {
  if (!Array.isArray(path)) return String(path)
  const patterns = path.flat(Infinity) as unknown[]
  const asked = (req.originalUrl ?? '').split('?', 1)[0]?.slice(req.baseUrl?.length ?? 0) ?? ''
  const taken = patterns.find((pattern) =>
    pattern instanceof RegExp ? pattern.test(asked) : isLike(asked, String(pattern)),
  )
  return String(taken ?? patterns[0])
}

/** Segment by segment; optional parts and wildcards match anything. */
function isLike(path: string, pattern: string): boolean {
  const wanted = pattern.split('/')
  const given = path.split('/')
  return wanted.every((part, i) => /[:*{?(]/.test(part) || part === given[i])
}

const KEPT_BASES = 1000
const LONGEST_BASE = 256
/** Of each application, mount path as asked → pattern. Emptied when full: it fills again. */
const bases = new WeakMap<ExpressApp, Map<string, string>>()

function basePattern(app: ExpressApp, baseUrl: string): string {
  let known = bases.get(app)
  if (known === undefined) bases.set(app, (known = new Map()))
  let pattern = known.get(baseUrl)
  if (pattern === undefined) {
    pattern = guard(readBase)(app, baseUrl) ?? foldPath(baseUrl)
    if (baseUrl.length > LONGEST_BASE) return pattern
    if (known.size >= KEPT_BASES) known.clear()
    known.set(baseUrl, pattern)
  }
  return pattern
}

/** Replaces in `baseUrl` what the routers on the way took as parameters. */
function readBase(app: ExpressApp, baseUrl: string): string | undefined {
  let mounted = ''
  let rest = baseUrl
  if (app.parent !== undefined) {
    // An application under another: its mount path is a pattern, the text is as many segments.
    const mounts = [app.mountpath ?? ''].flat()
    mounted = basePatternOfParents(app.parent) + (mounts[0] ?? '')
    const segments = mounted.split('/').length - 1
    rest = baseUrl
      .split('/')
      .slice(segments + 1)
      .map((segment) => `/${segment}`)
      .join('')
  }
  if (rest === '') return mounted
  const router = app._router ?? app.router
  const below = router && descend(router, rest, 0)
  return below === undefined ? undefined : mounted + below
}

function basePatternOfParents(app: ExpressApp): string {
  if (app.parent === undefined) return ''
  return basePatternOfParents(app.parent) + ([app.mountpath ?? ''].flat()[0] ?? '')
}

const DEEPEST = 16

function descend(router: Router, path: string, depth: number): string | undefined {
  if (path === '') return ''
  if (depth > DEEPEST) return undefined
  for (const layer of router.stack ?? []) {
    if (layer.route !== undefined || layer.handle?.stack === undefined) continue
    const match = matchLayer(layer, path)
    if (match === undefined) continue
    const below = descend(layer.handle, path.slice(match.text.length), depth + 1)
    if (below !== undefined) return match.pattern + below
  }
  return undefined
}

function matchLayer(layer: Layer, path: string): { text: string; pattern: string } | undefined {
  if (layer.slash || layer.regexp?.fast_slash) return { text: '', pattern: '' }
  let text: string | undefined
  const params: [name: string, value: string][] = []
  if (layer.matchers !== undefined) {
    for (const matcher of layer.matchers) {
      const match = matcher(path)
      if (match === false) continue
      text = match.path
      params.push(...Object.entries(match.params))
      break
    }
  } else {
    const match = layer.regexp?.exec(path)
    if (match) {
      text = match[0]
      layer.keys?.forEach(({ name }, i) => params.push([String(name), match[i + 1] ?? '']))
    }
  }
  if (text === undefined) return undefined
  text = text.replace(/\/$/, '')
  const byValue = new Map(params.map(([name, value]) => [value, name]))
  const pattern = text
    .split('/')
    .map((segment) => {
      const name = byValue.get(segment) ?? byValue.get(decode(segment))
      return name === undefined || segment === '' ? segment : `:${name}`
    })
    .join('/')
  return { text, pattern }
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
