/**
 * Waits for a fact, and fails with what it saw instead.
 *
 *   await until('two are closed', () => removals === 2)
 */
import assert from 'node:assert/strict'
import { setImmediate, setTimeout } from 'node:timers/promises'

export interface UntilOptions {
  /** What a failure tells. */
  readonly seen?: () => unknown
  /** @default 20,000 */
  readonly withinMs?: number
  /** Between two looks; 0 is one turn of the event loop. @default 5 */
  readonly pauseMs?: number
}

export async function until(
  what: string,
  isFact: () => boolean | Promise<boolean>,
  { seen, withinMs = 20_000, pauseMs = 5 }: UntilOptions = {},
): Promise<void> {
  const limit = performance.now() + withinMs
  while (!(await isFact())) {
    if (performance.now() > limit) {
      const instead = seen === undefined ? '' : `, but ${JSON.stringify(seen())}`
      assert.fail(`${what}: not so within ${withinMs} ms${instead}`)
    }
    await (pauseMs === 0 ? setImmediate() : setTimeout(pauseMs))
  }
}
