/** Observed: the timeline that a request or response object carries, under a symbol of ours. */
import type { Timeline } from '../timing/index.ts'

export const timelineOf: unique symbol = Symbol('hasten.timeline')

export interface Observed {
  [timelineOf]?: Timeline
}
