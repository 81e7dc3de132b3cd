/**
 * Channels on which the parts publish (`node:diagnostics_channel`).
 *
 * A part never calls another. It publishes; timing, the dashboard or the user's own code subscribes.
 * With nobody listening a publication costs one branch: test `hasSubscribers` before building the
 * message.
 *
 * Node turns what a subscriber throws into an uncaught exception, one tick later: somebody's broken
 * dashboard would take the application down. On our channels a subscriber that throws is reported
 * once as a process warning (`HastenWarning`), and the application does not notice.
 */
import { type Channel, channel, type ChannelListener } from 'node:diagnostics_channel'
import { inspect } from 'node:util'

const guarded = Symbol.for('hasten.channel.guarded')

export const channels: { readonly request: Channel } = {
  /** A finished `Timeline`. Read it within the callback; it is not kept. */
  request: guardedChannel('hasten:request'),
}

/** Node's channel of that name, whose subscribers cannot harm the process. */
export function guardedChannel(name: string): Channel {
  const target: Channel & { [guarded]?: true } = channel(name)
  // Two copies of the package share Node's channel: one guard is enough.
  if (target[guarded]) return target
  const guards = new WeakMap<ChannelListener, ChannelListener>()
  // Own properties: `diagnostics_channel.subscribe(name, fn)` comes through them as well.
  return Object.assign(target, {
    [guarded]: true as const,
    subscribe(this: Channel, listener: ChannelListener) {
      let guard = guards.get(listener)
      if (!guard) {
        guard = guardOf(listener)
        // A channel changes its prototype with the first subscriber, and calls itself again.
        guards.set(listener, guard).set(guard, guard)
      }
      prototypeOf(this).subscribe.call(this, guard)
    },
    unsubscribe(this: Channel, listener: ChannelListener) {
      return prototypeOf(this).unsubscribe.call(this, guards.get(listener) ?? listener)
    },
  })
}

function prototypeOf(target: Channel): Channel {
  return Object.getPrototypeOf(target) as Channel
}

function guardOf(listener: ChannelListener): ChannelListener {
  let hasWarned = false
  return (message, name) => {
    try {
      listener(message, name)
    } catch (error) {
      if (hasWarned) return
      hasWarned = true
      process.emitWarning(
        `a subscriber of ${String(name)} threw, and goes on being called: ${inspect(error)}`,
        'HastenWarning',
      )
    }
  }
}
