/**
 * `hasten pgbouncer`: a pgbouncer.ini and the pool's options, sized by what is needed.
 *
 *   numbers │ doctor's document │ PgBouncer's console │ the server  ─▶ demand ─▶ plan ─▶ file, words
 *
 * What was asked for stands in options; the sums in pgbouncer/plan.ts. Nothing is written over without
 * `--force`, and no password is written or said: the user list is the reader's own, by a statement that
 * the file tells. Only `--start` makes one, in a folder that goes with PgBouncer.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { HastenError } from '../core/errors.ts'
import { endingSignals } from './ending-signals.ts'
import { defineOptions, type Values } from './options.ts'
import { adviceOn } from './pgbouncer/advice.ts'
import { type Demand, demandFromDoctor, demandFromNumbers } from './pgbouncer/demand.ts'
import { iniText } from './pgbouncer/ini.ts'
import {
  type ConsoleReading,
  measureServer,
  readConsole,
  readLimits,
  type ServerLimits,
} from './pgbouncer/live.ts'
import { type Plan, planFor } from './pgbouncer/plan.ts'
import { type BouncerProgram, findBouncer, runBouncer } from './pgbouncer/program.ts'
import { renderSizing } from './pgbouncer/report.ts'
import { type ServerPlace, serverPlace } from './pgbouncer/server-place.ts'
import { version } from './version.ts'

const options = {
  rate: {
    type: 'number',
    unit: 'per second',
    above: 0,
    max: 10_000_000,
    what: 'Transactions (a statement alone is one) at the busiest hour; with --from: requests',
    otherwise: 'what is measured',
  },
  'service-ms': {
    type: 'number',
    unit: 'ms',
    above: 0,
    max: 3_600_000,
    what: 'How long a transaction holds its server connection, on average',
    otherwise: 'what is measured',
  },
  from: {
    type: 'text',
    value: 'file',
    what: 'Measure by a document that hasten doctor --json wrote',
  },
  console: {
    type: 'text',
    value: 'url',
    what: 'Measure by SHOW STATS of a PgBouncer that runs, and advise by SHOW POOLS: postgres://user@host:6432/pgbouncer',
  },
  database: {
    type: 'text',
    value: 'url',
    what: 'The server behind PgBouncer: its address for the file, its max_connections; and its load, where nothing else tells the demand',
    otherwise: 'the variable DATABASE_URL',
  },
  seconds: {
    type: 'number',
    unit: 's',
    min: 0.5,
    max: 3600,
    default: 10,
    what: 'How long is measured, by --console or --database',
  },
  mode: {
    type: 'custom',
    value: 'mode',
    what: 'pool_mode: transaction or session',
    parse: (text: string): Plan['mode'] | undefined =>
      text === 'transaction' || text === 'session' ? text : undefined,
    rule: 'transaction or session',
    default: 'transaction' as Plan['mode'],
  },
  processes: {
    type: 'integer',
    unit: 'processes',
    min: 1,
    max: 10_000,
    default: 1,
    what: 'Node processes that connect, over all machines',
  },
  'wait-percent': {
    type: 'number',
    unit: '% of the transactions',
    above: 0,
    max: 50,
    default: 1,
    what: 'How many may find all server connections taken',
  },
  headroom: {
    type: 'number',
    unit: 'times',
    min: 1,
    max: 100,
    default: 1,
    what: 'More than was measured or given that it must bear',
  },
  'max-connections': {
    type: 'integer',
    unit: 'connections',
    min: 1,
    max: 262_143,
    what: 'max_connections of the server',
    otherwise: 'read from --database',
  },
  'keep-free': {
    type: 'integer',
    unit: 'connections',
    min: 0,
    max: 262_143,
    what: 'Of max_connections, for superusers, migrations, backups and people',
    otherwise: 'what is reserved for superusers, and 5',
  },
  'db-cores': {
    type: 'integer',
    unit: 'cores',
    min: 1,
    max: 4096,
    what: 'Of the server’s machine, to say where connections are more than it can run',
    otherwise: 'not looked at',
  },
  'deadline-ms': {
    type: 'number',
    unit: 'ms',
    above: 0,
    max: 3_600_000,
    default: 5_000,
    what: 'How long a caller waits for a connection before it gives up',
  },
  listen: {
    type: 'custom',
    value: 'host:port',
    what: 'Where PgBouncer listens',
    parse: listenAt,
    rule: 'an address and a port such as 127.0.0.1:6432',
    default: { host: '127.0.0.1', port: 6432 },
    otherwise: '127.0.0.1:6432',
  },
  'auth-file': {
    type: 'text',
    value: 'file',
    default: '/etc/pgbouncer/userlist.txt',
    what: 'Where the user list lies, for the file; it is not made',
  },
  'bouncer-version': {
    type: 'custom',
    value: 'version',
    what: 'Of PgBouncer, since some lines are known from some version on',
    parse: versionOf,
    rule: 'a version such as 1.24',
    otherwise: 'that of --console or of the program on this machine, else 1.18',
  },
  out: {
    type: 'text',
    value: 'file',
    default: 'pgbouncer.ini',
    what: 'The file to write',
  },
  force: { type: 'flag', what: 'Write over a file that is there' },
  start: {
    type: 'flag',
    what: 'Start PgBouncer with it, until Ctrl-C; users are the one of --database',
  },
  binary: {
    type: 'text',
    value: 'file',
    what: 'PgBouncer’s program',
    otherwise: 'pgbouncer on the PATH',
  },
  json: { type: 'flag', what: 'Print the plan as JSON, and nothing else, on stdout' },
} as const

type Given = Values<typeof options>

const line = defineOptions({
  name: 'pgbouncer',
  what: 'writes a pgbouncer.ini and the pool’s options, sized by Little’s law, and explains each number.',
  usage: '[options]',
  options,
  examples: [
    'hasten pgbouncer --rate 2000 --service-ms 17 --processes 4',
    'hasten pgbouncer --from doctor.json --rate 800 --processes 4 --database postgres://app@db:5432/shop',
    'hasten pgbouncer --console postgres://stats@127.0.0.1:6432/pgbouncer --seconds 60 --force',
    'DATABASE_URL=postgres://… hasten pgbouncer --start',
  ],
  more: `Passwords come from the addresses or from PGPASSWORD, and are neither printed nor written,
but for the private user list of --start. Exit code: 0, 1 where a server could not be read or
PgBouncer did not run, 2 for a wrong command line, 130 after Ctrl-C.`,
})

/** Returns the exit code. */
export async function pgbouncerCommand(argv: string[]): Promise<number> {
  const { values, command, isHelp } = line.parse(argv)
  if (isHelp) {
    process.stdout.write(line.help())
    return 0
  }
  if (command.length > 0) {
    throw invalid(`hasten pgbouncer runs no command of yours, got ${JSON.stringify(command[0])}`)
  }
  const interrupt = new AbortController()
  const onSignal = (): void => interrupt.abort()
  for (const name of endingSignals) process.on(name, onSignal)
  try {
    return await size(values, interrupt.signal)
  } catch (error) {
    if ((error as Error).name !== 'AbortError') throw error
    process.stderr.write('hasten: interrupted\n')
    return 130
  } finally {
    for (const name of endingSignals) process.off(name, onSignal)
  }
}

