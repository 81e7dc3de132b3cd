import type { Channel } from 'node:diagnostics_channel'
import { guardedChannel } from '../core/channels.ts'

/** A `PoolMessage` goes through all three. */
export const poolChannels: {
  readonly ask: Channel
  readonly sent: Channel
  readonly done: Channel
} = {
  /** As somebody asks the pool, in his context. */
  ask: guardedChannel('hasten:pool:ask'),
  /** As a connection takes it, in any context. */
  sent: guardedChannel('hasten:pool:sent'),
  /** When it is over. */
  done: guardedChannel('hasten:pool:done'),
}
