/**
 * Framework routes: which routes the application has, as far as its framework tells.
 *
 *   Fastify   the channel `fastify.initialization` hands over each instance; its `onRoute` hook
 *             tells each route with its whole path
 *   Express   the router's stack is walked, through nested routers and mounted applications
 *   Koa       the middleware list holds the routers' dispatchers; a layer knows its whole path
 *   Nest      stands on Fastify or Express
 *
 * Express is the one that forgets: a layer made by `use('/users', router)` keeps a compiled pattern
 * and not its path. So `use` is wrapped, and the path noted beside the layers that it added.
 *
 * Walking is done when the doctor asks, since routes may be added while the server runs. Routes
 * that are regular expressions are not told: nobody could fill one in. A route for all methods is
 * told as GET. Bound: 5,000 routes.
 */
import { subscribe } from 'node:diagnostics_channel'
import type { DiscoveredRoute } from '../../core/agent-wire.ts'
import { guard } from '../guard.ts'
import { onModule, once } from '../modules.ts'
import { requestListeners } from './servers.ts'

type Handler = ((...args: unknown[]) => unknown) & {
  stack?: Layer[]
  _router?: { stack?: Layer[] }
  router?: { stack?: Layer[] }
  parent?: unknown
  mountpath?: unknown
}

interface Layer {
  readonly handle?: Handler
  readonly rawPath?: unknown
  readonly route?: { readonly path?: unknown; readonly methods?: Readonly<Record<string, boolean>> }
}

interface FastifyRoute {
  readonly method: string | readonly string[]
  readonly url: string
}

interface KoaLayer {
  readonly path?: unknown
  readonly methods?: readonly string[]
}

interface KoaApplication {
  readonly middleware?: readonly { readonly router?: { readonly stack?: readonly KoaLayer[] } }[]
}

const MAX_ROUTES = 5_000
const MAX_APPLICATIONS = 256
const MAX_DEPTH = 32
/** Who lists more than GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS means all there are. */
const MAX_METHODS = 7
const mark = Symbol('hasten.routes')

const fastifyRoutes = new Map<string, DiscoveredRoute>()
const expressApplications = new Set<WeakRef<Handler>>()
const koaApplications = new Set<WeakRef<KoaApplication>>()
/** Path that `use` was given, for each layer that it made. */
const mountPaths = new WeakMap<Layer, unknown>()

export function watchFrameworks(): void {
  subscribe('fastify.initialization', guard(watchFastify))
  onModule('express', guard(watchExpress))
  onModule('koa', guard(watchKoa))
}

/** All routes known now, each once. */
export function frameworkRoutes(): DiscoveredRoute[] {
  const routes = new Map(fastifyRoutes)
  const note = (method: string, pattern: string, framework: string) => {
    if (routes.size >= MAX_ROUTES) return
    const route = { method: method.toUpperCase(), pattern, framework }
    routes.set(`${route.method} ${pattern}`, route)
  }
  for (const application of expressRoots()) {
    walkExpress(application, [''], 0, (method, pattern) => note(method, pattern, 'express'))
  }
  for (const reference of koaApplications) {
    for (const { router } of reference.deref()?.middleware ?? []) {
      for (const { path, methods } of router?.stack ?? []) {
        if (typeof path !== 'string') continue
        for (const method of methodsOf(methods ?? [])) note(method, path, 'koa')
      }
    }
  }
  // Frameworks answer HEAD wherever they answer GET.
  return [...routes.values()].filter(
    ({ method, pattern }) => method !== 'HEAD' || !routes.has(`GET ${pattern}`),
  )
}

function watchFastify(message: unknown): void {
  const { fastify } = message as {
    fastify: { addHook(name: 'onRoute', hook: (route: FastifyRoute) => void): void }
  }
  fastify.addHook(
    'onRoute',
    guard(({ method, url }: FastifyRoute) => {
      for (const each of methodsOf([method].flat())) {
        if (fastifyRoutes.size >= MAX_ROUTES) return
        const route = { method: each.toUpperCase(), pattern: url, framework: 'fastify' }
        fastifyRoutes.set(`${route.method} ${url}`, route)
      }
    }),
  )
}

