/**
 * Pool message: what the pool publishes of one caller, for timelines.
 *
 *   ask   in the caller's own context, as he asks            `hasten:pool:ask`
 *   sent  a connection works on it: waiting is over          `hasten:pool:sent`
 *   done  answered, failed, given up, or given back          `hasten:pool:done`
 *
 * One object goes through all three, and `context` is the subscriber's. Made only while somebody
 * listens. `sent` does not come where the caller gave up before, and comes again for a repetition.
 */
import type { Call } from './call.ts'
import type { PgClient } from './pg.ts'
import { poolChannels } from './pool-channels.ts'

export class PoolMessage {
  readonly pool: object
  /** A statement; a client for a borrower, from `sent` to `done`; a client for one statement of `pg`'s own. */
  readonly kind: 'call' | 'checkout' | 'statement'
  readonly text: string | undefined
  readonly values: readonly unknown[] | undefined
  readonly askedMs: number
  call: Call | undefined
  /** Set before `sent`. */
  client: PgClient | undefined
  error: unknown
  context: unknown

  constructor(
    pool: object,
    kind: PoolMessage['kind'],
    askedMs: number,
    text?: string,
    values?: readonly unknown[],
  ) {
    this.pool = pool
    this.kind = kind
    this.askedMs = askedMs
    this.text = text
    this.values = values
  }

  static of(
    pool: object,
    kind: PoolMessage['kind'],
    text?: string,
    values?: readonly unknown[],
  ): PoolMessage | undefined {
    if (!poolChannels.ask.hasSubscribers) return undefined
    const message = new PoolMessage(pool, kind, performance.now(), text, values)
    poolChannels.ask.publish(message)
    return message
  }

  sent(client: PgClient): void {
    this.client = client
    poolChannels.sent.publish(this)
  }

  done(error?: unknown): void {
    this.error = error
    poolChannels.done.publish(this)
  }
}
