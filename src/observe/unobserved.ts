/**
 * Unobserved: marks a client of ours inside the application, so that no hook counts what it does.
 *
 * The agent asks the planner through the application's own copy of pg, whose prototypes are hooked;
 * a hook that meets this mark hands the call on as if it were not there.
 */
export const unobserved: unique symbol = Symbol('hasten.unobserved')

export function isUnobserved(client: object): boolean {
  return unobserved in client
}
