/**
 * Guard: a hook that throws never reaches the application.
 *
 * Every function of ours that runs inside somebody else's call goes through here. A failure is
 * counted and the first of each place is remembered, so that the doctor can say "three answers were
 * not seen, because …" instead of the application falling over. What the guarded function would
 * have returned is `undefined`, or what the fallback makes of the same arguments.
 *
 * The fallback is what the application would have called without us. It is not guarded: its errors
 * are the application's own.
 */

export interface HookFailures {
  /** Since the process started. */
  readonly count: number
  /** The first failures, at most `KEPT`, in order. */
  readonly first: readonly unknown[]
}

const KEPT = 8
const first: unknown[] = []
let count = 0

/** Counts a failure of a hook that has its own try and catch. */
export function hookFailed(error: unknown): void {
  count++
  if (first.length < KEPT) first.push(error)
}

export function hookFailures(): HookFailures {
  return { count, first }
}

export function guard<This, Args extends unknown[], Result>(
  hook: (this: This, ...args: Args) => Result,
): (this: This, ...args: Args) => Result | undefined
export function guard<This, Args extends unknown[], Result>(
  hook: (this: This, ...args: Args) => Result,
  fallback: (this: This, ...args: Args) => Result,
): (this: This, ...args: Args) => Result
export function guard<This, Args extends unknown[], Result>(
  hook: (this: This, ...args: Args) => Result,
  fallback?: (this: This, ...args: Args) => Result,
): (this: This, ...args: Args) => Result | undefined {
  return function guarded(this: This, ...args: Args): Result | undefined {
    try {
      return hook.apply(this, args)
    } catch (error) {
      hookFailed(error)
    }
    return fallback?.apply(this, args)
  }
}