async function size(values: Given, signal: AbortSignal): Promise<number> {
  const { out, force, start, json, listen } = values
  assertSource(values)
  if (!force && existsSync(out)) {
    throw invalid(`${out} is there already; --force writes over it, --out names another`)
  }
  const database = values.database ?? (process.env['DATABASE_URL'] || undefined)
  const place = serverPlace(values.database === undefined ? 'DATABASE_URL' : '--database', database)
  const program = await findBouncer(values.binary)
  if (start) assertStart(program, place)

  const facts = await collect(values, place, signal)
  const found = values['bouncer-version'] ?? facts.console?.version ?? program?.version
  const plan = planFor(facts.demand, {
    mode: values.mode,
    bouncer: found ?? [1, 18],
    processes: values.processes,
    waitChance: values['wait-percent'] / 100,
    headroom: values.headroom,
    maxConnections: values['max-connections'] ?? facts.limits?.maxConnections,
    keptFree: values['keep-free'] ?? (facts.limits?.reserved ?? 3) + 5,
    cores: values['db-cores'],
    deadlineMs: values['deadline-ms'],
  })
  const ini = iniText(plan, {
    listen,
    server: place,
    user: place.user,
    authFile: values['auth-file'],
    source: facts.demand.source,
    version: version(),
  })
  writeFileSync(out, ini, { flag: force ? 'w' : 'wx' })
  const pools = facts.console?.pools ?? []
  const report = {
    source: facts.demand.source,
    plan: { ...plan, warnings: [...facts.notes, ...plan.warnings] },
    pools,
    advice: adviceOn(pools, plan.servers),
    url: `postgres://${encodeURIComponent(place.user)}@${listen.host}:${listen.port}/${place.database === '*' ? 'database' : encodeURIComponent(place.database)}`,
    file: out,
  }
  process.stdout.write(
    json
      ? `${JSON.stringify({ version: version(), demand: facts.demand, ...report }, undefined, 2)}\n`
      : renderSizing(report),
  )
  if (!start || program === undefined) return 0
  await runBouncer({
    program,
    ini,
    authFile: values['auth-file'],
    login:
      place.password === undefined ? undefined : { user: place.user, password: place.password },
    signal,
    onReady: () => process.stderr.write(`hasten: PgBouncer serves ${report.url}; Ctrl-C ends it\n`),
  })
  return 130
}

