/**
 * Channels on which the parts publish (`node:diagnostics_channel`).
 *
 * A part never calls another. It publishes; timing, the dashboard or the user's own code subscribes.
 * With nobody listening a publication costs one branch: test `hasSubscribers` before building the
 * message.
 */
import { channel } from 'node:diagnostics_channel'

export const channels = {
  /** A finished `Timeline`. Read it within the callback; it is not kept. */
  request: channel('hasten:request'),
} as const
