/**
 * Plan: the lines of pgbouncer.ini and the pool's options for a demand, each with its reason.
 *
 *   demand ─▶ server connections (Erlang) ─▶ within what the server allows ─▶ PgBouncer's lines
 *         └─▶ client connections per process ────────────────────────────────▶ the pool's options
 *
 * A number is never taken from a table of good defaults: either it follows from what was measured, or
 * its reason says what it protects from. What does not fit is said, not bent: a demand above what the
 * server allows is written with the server's limit, and a warning with the numbers.
 */
import { busyOf, type Demand, round } from './demand.ts'
import { serversFor, waitChance } from './erlang.ts'

export interface PlanOptions {
  readonly mode: 'session' | 'transaction'
  /** Of PgBouncer, `[1, 18]`. */
  readonly bouncer: readonly [number, number]
  /** Node processes that share it. */
  readonly processes: number
  /** Of the callers may find all server connections taken: 0.01 is one in a hundred. */
  readonly waitChance: number
  /** More than was measured that it must bear: 1 is the same. */
  readonly headroom: number
  readonly maxConnections: number | undefined
  /** Of `max_connections`, kept for superusers and for whoever connects past PgBouncer. */
  readonly keptFree: number
  readonly cores: number | undefined
  readonly deadlineMs: number
}

export interface Setting {
  readonly name: string
  readonly value: string
  readonly why: string
}

export interface Plan {
  readonly mode: 'session' | 'transaction'
  /** Server connections busy on average, at the demand with its headroom. */
  readonly busy: number
  readonly servers: number
  readonly bouncer: readonly Setting[]
  /** For `new Pool`, as written in code. */
  readonly pool: readonly Setting[]
  readonly warnings: readonly string[]
}

/** More active backends than this for each core make all of them slower. */
const BACKENDS_PER_CORE = 4
/** One PgBouncer is one thread. */
const STATEMENTS_PER_THREAD = 20_000

export function planFor(demand: Demand, options: PlanOptions): Plan {
  const { mode, processes, headroom, maxConnections, keptFree } = options
  const busy = busyOf(demand) * headroom
  const allowed =
    maxConnections === undefined ? Number.POSITIVE_INFINITY : maxConnections - keptFree
  const wanted = wantedServers(demand, busy, options)
  const servers = Math.max(1, Math.min(wanted.value, allowed))
  const reserve = Math.max(0, Math.min(Math.ceil(servers / 5), allowed - servers))
  const perProcess = clientsPerProcess(busy, servers, options)
  const clients = processes * perProcess
  return {
    mode,
    busy,
    servers,
    bouncer: [
      {
        name: 'pool_mode',
        value: mode,
        why:
          mode === 'transaction'
            ? 'a server connection belongs to a client for the length of a transaction, so that few serve many; what a session holds (SET, LISTEN, temporary tables, advisory session locks) does not last'
            : 'a server connection belongs to a client for as long as it is connected: everything works, and as many servers are needed as clients are connected',
      },
      {
        name: 'default_pool_size',
        value: String(servers),
        why: wanted.value > allowed ? cutWords(wanted.value, allowed, options) : wanted.why,
      },
      {
        name: 'min_pool_size',
        value: String(servers),
        why: `all ${servers} are kept open and logged in, so that no request pays for a connection after a quiet hour`,
      },
      {
        name: 'reserve_pool_size',
        value: String(reserve),
        why:
          reserve === 0
            ? 'none: the server allows no more'
            : 'a fifth on top, opened only once somebody has waited for reserve_pool_timeout: for bursts that the mean does not show',
      },
      { name: 'reserve_pool_timeout', value: '1', why: 'seconds; a burst is over in less than 5' },
      {
        name: 'max_db_connections',
        value: String(servers + reserve),
        why: 'for one database over all its users: a second user cannot take the server beyond what it allows',
      },
      {
        name: 'max_client_conn',
        value: String(2 * clients + 20),
        why: `${count(processes, 'process', 'processes')} × ${count(perProcess, 'connection')}, twice for a deployment in which old and new run side by side, and 20 for people; each costs PgBouncer some 10 kB and a file descriptor (ulimit -n ${2 * clients + 20 + servers + reserve + 50} or more)`,
      },
      ...timeouts(options),
      ...statements(options),
      {
        name: 'ignore_startup_parameters',
        value: 'extra_float_digits',
        why: 'drivers of other languages send it, and it changes nothing here; statement_timeout and options are not listed, since ignoring what an application relies on is worse than refusing it: set those by ALTER ROLE … SET',
      },
    ],
    pool: poolOptions(busy, perProcess, options),
    warnings: warningsOf(demand, busy, wanted.value, allowed, options),
  }
}

function wantedServers(
  demand: Demand,
  busy: number,
  options: PlanOptions,
): { value: number; why: string } {
  const { waitChance: chance, headroom, mode, processes } = options
  const byChance = serversFor(busy, chance)
  const peak = Math.ceil((demand.peakBusy ?? 0) * headroom)
  const load = `${round(demand.transactionsPerSecond)} transactions per second × ${round(demand.holdMs)} ms${
    headroom === 1 ? '' : ` × ${headroom} headroom`
  } keep ${round(busy)} busy on average (Little’s law)`
  if (mode === 'session' && Math.max(byChance, peak) < processes) {
    return {
      value: processes,
      why: `${load}; by session each of ${processes} processes needs one of its own`,
    }
  }
  return peak > byChance
    ? { value: peak, why: `${load}, and ${peak} were busy at the worst moment that was seen` }
    : {
        value: byChance,
        why: `${load}; with ${byChance} at most ${percent(waitChance(busy, byChance))} of the transactions find all taken (Erlang’s C)`,
      }
}

