/** Advice: what PgBouncer's own numbers say is wrong at this moment. Sentences, the worst first. */
import { round } from './demand.ts'
import type { PoolReading } from './live.ts'

export function adviceOn(pools: readonly PoolReading[], wantedServers: number): string[] {
  return pools
    .flatMap((pool) => adviceOnPool(pool, wantedServers))
    .sort((a, b) => b.weight - a.weight)
    .map(({ text }) => text)
}

function adviceOnPool(
  pool: PoolReading,
  wantedServers: number,
): { readonly weight: number; readonly text: string }[] {
  const { clientsWaiting, longestWaitMs, meanWaitMs, mode } = pool
  const servers = pool.serversActive + pool.serversIdle
  const place = `${pool.database}/${pool.user}`
  if (clientsWaiting > 0 && pool.serversIdle > 0) {
    return [
      {
        weight: longestWaitMs,
        text: `${place}: ${clientsWaiting} clients wait although ${pool.serversIdle} server connections are idle: a limit of the user or the database holds them (max_db_connections, max_user_connections), or it is paused.`,
      },
    ]
  }
  if (clientsWaiting > 0) {
    const remedy =
      mode === 'session'
        ? 'by session each connected client keeps one: let applications connect fewer, or change to transaction mode'
        : wantedServers > servers
          ? `raise default_pool_size from ${servers} to ${wantedServers}`
          : `${servers} should be enough on average: look for transactions that are left open (idle in transaction), or for a burst`
    return [
      {
        weight: longestWaitMs,
        text: `${place}: ${clientsWaiting} clients wait for a server connection, the longest for ${round(longestWaitMs)} ms, with ${pool.serversActive} of ${servers} busy; ${remedy}.`,
      },
    ]
  }
  if (meanWaitMs !== undefined && meanWaitMs > 1) {
    return [
      {
        weight: meanWaitMs,
        text: `${place}: nobody waits just now, but transactions waited ${round(meanWaitMs)} ms on average for a server connection${wantedServers > servers ? `; raise default_pool_size from ${servers} to ${wantedServers}` : ''}.`,
      },
    ]
  }
  return []
}