function watchExpress(exports: {
  application: { init: (this: Handler) => void }
  Router: { use?: unknown; prototype?: { use?: unknown } }
}): void {
  const { application, Router } = exports
  if (!once(application, mark)) return
  const { init } = application
  application.init = function () {
    if (expressApplications.size < MAX_APPLICATIONS) expressApplications.add(new WeakRef(this))
    return init.call(this)
  }
  // Express 4: routers inherit from the function itself; 5: from its prototype.
  const routers = (typeof Router.use === 'function' ? Router : Router.prototype) as {
    use: (this: { stack: Layer[] }, ...args: unknown[]) => unknown
  }
  const { use } = routers
  const remember = guard((stack: readonly Layer[], from: number, first: unknown) => {
    const path = isPath(first) ? first : '/'
    for (const layer of stack.slice(from)) mountPaths.set(layer, path)
  })
  routers.use = function (...args) {
    const before = this.stack?.length ?? 0
    const result = use.apply(this, args)
    remember(this.stack, before, args[0])
    return result
  }
}

function watchKoa(exports: unknown): void {
  const Koa = ((exports as { default?: unknown }).default ?? exports) as {
    prototype: { callback: (this: KoaApplication) => unknown }
  }
  if (!once(Koa.prototype, mark)) return
  const { callback } = Koa.prototype
  Koa.prototype.callback = function () {
    if (koaApplications.size < MAX_APPLICATIONS) koaApplications.add(new WeakRef(this))
    return callback.call(this)
  }
}

/** Applications that no other has mounted, and listeners that look like one. */
function expressRoots(): Set<Handler> {
  const made = [...expressApplications].flatMap((reference) => reference.deref() ?? [])
  const listeners = requestListeners() as unknown as Handler[]
  const alike = listeners.filter((listener) => stackOf(listener) !== undefined)
  return new Set([...made.filter(({ parent }) => parent === undefined), ...alike])
}

function walkExpress(
  handler: Handler,
  prefixes: readonly string[],
  depth: number,
  note: (method: string, pattern: string) => void,
): void {
  // A router may be mounted below itself.
  if (depth > MAX_DEPTH) return
  for (const layer of stackOf(handler) ?? []) {
    if (layer.route !== undefined) {
      const methods = methodsOf(Object.keys(layer.route.methods ?? {}))
      for (const pattern of joined(prefixes, layer.route.path)) {
        for (const method of methods) note(method, pattern)
      }
    } else if (layer.handle !== undefined && stackOf(layer.handle) !== undefined) {
      const path = mountPaths.get(layer) ?? layer.rawPath ?? mountedAt(layer)
      walkExpress(layer.handle, joined(prefixes, path), depth + 1, note)
    }
  }
  // A mounted application hides behind a closure, but it knows its parent.
  for (const reference of expressApplications) {
    const mounted = reference.deref()
    if (mounted === undefined || mounted.parent !== handler || mounted === handler) continue
    walkExpress(mounted, joined(prefixes, mounted.mountpath), depth + 1, note)
  }
}

/** Express 4 keeps what it matches by; without our note, a plain prefix can be read from that. */
function mountedAt(layer: Layer): unknown {
  const { regexp } = layer as { regexp?: RegExp & { fast_slash?: boolean } }
  if (regexp === undefined || regexp.fast_slash === true) return '/'
  const plain = /^\^((?:\\\/[\w\-.~]+)+)\\\/\?\(\?=\\\/\|\$\)$/.exec(regexp.source)?.[1]
  return plain?.replaceAll('\\/', '/') ?? regexp
}

function stackOf(handler: Handler): readonly Layer[] | undefined {
  if (Array.isArray(handler.stack)) return handler.stack
  if (Array.isArray(handler._router?.stack)) return handler._router.stack
  try {
    // Express 5 has it; in 4 it is a getter that throws.
    const stack = handler.router?.stack
    return Array.isArray(stack) ? stack : undefined
  } catch {
    return undefined
  }
}

function methodsOf(methods: readonly string[]): readonly string[] {
  const isAll = methods.length > MAX_METHODS || methods.includes('_all')
  return isAll ? ['GET'] : methods
}

/** Each prefix with each path; none where a path is a regular expression. */
function joined(prefixes: readonly string[], path: unknown): string[] {
  const paths = [path].flat(MAX_DEPTH).filter((each): each is string => typeof each === 'string')
  return prefixes.flatMap((prefix) => paths.map((each) => join(prefix, each)))
}

function join(prefix: string, path: string): string {
  const whole = `${prefix}/${path}`.replaceAll(/\/{2,}/g, '/')
  return whole.length > 1 && path === '/' ? whole.slice(0, -1) : whole
}

function isPath(value: unknown): boolean {
  const first = Array.isArray(value) ? value.flat(MAX_DEPTH)[0] : value
  return first !== undefined && typeof first !== 'function'
}