interface Facts {
  readonly demand: Demand
  readonly limits: ServerLimits | undefined
  readonly console: ConsoleReading | undefined
  readonly notes: readonly string[]
}

async function collect(values: Given, place: ServerPlace, signal: AbortSignal): Promise<Facts> {
  const { rate, seconds, from } = values
  const wait = (ms: number): Promise<void> => sleep(ms, undefined, { signal })
  const console =
    values.console === undefined
      ? undefined
      : await readConsole('--console', values.console, seconds, wait)
  const given =
    rate !== undefined && values['service-ms'] !== undefined
      ? demandFromNumbers(rate, values['service-ms'])
      : from !== undefined
        ? await demandFromDoctor(from, rate)
        : undefined
  const demand = given ?? console?.demand
  if (demand === undefined && values.console !== undefined) {
    throw invalid(
      `--console shows no transaction in ${seconds} s: measure while the application works, or give --rate and --service-ms`,
    )
  }
  if (demand === undefined) {
    const measured = await measureServer(place.option, place.url ?? '', seconds, wait)
    return { ...measured, console, notes: measured.notes }
  }
  if (place.url === undefined || values['max-connections'] !== undefined) {
    return { demand, limits: undefined, console, notes: [] }
  }
  try {
    return { demand, console, ...(await readLimits(place.option, place.url)) }
  } catch (error) {
    // Asked for by name it must be there; the variable may be meant for another machine.
    if (values.database !== undefined) throw error
    return { demand, limits: undefined, console, notes: [`${(error as Error).message}.`] }
  }
}

function assertSource(values: Given): void {
  const { rate, from, console, database } = values
  const service = values['service-ms']
  if (from !== undefined && service !== undefined) {
    throw invalid('--from tells how long statements take, and so does --service-ms; give one')
  }
  if (service !== undefined && rate === undefined) {
    throw invalid('--service-ms needs --rate: how many transactions per second take that long')
  }
  if (rate !== undefined && service === undefined && from === undefined) {
    throw invalid(
      '--rate needs --service-ms (how long each holds its connection) or --from (a document of hasten doctor)',
    )
  }
  const isMeasured = console !== undefined || database !== undefined || process.env['DATABASE_URL']
  if (rate === undefined && from === undefined && !isMeasured) {
    throw invalid(
      'nothing tells the demand; give --rate and --service-ms, or --from a document of hasten doctor, or --console of a PgBouncer or --database to measure',
    )
  }
}

function assertStart(program: BouncerProgram | undefined, place: ServerPlace): void {
  if (program === undefined) {
    throw new HastenError(
      'PGBOUNCER_NOT_STARTED',
      'there is no pgbouncer on this machine (on Debian: apt-get install pgbouncer); --binary names one elsewhere',
    )
  }
  if (place.url === undefined) {
    throw invalid(
      '--start needs the server: --database postgres://user:password@host:5432/database',
    )
  }
}

function listenAt(text: string): { host: string; port: number } | undefined {
  const [, host, digits] = /^([\w.-]+|\[[\da-fA-F:]+\]|\*):(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  if (host === undefined || port < 1 || port > 65_535) return undefined
  return { host: host.replace(/^\[|\]$/g, ''), port }
}

function versionOf(text: string): readonly [number, number] | undefined {
  const [, major, minor] = /^(\d+)\.(\d+)(?:\.\d+)?$/.exec(text) ?? []
  return major === undefined ? undefined : [Number(major), Number(minor)]
}

function invalid(message: string): HastenError {
  return new HastenError('OPTION_INVALID', message)
}
