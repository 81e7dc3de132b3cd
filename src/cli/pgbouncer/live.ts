/**
 * Live: the demand of a running system, and what its server allows.
 *
 *   PgBouncer's console   SHOW STATS twice: transactions, and µs that each held a server connection.
 *                         The best there is: it is the very thing that is sized. Its transactions' time
 *                         counts from when the client asked, so what it waited is taken off (measured
 *                         on 1.18 and 1.24: 6 clients on 2 servers make 5.7 s a second, 3.9 of them wait)
 *   the server            pg_stat_activity, looked at ten times a second: sessions that run or lie in a
 *                         transaction are the busy ones; pg_stat_database: transactions in between
 *
 * Sampling sees an average of a few hundred moments, so it is good to some percent; our own session and
 * its transactions are left out. Nothing but SELECT and SHOW is asked.
 */
import { HastenError } from '../../core/errors.ts'
import { Connection, type Row } from './connection.ts'
import type { Demand } from './demand.ts'
import { round } from './demand.ts'

export interface ServerLimits {
  readonly maxConnections: number
  /** For superusers, and (from 16 on) for those with pg_use_reserved_connections. */
  readonly reserved: number
}

export interface ServerReading {
  readonly limits: ServerLimits
  /** Sentences. */
  readonly notes: readonly string[]
}

export interface ConsoleReading {
  readonly version: readonly [number, number]
  readonly demand: Demand | undefined
  readonly pools: readonly PoolReading[]
}

/** Of one database and user, as `SHOW POOLS` tells it at the end of the measurement. */
export interface PoolReading {
  readonly database: string
  readonly user: string
  readonly mode: string
  readonly clientsActive: number
  readonly clientsWaiting: number
  readonly serversActive: number
  readonly serversIdle: number
  /** Of the client that waits longest, ms. */
  readonly longestWaitMs: number
  /** Per transaction, over the measurement, ms; undefined where there was none. */
  readonly meanWaitMs: number | undefined
}

const SAMPLE_MS = 100
/** By session, what was waited before the interval may be taken off within it. */
const MIN_HOLD_MS = 0.01

export async function measureServer(
  option: string,
  url: string,
  seconds: number,
  wait: (ms: number) => Promise<void>,
): Promise<{ demand: Demand } & ServerReading> {
  const connection = await Connection.open(option, url)
  try {
    const reading = await readServer(connection, option)
    const before = await transactions(connection)
    const moments: number[] = []
    const started = performance.now()
    let asked = 1
    while (performance.now() - started < seconds * 1_000) {
      await wait(SAMPLE_MS)
      moments.push(await busyNow(connection))
      asked += 1
    }
    const passed = (performance.now() - started) / 1_000
    const ran = Math.max(0, (await transactions(connection)) - before - asked)
    const busy = moments.reduce((sum, each) => sum + each, 0) / moments.length
    if (ran === 0 || busy === 0) {
      throw idle(option, `${ran} transactions in ${round(passed)} s, ${round(busy)} busy`)
    }
    const perSecond = ran / passed
    return {
      ...reading,
      demand: {
        transactionsPerSecond: perSecond,
        holdMs: (busy / perSecond) * 1_000,
        peakBusy: Math.max(...moments),
        source: `pg_stat_activity, ${moments.length} moments in ${round(passed)} s: ${round(busy)} sessions busy on average, ${Math.max(...moments)} at most; ${round(perSecond)} transactions per second`,
        notes: ['What was measured is this moment’s load; measure at the busiest hour.'],
      },
    }
  } finally {
    await connection.close()
  }
}

export async function readLimits(option: string, url: string): Promise<ServerReading> {
  const connection = await Connection.open(option, url)
  try {
    return await readServer(connection, option)
  } finally {
    await connection.close()
  }
}

