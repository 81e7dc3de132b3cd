/**
 * Query intake: from what `pool.query` was given to something that runs.
 *
 *   text, values ──▶ known by its text ──▶ a single statement ─▶ Call, for the dispatcher
 *   config ─▶ name                         anything else      ─▶ stock query, `pg`'s own
 *
 * A statement's name is the caller's word for its text and nothing more: the pool names what it
 * prepares itself. As in `pg`, one name stands for one text.
 */
import pg from 'pg'
import { TwoGenerations } from '../core/two-generations.ts'
import { Call, type CallResult } from './call.ts'
import type { ConnectionSet } from './connection-set.ts'
import { limitBy } from './deadline.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { PgClient } from './pg.ts'
import { type CallOptions, priorityOf } from './pool-options.ts'
import { poolEnded } from './pool-ended.ts'
import { PoolMessage } from './pool-message.ts'
import type { SessionKeeper } from './session-keeper.ts'
import type { StatementBook } from './statement-book.ts'
import { runStock } from './stock-query.ts'

export type Done = (error: unknown, result?: unknown) => void

/** What the intake needs of the pool that it stands before. */
export interface QueryIntakeOptions {
  readonly pool: { readonly ending: boolean }
  readonly book: StatementBook
  readonly dispatcher: Dispatcher
  readonly set: ConnectionSet
  readonly keeper: SessionKeeper
  /** The clients are such that callers may share them. */
  readonly canShare: boolean
  /** Of the pool's options, for whoever says nothing. */
  readonly binary: unknown
  /** Whoever listens may do something to each connection that is taken. */
  readonly isWatched: () => boolean
  readonly acquired: (client: PgClient) => void
  readonly released: (error: unknown, client: PgClient) => void
}

interface Config extends CallOptions {
  readonly text?: string
  readonly name?: unknown
  readonly values?: unknown
  readonly rowMode?: unknown
  readonly types?: unknown
  readonly binary?: unknown
  readonly submit?: unknown
  readonly rows?: unknown
  readonly portal?: unknown
  readonly query_timeout?: number
}

const { prepareValue } = (pg as unknown as { utils: { prepareValue(value: unknown): unknown } })
  .utils

const NO_CONFIG: Config = {}

export class QueryIntake {
  readonly #options: QueryIntakeOptions
  readonly #names = new TwoGenerations<string>(2_000, 4_000_000)

  constructor(options: QueryIntakeOptions) {
    this.#options = options
  }

  /** `done` is called once; before it returns where there is nothing to ask. */
  ask(text: unknown, values: unknown, done: Done): void {
    if (this.#options.pool.ending) {
      done(poolEnded())
      return
    }
    try {
      if (typeof text === 'string') this.#askPlain(text, values, undefined, done)
      else this.#askConfig(text, values, done)
    } catch (error) {
      done(error)
    }
  }

  #askConfig(config: unknown, values: unknown, done: Done): void {
    const given = config as Config | null | undefined
    if (given == null || typeof given.submit === 'function' || needsOwnQuery(given)) {
      this.#runStock(config, values, NO_CONFIG, done)
      return
    }
    const { name } = given
    let { text } = given
    if (typeof name === 'string' && name !== '') {
      const known = this.#names.get(name)
      if (text == null) text = known
      else if (known === undefined && typeof text === 'string') this.#names.set(name, text)
      else if (known !== text) {
        throw new Error(
          `Prepared statements must be unique - '${name}' was used for a different statement`,
        )
      }
    }
    if (typeof text === 'string' && text !== '') {
      this.#askPlain(text, values ?? given.values, given, done)
    } else this.#runStock(config, values, given, done)
  }

  #askPlain(text: string, values: unknown, config: Config | undefined, done: Done): void {
    const { book, canShare, isWatched, dispatcher, keeper, pool, binary } = this.#options
    const known = book.of(text)
    if (known.shape.lane === 'stock' || !canShare || isWatched()) {
      this.#runStock(config ?? text, values, config ?? NO_CONFIG, done)
      return
    }
    if (values != null && !Array.isArray(values)) throw new Error('Query values must be an array')
    const call = new Call(
      dispatcher,
      known,
      values == null ? undefined : wireValues(values as unknown[]),
      config?.rowMode,
      config?.types,
      config?.binary ?? binary,
      done as (error: unknown, result?: CallResult) => void,
    )
    if (config !== undefined) call.priority = priorityOf(config.priority)
    if (config !== undefined || keeper.queryTimeoutMs > 0) {
      const own = config ?? NO_CONFIG
      call.cleanUp = limitBy(own, own.query_timeout ?? keeper.queryTimeoutMs, (error, count) =>
        dispatcher.giveUp(call, error, count),
      )
      if (call.isSettled) return
    }
    const message = PoolMessage.of(pool, 'call', text, values as unknown[] | undefined)
    if (message !== undefined) {
      message.call = call
      call.message = message
    }
    dispatcher.ask(call)
  }

  /** One statement, or several, that need a connection for themselves. */
  #runStock(config: unknown, values: unknown, options: Config, done: Done): void {
    const { pool, dispatcher, set, keeper, acquired, released } = this.#options
    runStock({
      message: PoolMessage.of(pool, 'statement'),
      config,
      values,
      priority: priorityOf(options.priority),
      dispatcher,
      set,
      keeper,
      limit: (giveUp) => limitBy(options, options.query_timeout ?? keeper.queryTimeoutMs, giveUp),
      acquired,
      released,
      done,
    })
  }
}

function needsOwnQuery(config: Config): boolean {
  return Boolean(config.rows) || Boolean(config.portal)
}

/** The protocol's values, so that what cannot be one is the caller's error and nobody else's. */
function wireValues(values: readonly unknown[]): unknown[] {
  const wire: unknown[] = []
  for (const value of values) wire.push(prepareValue(value))
  return wire
}
