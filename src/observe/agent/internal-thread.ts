/**
 * Internal thread: Node runs module hooks in a thread of its own, and preloads there what
 * NODE_OPTIONS requires. Hooks and agent have no business in it, so both are marked as loaded.
 *
 * Imported first. Before Node 22.14 such a thread is known by what it lacks: a port to a parent.
 */
import * as threads from 'node:worker_threads'

const { isMainThread, parentPort } = threads
const { isInternalThread = !isMainThread && parentPort === null } = threads as {
  readonly isInternalThread?: boolean
}

if (isInternalThread) {
  Object.assign(globalThis, {
    [Symbol.for('hasten.observe')]: import.meta.url,
    [Symbol.for('hasten.agent')]: true,
  })
}
