/**
 * Hooks of query objects that are not pg's own: pg-cursor, pg-query-stream, pg-copy-streams and what
 * else speaks the protocol of `submit` and `handle…`.
 *
 * However many portions a cursor fetches, it is one query, from `submit` until the connection is
 * ready for the next. The object's own methods are wrapped, since there is no class to know; each is
 * expensive enough by itself for that not to matter. Its rows are counted one by one: the server
 * tells the number of the last portion only.
 *
 * `read` and `close` of a cursor take callbacks, which run for whoever gave them.
 */
import { timing } from '../timing/index.ts'
import { bind, type Scope } from './context.ts'
import { hookFailed } from './guard.ts'
import type { PgConnection } from './pg-connection.ts'
import { hashesOfRows } from './pg-values.ts'
import type { QueryCall } from './query-call.ts'

type Method = (this: unknown, ...args: unknown[]) => unknown

export interface Submittable {
  submit: Method
  readonly text?: unknown
  readonly values?: readonly unknown[]
  /** pg-query-stream has one inside. */
  readonly cursor?: Submittable
  handleDataRow?: Method
  handleCommandComplete?: Method
  handleReadyForQuery?: Method
  handleError?: Method
  read?: Method
  close?: Method
  pipe?: unknown
}

export function watchSubmittable(
  query: Submittable,
  call: QueryCall,
  connection: PgConnection,
): void {
  const cursor = query.cursor ?? query
  let rows = 0
  let counted = 0
  const done = (error?: unknown) => {
    if (call.isOver) return
    if (call.isSent) {
      const bytes = connection.answered()
      if (call.span !== undefined) call.span.bytes = bytes
    }
    if (error === undefined) call.answered(Math.max(rows, counted), undefined)
    else call.failed(error)
  }

  wrap(query, 'submit', (original, self, args) => {
    const startMs = timing.now()
    const refused = original.apply(self, args)
    attempt(() => {
      const { text, values } = query.text === undefined ? cursor : query
      if (refused || typeof text !== 'string' || call.isOver) return
      const statement = call.sent(text, values ?? undefined, connection.client, startMs)
      const transaction = connection.sent(statement)
      if (call.span === undefined) return
      call.span.connection = connection.number
      call.span.transaction = transaction
    })
    return refused
  })
  wrap(query, 'handleDataRow', (original, self, args) => {
    rows += 1
    return original.apply(self, args)
  })
  wrap(query, 'handleCommandComplete', (original, self, args) => {
    attempt(() => {
      const { text } = args[0] as { text?: unknown }
      counted = Number(/ (\d+)$/.exec(String(text))?.[1] ?? 0)
    })
    return original.apply(self, args)
  })
  wrap(query, 'handleReadyForQuery', (original, self, args) => {
    attempt(() => done())
    return timing.storage.run(call.scope as Scope, Reflect.apply, original, self, args)
  })
  wrap(query, 'handleError', (original, self, args) => {
    attempt(() => done(args[0]))
    return timing.storage.run(call.scope as Scope, Reflect.apply, original, self, args)
  })
  // A stream's own `read` is another thing.
  if (typeof cursor.pipe === 'function') return
  wrap(cursor, 'read', (original, self, args) => original.apply(self, withBound(args, call)))
  wrap(cursor, 'close', (original, self, args) => original.apply(self, withBound(args, undefined)))
}

/** The arguments, with the callback run for the request that gave it. */
function withBound(args: unknown[], call: QueryCall | undefined): unknown[] {
  const at = args.findIndex((argument) => typeof argument === 'function')
  if (at === -1) return args
  const bound = bind(timing.scope(), args[at] as Method) as Method
  const copy = args.slice()
  copy[at] = !call?.isDeep
    ? bound
    : function seen(this: unknown, ...results: unknown[]): unknown {
        attempt(() => {
          const { span } = call
          if (span === undefined || span.outputs !== undefined) return
          span.outputs = hashesOfRows(results[1] as unknown[])
        })
        return bound.apply(this, results)
      }
  return copy
}

function wrap(
  target: Submittable,
  name: keyof Submittable,
  wrapper: (original: Method, self: unknown, args: unknown[]) => unknown,
): void {
  const original = target[name] as Method | undefined
  if (typeof original !== 'function') return
  Object.defineProperty(target, name, {
    configurable: true,
    writable: true,
    enumerable: false,
    value: function observed(this: unknown, ...args: unknown[]) {
      return wrapper(original, this, args)
    },
  })
}

function attempt(hook: () => void): void {
  try {
    hook()
  } catch (error) {
    hookFailed(error)
  }
}