function cutWords(wanted: number, allowed: number, options: PlanOptions): string {
  return `${wanted} are wanted, but of max_connections ${options.maxConnections} only ${allowed} are left with ${options.keptFree} kept for superusers and others`
}

/** How many a process needs: by session no more than there are servers for it. */
function clientsPerProcess(busy: number, servers: number, options: PlanOptions): number {
  const { mode, processes } = options
  if (mode === 'session') return Math.max(1, Math.floor(servers / processes))
  // One statement at a time on each; half as long again for the way through PgBouncer.
  return Math.max(2, serversFor((1.5 * busy) / processes, options.waitChance))
}

function timeouts({ deadlineMs, mode }: PlanOptions): Setting[] {
  const seconds = Math.max(1, Math.ceil(deadlineMs / 1_000))
  return [
    {
      name: 'query_wait_timeout',
      value: String(seconds),
      why: `seconds; a caller gives up after ${deadlineMs} ms (--deadline-ms), and a statement that nobody waits for should not be run`,
    },
    {
      name: 'server_idle_timeout',
      value: '600',
      why: 'seconds; those above min_pool_size go after a quiet while',
    },
    {
      name: 'server_lifetime',
      value: '3600',
      why: 'seconds; caches and memory of a backend grow with its age, and after a failover connections find their way to the new server',
    },
    {
      name: 'server_login_retry',
      value: '1',
      why: 'seconds, instead of 15: after a restart of the server clients wait a second and not a quarter of a minute',
    },
    ...(mode === 'session'
      ? [
          {
            name: 'server_reset_query',
            value: 'DISCARD ALL',
            why: 'what one client did to its session does not reach the next',
          },
        ]
      : []),
  ]
}

function statements({ mode, bouncer: [major, minor] }: PlanOptions): Setting[] {
  if (mode === 'session' || (major === 1 && minor < 21)) return []
  return [
    {
      name: 'max_prepared_statements',
      value: '256',
      why: 'as many as hasten’s pool prepares on a connection (maxPrepared): PgBouncer keeps them for its clients, and statements are planned once',
    },
  ]
}

function poolOptions(busy: number, perProcess: number, options: PlanOptions): Setting[] {
  const { mode, processes, deadlineMs } = options
  const min =
    mode === 'session' ? perProcess : Math.min(perProcess, Math.max(1, Math.ceil(busy / processes)))
  return [
    {
      name: 'max',
      value: String(perProcess),
      why:
        mode === 'session'
          ? `server connections divided by ${count(processes, 'process', 'processes')}: one more would only wait at PgBouncer`
          : `for each of ${count(processes, 'process', 'processes')}: its share of the busy ones, half as long again for the way through PgBouncer, and room for chance`,
    },
    { name: 'min', value: String(min), why: 'busy on average, so open before the first request' },
    {
      name: 'pgbouncer',
      value: `'${mode}'`,
      why:
        mode === 'session'
          ? 'nobody can tell by looking that it is by session, and it may then be used like a server'
          : 'said rather than found out: no session state, and one statement at a time on a connection',
    },
    {
      name: 'acquireTimeoutMs',
      value: String(deadlineMs),
      why: 'as long as a caller waits (--deadline-ms)',
    },
  ]
}

function warningsOf(
  demand: Demand,
  busy: number,
  wanted: number,
  allowed: number,
  { cores, maxConnections, waitChance: chance, mode, bouncer: [major, minor] }: PlanOptions,
): string[] {
  const warnings = [...demand.notes]
  if (busy >= allowed) {
    warnings.push(
      `The demand keeps ${round(busy)} server connections busy and the server allows ${allowed}: a queue that grows without end. Make the statements shorter (hasten doctor), or raise max_connections.`,
    )
  } else if (wanted > allowed) {
    warnings.push(
      `With ${allowed} instead of ${wanted} server connections ${percent(waitChance(busy, allowed))} of the transactions wait, against ${percent(chance)} wanted.`,
    )
  }
  if (maxConnections === undefined) {
    warnings.push(
      'max_connections of the server is not known (--max-connections, or --database to read it): compare it with max_db_connections.',
    )
  }
  if (cores !== undefined && wanted > BACKENDS_PER_CORE * cores) {
    warnings.push(
      `${wanted} server connections on ${cores} cores: beyond ${BACKENDS_PER_CORE} a core, statements that compute make each other slower, and the time measured holds that already. Unless they mostly wait (disk, locks), try ${BACKENDS_PER_CORE * cores} and let the rest wait in PgBouncer.`,
    )
  }
  if (demand.transactionsPerSecond > STATEMENTS_PER_THREAD) {
    warnings.push(
      `One PgBouncer is one thread, good for some ${STATEMENTS_PER_THREAD} statements per second: run ${Math.ceil(demand.transactionsPerSecond / STATEMENTS_PER_THREAD)} of them on one port with so_reuseport = 1, and divide the pool sizes among them.`,
    )
  }
  if (mode === 'transaction' && major === 1 && minor < 21) {
    warnings.push(
      'Below 1.21 PgBouncer keeps no prepared statements by transaction, so none are used, and each statement is planned again. A newer one saves that.',
    )
  }
  return warnings
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(2))} %`
}

function count(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`
}
