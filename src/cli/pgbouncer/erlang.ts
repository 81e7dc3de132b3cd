/**
 * How many servers a load needs: Little's law and Erlang's formula.
 *
 *   busy servers on average = arrivals per second × seconds that each holds a server        [1]
 *
 * That many would be enough if callers came like clockwork. They do not, so some find all servers
 * taken. Erlang's C gives the chance of it, for arrivals by chance and any mean service time; the
 * number wanted is the smallest that keeps the chance below a limit. Above the mean it grows with the
 * square root only: 3 busy want 9, 34 want 50, 300 want 343, so that one in a hundred waits.
 *
 * [1] Little, A Proof for the Queuing Formula L = λW, 1961. [2] Erlang, 1917, as in Cooper,
 *     Introduction to Queueing Theory, chapter 3: C from B, and B by its recurrence, which does not
 *     overflow.
 */

/** Chance that a caller finds all of `servers` taken, with `busy` of them busy on average. */
export function waitChance(busy: number, servers: number): number {
  if (busy <= 0) return 0
  if (servers <= busy) return 1
  let blocked = 1
  for (let n = 1; n <= servers; n++) blocked = (busy * blocked) / (n + busy * blocked)
  const use = busy / servers
  return blocked / (1 - use + use * blocked)
}

/** The smallest number of servers with which at most `chance` of the callers wait; at least 1. */
export function serversFor(busy: number, chance: number): number {
  let servers = Math.max(1, Math.floor(busy) + 1)
  while (waitChance(busy, servers) > chance) servers += 1
  return servers
}
