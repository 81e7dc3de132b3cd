/**
 * HTTP pool: outbound requests over few warm connections, as the database's statements are.
 *
 *   fetch, request ─▶ dispatcher ─▶ origin's line ─▶ undici's pool for that origin ─▶ socket
 *                         ▲             │
 *                         └── retry ◀───┘ where the budget pays for it
 *
 * undici does the protocol. Its defaults are an unlimited number of connections, an unlimited line in
 * front of them, five minutes of patience, a question to the name server for each connection, and no
 * retries. Here all of that is bounded: see `http-origin.ts` for the line, `http-retry.ts` and
 * `retry-budget.ts` for what is repeated, `dns-cache.ts` for names.
 *
 * Pipelining is off: over HTTP/1.1 a slow response holds up all behind it, and a broken connection
 * leaves all of them in doubt.
 *
 * undici is loaded with the first `httpPool()`, not with the pool of the database. The `fetch` is that
 * of the npm package, the same code as Node's own; its classes are not Node's (`instanceof Response`
 * of a response is false), and what is passed in of Node's is taken over.
 */
import { createRequire } from 'node:module'
import type { Dispatcher, Pool, request } from 'undici'
import { HastenError } from '../core/errors.ts'
import { DnsCache, type DnsStats } from './dns-cache.ts'
import { HttpCall } from './http-call.ts'
import { type HttpPoolOptions, type HttpPoolSettings, httpPoolSettings } from './http-options.ts'
import { HttpOrigin, type HttpOriginStats } from './http-origin.ts'
import { poolEnded } from './pool-ended.ts'

export interface HttpPoolStats {
  readonly origins: Readonly<Record<string, HttpOriginStats>>
  /** `undefined` where names are not cached. */
  readonly dns: DnsStats | undefined
}

export interface HttpPool {
  /** For `undici` and all that takes a dispatcher of its. */
  readonly dispatcher: Dispatcher
  readonly fetch: typeof globalThis.fetch
  readonly request: typeof request
  stats(): HttpPoolStats
  /** Refuses what waits, lets what runs come to its end, closes all connections. */
  close(): Promise<void>
  /** The same, but breaks off what runs. */
  destroy(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

type Undici = typeof import('undici')

/** @throws {HastenError} `OPTION_INVALID` */
export function httpPool(options: HttpPoolOptions = {}): HttpPool {
  const settings = httpPoolSettings(options)
  const undici = createRequire(import.meta.url)('undici') as Undici
  const origins = new Origins(undici, settings)
  const dispatcher = dispatcherOf(undici, origins)
  const { FormData: UndiciFormData, Request: UndiciRequest } = undici

  const fetchByPool = ((input: unknown, init?: Record<string, unknown>) => {
    const body = init?.['body']
    return undici.fetch(
      (input instanceof Request ? taken(UndiciRequest, input) : input) as string,
      {
        ...init,
        ...(body instanceof FormData && { body: copyOf(body, new UndiciFormData()) }),
        dispatcher,
      } as object,
    )
  }) as unknown as typeof globalThis.fetch

  return {
    dispatcher,
    fetch: fetchByPool,
    request: ((url: string, given?: object) =>
      undici.request(url, { ...given, dispatcher })) as typeof request,
    stats: () => origins.stats(),
    close: () => origins.close(),
    destroy: () => origins.destroy(),
    [Symbol.asyncDispose]: () => origins.close(),
  }
}

class Origins {
  readonly #undici: Undici
  readonly #settings: HttpPoolSettings
  readonly #dns: DnsCache | undefined
  readonly #origins = new Map<string, HttpOrigin>()
  readonly #closing = new Set<Promise<void>>()
  #isClosed = false

  constructor(undici: Undici, settings: HttpPoolSettings) {
    this.#undici = undici
    this.#settings = settings
    if (settings.dns === false) return
    this.#dns = new DnsCache({
      ...settings.dns,
      onMoved: (name) => {
        for (const origin of this.#origins.values()) {
          if (origin.hostname === name) origin.renew()
        }
      },
    })
  }

  take(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    const { retry } = this.#settings
    let origin: HttpOrigin
    try {
      origin = this.#originOf(options)
    } catch (error) {
      handler.onResponseError?.(none, error as Error)
      return
    }
    origin.count()
    this.#dns?.touch(origin.hostname)
    new HttpCall(options, handler, origin, retry === false ? undefined : retry).begin()
  }