export async function readConsole(
  option: string,
  url: string,
  seconds: number,
  wait: (ms: number) => Promise<void>,
): Promise<ConsoleReading> {
  const connection = await Connection.open(option, url)
  try {
    const [version] = await connection.rows('SHOW VERSION')
    const before = await connection.rows('SHOW STATS')
    const started = performance.now()
    await wait(seconds * 1_000)
    const after = await connection.rows('SHOW STATS')
    const passed = (performance.now() - started) / 1_000
    const pools = await connection.rows('SHOW POOLS')
    const spent = difference(before, after)
    const ran = total(spent, 'total_xact_count')
    const perSecond = ran / passed
    const heldUs = total(spent, 'total_xact_time') - total(spent, 'total_wait_time')
    const holdMs = Math.max(MIN_HOLD_MS, heldUs / 1_000 / ran)
    return {
      version: versionOf(version),
      demand:
        ran === 0
          ? undefined
          : {
              transactionsPerSecond: perSecond,
              holdMs,
              source: `PgBouncer’s SHOW STATS over ${round(passed)} s: ${round(perSecond)} transactions per second, each held a server connection for ${round(holdMs)} ms`,
              notes: ['What was measured is this moment’s load; measure at the busiest hour.'],
            },
      pools: pools
        .filter(({ database }) => database !== 'pgbouncer')
        .map((pool) => poolReading(pool, spent.get(String(pool['database'])))),
    }
  } finally {
    await connection.close()
  }
}

function poolReading(pool: Row, spent: Row | undefined): PoolReading {
  const number = (key: string): number => Number(pool[key] ?? 0)
  const ran = Number(spent?.['total_xact_count'] ?? 0)
  return {
    database: String(pool['database']),
    user: String(pool['user']),
    mode: String(pool['pool_mode']),
    clientsActive: number('cl_active'),
    clientsWaiting: number('cl_waiting'),
    serversActive: number('sv_active'),
    serversIdle: number('sv_idle') + number('sv_used'),
    longestWaitMs: number('maxwait') * 1_000 + number('maxwait_us') / 1_000,
    meanWaitMs: ran === 0 ? undefined : Number(spent?.['total_wait_time'] ?? 0) / 1_000 / ran,
  }
}

/** By database; those of PgBouncer itself are nobody's load. */
function difference(before: readonly Row[], after: readonly Row[]): Map<string, Row> {
  const first = new Map(before.map((row) => [String(row['database']), row]))
  return new Map(
    after
      .filter(({ database }) => database !== 'pgbouncer')
      .map((row) => [
        String(row['database']),
        Object.fromEntries(
          Object.entries(row)
            .filter(([key]) => key.startsWith('total_'))
            .map(([key, value]) => [
              key,
              Math.max(0, Number(value) - Number(first.get(String(row['database']))?.[key] ?? 0)),
            ]),
        ),
      ]),
  )
}

function total(rows: ReadonlyMap<string, Row>, key: string): number {
  let sum = 0
  for (const row of rows.values()) sum += Number(row[key] ?? 0)
  return sum
}

function versionOf(row: Row | undefined): readonly [number, number] {
  const [, major = '1', minor = '18'] = /(\d+)\.(\d+)/.exec(String(row?.['version'])) ?? []
  return [Number(major), Number(minor)]
}

async function readServer(connection: Connection, option: string): Promise<ServerReading> {
  return {
    limits: await limitsOf(connection),
    notes: (await connection.isPooled())
      ? [
          `${option} leads through a pooler: the file would let PgBouncer connect to that. Give the server’s own address.`,
        ]
      : [],
  }
}

async function limitsOf(connection: Connection): Promise<ServerLimits> {
  const rows = await connection.rows(
    `SELECT name, setting FROM pg_settings
      WHERE name IN ('max_connections', 'superuser_reserved_connections', 'reserved_connections')`,
  )
  const of = (name: string): number =>
    Number(rows.find((row) => row['name'] === name)?.['setting'] ?? 0)
  return {
    maxConnections: of('max_connections'),
    reserved: of('superuser_reserved_connections') + of('reserved_connections'),
  }
}

async function transactions(connection: Connection): Promise<number> {
  const [row] = await connection.rows(
    `SELECT xact_commit + xact_rollback AS ran FROM pg_stat_database
      WHERE datname = current_database()`,
  )
  return Number(row?.['ran'] ?? 0)
}

async function busyNow(connection: Connection): Promise<number> {
  const [row] = await connection.rows(
    `SELECT count(*) AS busy FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND backend_type = 'client backend' AND state <> 'idle'`,
  )
  return Number(row?.['busy'] ?? 0)
}

function idle(option: string, seen: string): HastenError {
  return new HastenError(
    'OPTION_INVALID',
    `${option} shows no load to size by (${seen}): measure while the application works, or give --rate and --service-ms`,
  )
}
