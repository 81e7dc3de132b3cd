/**
 * Context: a user's callback runs for the request in which it was registered.
 *
 * A pool wakes the next waiter inside the asynchronous context of whoever released. Left alone,
 * AsyncLocalStorage then books nearly every statement to the wrong request:
 *
 *   request A ── connect ─────────────── wait ────────────┐
 *   request B ── connect ── query ── release ── calls A's callback, in B's context
 *
 * So the scope (the timeline, and the user's own span if one is open) is taken where the user calls,
 * and put back around each callback and continuation. Only our storage is restored: the storages of the application see what they saw without us.
 */
import { type Scope, timing } from '../timing/index.ts'

export type { Scope }

type AnyFunction = (this: unknown, ...args: never[]) => unknown

/** `fn`, run for `scope` whoever calls it; `undefined` means for no request. */
export function bind<F extends AnyFunction>(scope: Scope | undefined, fn: F): F {
  const { storage } = timing
  return function bound(this: unknown, ...args: never[]): unknown {
    // `run` with the function and its arguments, not a closure: this is on the path of every query.
    return storage.run(scope as Scope, Reflect.apply, fn, this, args)
  } as unknown as F
}

/** Runs `fn` for `scope` now. */
export function runFor<Args extends unknown[], Result>(
  scope: Scope | undefined,
  fn: (...args: Args) => Result,
  ...args: Args
): Result {
  return timing.storage.run(scope as Scope, fn, ...args)
}
