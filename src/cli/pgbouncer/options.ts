/** What `hasten pgbouncer` may be asked for, and which of it goes together. */
import { HastenError } from '../../core/errors.ts'
import { type CommandLine, defineOptions, type Values } from '../options.ts'
import type { Plan } from './plan.ts'

interface Address {
  readonly host: string
  readonly port: number
}

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
    parse: (text: string): Address | undefined => addressOf(text),
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
    parse: (text: string): readonly [number, number] | undefined => versionOf(text),
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

export type Given = Values<typeof options>

export const commandLine: CommandLine<typeof options> = defineOptions({
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

/** @throws OPTION_INVALID where options tell the demand twice, by half, or not at all */
export function assertSource(values: Given): void {
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

function addressOf(text: string): Address | undefined {
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
