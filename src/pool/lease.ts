/**
 * Lease: a client in the hands of one borrower, and only as long.
 *
 * What `pool.connect()` gives is not the client itself but a view of it that knows its lease. So a
 * second `release()` cannot take the client from its next borrower, and a statement after `release()`
 * cannot run in somebody else's transaction: both are refused. Everything else is the client's own;
 * `instanceof`, properties, events and patched methods work, also `client.query = …` and
 * `client.release = …`, which last for the lease.
 */
import type { BorrowerStack } from './leases.ts'
import type { PgClient } from './pg.ts'
import type { PooledConnection } from './pooled-connection.ts'

export type Release = (error?: unknown) => void

export interface LeasedClient extends PgClient {
  release: Release
}

export class Lease {
  readonly connection: PooledConnection
  readonly sinceMs: number
  /** Of `pool.connect()`; sampled. */
  readonly stack: BorrowerStack | undefined
  readonly client: LeasedClient
  readonly release: Release
  isOver = false

  constructor(
    connection: PooledConnection,
    sinceMs: number,
    stack: BorrowerStack | undefined,
    isGuarded: boolean,
    onRelease: (lease: Lease, error: unknown) => void,
  ) {
    this.connection = connection
    this.sinceMs = sinceMs
    this.stack = stack
    this.release = (error) => {
      if (this.isOver) {
        throw new Error('Release called on client which has already been released to the pool.')
      }
      this.isOver = true
      onRelease(this, error)
    }
    const client = connection.client as LeasedClient
    if (isGuarded) this.client = new Proxy(client, new View(this))
    else {
      client.release = this.release
      this.client = client
    }
  }
}

class View implements ProxyHandler<LeasedClient> {
  readonly #lease: Lease
  #release: unknown
  #query: unknown

  constructor(lease: Lease) {
    this.#lease = lease
    this.#release = lease.release
    this.#query = undefined
  }

  get(target: LeasedClient, key: string | symbol): unknown {
    if (key === 'query') return (this.#query ??= this.#guardedQuery(target))
    if (key === 'release') return this.#release
    return target[key as keyof LeasedClient]
  }

  set(target: LeasedClient, key: string | symbol, value: unknown): boolean {
    if (key === 'query') this.#query = value
    else if (key === 'release') this.#release = value
    else (target as unknown as Record<string | symbol, unknown>)[key] = value
    return true
  }

  #guardedQuery(target: LeasedClient): unknown {
    const lease = this.#lease
    return function query(text: unknown, values?: unknown, callback?: unknown): unknown {
      return lease.isOver ? refuse(text, values, callback) : target.query(text, values, callback)
    }
  }
}

/** By the way in which an answer would have come. */
function refuse(text: unknown, values: unknown, callback: unknown): unknown {
  const error = new Error(
    'this client was released to the pool and may serve somebody else by now; take another one by pool.connect()',
  )
  const submittable = text as { submit?: unknown; handleError?: (error: Error) => void }
  const listener =
    typeof values === 'function' ? values : typeof callback === 'function' ? callback : undefined
  if (listener !== undefined) {
    process.nextTick(listener as (error: Error) => void, error)
    return undefined
  }
  if (typeof submittable?.submit === 'function') {
    process.nextTick(() => submittable.handleError?.(error))
    return text
  }
  return Promise.reject(error)
}