  stats(): HttpPoolStats {
    const origins: Record<string, HttpOriginStats> = {}
    for (const [name, origin] of this.#origins) origins[name] = origin.stats()
    return { origins, dns: this.#dns?.stats() }
  }

  close(): Promise<void> {
    return this.#end((origin) => origin.close(poolEnded()))
  }

  destroy(): Promise<void> {
    return this.#end((origin) => origin.destroy(poolEnded()))
  }

  async #end(end: (origin: HttpOrigin) => Promise<void>): Promise<void> {
    this.#isClosed = true
    await Promise.all([...[...this.#origins.values()].map(end), ...this.#closing])
  }

  #originOf(options: Dispatcher.DispatchOptions): HttpOrigin {
    if (this.#isClosed) throw poolEnded()
    if (!options.origin) {
      throw new HastenError('OPTION_INVALID', 'a request needs an origin: give a whole URL')
    }
    const name = new URL(options.origin).origin
    const known = this.#origins.get(name)
    // To the end: the first is the one that was used least recently.
    if (known !== undefined) this.#origins.delete(name)
    else this.#makeRoom()
    const origin = known ?? this.#begin(name)
    this.#origins.set(name, origin)
    return origin
  }

  #begin(name: string): HttpOrigin {
    const { retry, connections, maxQueued, waitTimeoutMs } = this.#settings
    return new HttpOrigin(name, {
      connections,
      maxQueued,
      waitTimeoutMs,
      retryShare: retry === false ? 0 : retry.share,
      retryReserve: retry === false ? 0 : retry.reserve,
      open: (url) => this.#open(url),
    })
  }

  #makeRoom(): void {
    const { maxOrigins } = this.#settings
    if (this.#origins.size < maxOrigins) return
    for (const [name, origin] of this.#origins) {
      if (!origin.isIdle) continue
      this.#origins.delete(name)
      const closing = origin.close(poolEnded())
      this.#closing.add(closing)
      void closing.then(() => this.#closing.delete(closing))
      return
    }
    throw new HastenError(
      'POOL_FULL',
      `requests to ${maxOrigins} origins are under way, which is all that maxOrigins allows`,
    )
  }

  #open(origin: string): Pool {
    const { connections, tls, ...settings } = this.#settings
    return new this.#undici.Pool(origin, {
      connections,
      pipelining: 1,
      connect: {
        ...tls,
        timeout: settings.connectTimeoutMs,
        ...(this.#dns && { lookup: this.#dns.lookup }),
      },
      headersTimeout: settings.headersTimeoutMs,
      bodyTimeout: settings.bodyTimeoutMs,
      keepAliveTimeout: settings.keepAliveMs,
      keepAliveMaxTimeout: Math.max(settings.keepAliveMs, settings.keepAliveMaxMs),
    })
  }
}

function dispatcherOf(undici: Undici, origins: Origins): Dispatcher {
  class HttpPoolDispatcher extends undici.Dispatcher {
    readonly #take: Dispatcher['dispatch']

    constructor() {
      super()
      // What `compose` hands to an interceptor is a handler of the present kind, whatever came in.
      this.#take = super.compose(() => (options, handler) => {
        origins.take(options, handler)
        return true
      }).dispatch
    }

    override dispatch(
      options: Dispatcher.DispatchOptions,
      handler: Dispatcher.DispatchHandler,
    ): boolean {
      return this.#take(options, handler)
    }

    override close(): Promise<void>
    override close(callback: () => void): void
    override close(callback?: () => void): Promise<void> | undefined {
      return told(origins.close(), callback)
    }

    override destroy(): Promise<void>
    override destroy(error: Error | null): Promise<void>
    override destroy(callback: () => void): void
    override destroy(error: Error | null, callback: () => void): void
    override destroy(
      first?: Error | null | (() => void),
      second?: () => void,
    ): Promise<void> | undefined {
      return told(origins.destroy(), typeof first === 'function' ? first : second)
    }
  }
  return new HttpPoolDispatcher()
}

function told(ending: Promise<void>, callback?: () => void): Promise<void> | undefined {
  if (callback === undefined) return ending
  void ending.then(callback)
  return undefined
}

/** For a request that never had one. */
const none: Dispatcher.DispatchController = {
  aborted: true,
  paused: false,
  reason: null,
  abort: () => {},
  pause: () => {},
  resume: () => {},
}

function taken(
  UndiciRequest: Undici['Request'],
  request: Request,
): InstanceType<Undici['Request']> {
  return new UndiciRequest(request.url, {
    ...fieldsOf(request),
    ...(request.body !== null && { body: request.body, duplex: 'half' }),
  } as object)
}

function fieldsOf(request: Request): object {
  const { method, headers, redirect, signal, credentials, cache, integrity, keepalive } = request
  return {
    method,
    headers: [...headers],
    redirect,
    signal,
    credentials,
    cache,
    integrity,
    keepalive,
  }
}

function copyOf<Form extends { append(name: string, value: never, file?: string): void }>(
  form: FormData,
  copy: Form,
): Form {
  for (const [name, value] of form) copy.append(name, value as never)
  return copy
}
