/**
 * Observe `hasten/pool`: by the channels on which it publishes, since its connections are shared.
 *
 *   hasten:pool:ask ──▶ the caller's scope is taken
 *   hasten:pool:sent ─▶ span pool-wait, where there was one; span query, or pg.checkout for a borrower
 *   hasten:pool:done ─▶ both end
 *
 * Statements on a client that is lent are seen by the hooks of pg, as with any pool. The package that
 * publishes may be another copy than this one: the messages are read by their fields alone.
 */
import { subscribe } from 'node:diagnostics_channel'
import { timing, type Span } from '../timing/index.ts'
import type { Scope } from './context.ts'
import { hookFailed } from './guard.ts'
import { type PgClient, PgConnection } from './pg-connection.ts'
import { registerPool, type WatchedPool } from './pool-registry.ts'
import { QueryCall } from './query-call.ts'

interface Message {
  readonly pool: ObservedPool
  readonly kind: 'call' | 'checkout' | 'statement'
  readonly text: string | undefined
  readonly values: readonly unknown[] | undefined
  readonly askedMs: number
  readonly call?: { readonly result?: Result; readonly bytes: number }
  readonly client?: PgClient
  readonly error?: unknown
  context: Watched | undefined
}

interface Result {
  readonly rowCount: number | null
  readonly rows: readonly unknown[]
}

interface ObservedPool {
  readonly ended: boolean
  readonly totalCount: number
  readonly idleCount: number
  readonly waitingCount: number
  readonly options: { readonly max: number }
}

interface Watched {
  readonly scope: Scope | undefined
  readonly query: QueryCall | undefined
  isSent: boolean
  span: Span | undefined
}

/** Below it nobody waited: the call went straight to a connection. */
const NO_WAIT_MS = 0.1

const pools = new WeakMap<ObservedPool, WatchedPool>()

export function observeHastenPool(): void {
  on('hasten:pool:ask', asked)
  on('hasten:pool:sent', sent)
  on('hasten:pool:done', done)
}

function on(name: string, react: (message: Message) => void): void {
  subscribe(name, (message) => {
    try {
      react(message as Message)
    } catch (error) {
      hookFailed(error)
    }
  })
}

function asked(message: Message): void {
  const { pool, kind } = message
  const scope = timing.scope()
  const query = kind === 'call' ? new QueryCall(scope) : undefined
  message.context = { scope, query, isSent: false, span: undefined }
  watchedPool(pool).sawWaiting(pool.waitingCount)
}

function sent(message: Message): void {
  const { context: watched, client, kind, pool, askedMs } = message
  if (watched === undefined || client === undefined || watched.isSent) return
  watched.isSent = true
  const now = timing.now()
  const { scope, query } = watched
  if (scope !== undefined && now - askedMs > NO_WAIT_MS) {
    const wait = scope.open('pool-wait', 'hasten.Pool', askedMs)
    wait.connection = watchedPool(pool).number
    wait.end()
  }
  if (kind === 'call') {
    query?.sent(message.text as string, message.values, client as never, now)
    if (query?.span !== undefined) query.span.connection = PgConnection.of(client).number
  } else if (kind === 'checkout' && scope !== undefined) {
    watched.span = scope.open('custom', 'pg.checkout', now)
    watched.span.connection = PgConnection.of(client).number
  }
}

function done(message: Message): void {
  const { context: watched, call, error } = message
  if (watched === undefined) return
  const { query, span, scope } = watched
  span?.end(error)
  if (!watched.isSent && scope !== undefined) {
    scope.open('pool-wait', 'hasten.Pool', message.askedMs).end(error)
  }
  if (query === undefined) return
  if (query.span !== undefined && call !== undefined) query.span.bytes = call.bytes
  if (error) query.failed(error)
  else {
    const rows = call?.result?.rows
    query.answered(Math.max(call?.result?.rowCount ?? 0, rows?.length ?? 0), rows)
  }
}

function watchedPool(pool: ObservedPool): WatchedPool {
  let watched = pools.get(pool)
  if (watched === undefined) {
    watched = registerPool('hasten', new WeakRef(pool), (alive) =>
      alive.ended
        ? undefined
        : {
            max: alive.options.max,
            total: alive.totalCount,
            idle: alive.idleCount,
            waiting: alive.waitingCount,
          },
    )
    pools.set(pool, watched)
  }
  return watched
}
