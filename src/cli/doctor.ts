/**
 * `hasten doctor`: starts a server under observation, drives it, and says what is slow, why, and
 * what mending it would save. The steps: doctor/examination.ts; safety with strangers' code: drive/.
 *
 * stdout carries the report alone (or the JSON document alone); progress and the server's own
 * trouble go to stderr. Ctrl-C ends the examination, not the report.
 */
import { writeFileSync } from 'node:fs'
import { advise } from '../advisor/index.ts'
import { HastenError } from '../core/errors.ts'
import { readRequestFile } from '../load/index.ts'
import {
  type DoctorDocument,
  isColoured,
  type LoadMode,
  Progress,
  renderHtml,
  renderTerminal,
} from '../report/index.ts'
import { type ConfiguredDatabase, remoteDatabaseOf } from './doctor/configured-database.ts'
import { documentOf } from './doctor/document.ts'
import { Examination, requestsOf, type Traffic } from './doctor/examination.ts'
import { type FailOn, failOn } from './doctor/fail-on.ts'
import { discoverTraffic } from './drive/index.ts'
import { endingSignals } from './ending-signals.ts'
import { goalOf } from './goal.ts'
import { defineOptions, type Values } from './options.ts'
import { Target } from './target/index.ts'
import { originOf } from './origin.ts'
import { version } from './version.ts'

const options = {
  requests: {
    type: 'text',
    value: 'file',
    what: 'Traffic: one JSON object a line with method, path, headers, body, weight',
    otherwise: 'the GET routes that Fastify or Express tell',
  },
  watch: { type: 'flag', what: 'Send nothing; look at the traffic that comes from elsewhere' },
  params: {
    type: 'list',
    value: 'name=value[,name=value]',
    what: 'Values for the parameters of discovered routes',
  },
  openapi: {
    type: 'text',
    value: 'file',
    what: 'OpenAPI document whose examples fill the parameters',
    otherwise: 'the one that the server serves, if it does',
  },
  header: {
    type: 'list',
    value: 'name: value',
    what: 'Sent with every request, such as an authorization',
  },
  'allow-writes': { type: 'flag', what: 'Drive discovered routes that write to the database' },
  'allow-outbound': { type: 'flag', what: 'Drive discovered routes that call other machines' },
  'allow-remote-database': {
    type: 'flag',
    what: 'Drive although the database is on another machine',
  },
  rate: {
    type: 'number',
    unit: 'requests per second',
    above: 0,
    what: 'Rate of the load',
    otherwise: 'found: busy, and still keeping up',
  },
  goal: {
    type: 'custom',
    value: 'p95=ms',
    what: 'Search the highest rate that holds this latency, and measure there',
    parse: goalOf,
    rule: 'a latency goal such as p95=200',
  },
  seconds: {
    type: 'number',
    unit: 's',
    above: 0,
    max: 86_400,
    default: 20,
    what: 'Length of the load, or of the watch',
  },
  solo: {
    type: 'integer',
    unit: 'requests',
    min: 1,
    max: 100,
    default: 5,
    what: 'Requests of each route that are sent one at a time',
  },
  seed: {
    type: 'integer',
    unit: 'number',
    min: 0,
    default: 1,
    what: 'Decides the order of the load',
  },
  timeout: {
    type: 'number',
    unit: 's',
    above: 0,
    default: 30,
    what: 'How long the server may take until it listens',
  },
  port: {
    type: 'integer',
    unit: 'port',
    min: 1,
    max: 65_535,
    what: 'Which of its servers to drive',
    otherwise: 'the first that listens',
  },
  json: { type: 'flag', what: 'Print the JSON document on stdout, and nothing else' },
  html: { type: 'text', value: 'file', what: 'Write the report as one page as well' },
  'fail-on': {
    type: 'custom',
    value: 'kind|ms[,…]',
    what: 'Exit with 1 where a finding of this kind, or one that saves so many ms, is there',
    parse: (text: string): FailOn => failOn(text),
    rule: 'a kind of finding or a number of milliseconds',
  },
} as const

const commandLine = defineOptions({
  name: 'doctor',
  what: 'starts a server under observation, drives it, and says what is slow and why',
  usage: '[options] -- <command>',
  options,
  examples: [
    'hasten doctor -- node server.js',
    'hasten doctor --requests traffic.jsonl --html report.html -- npm start',
    'hasten doctor --watch --seconds 60 -- node server.js',
  ],
})

type Options = Values<typeof options>

/** Returns the exit code. */
export async function doctorCommand(argv: readonly string[]): Promise<number> {
  const { values, command, isHelp } = commandLine.parse(argv)
  if (isHelp) {
    process.stdout.write(commandLine.help())
    return 0
  }
  if (command.length === 0) {
    throw new HastenError(
      'OPTION_INVALID',
      'the command of your server is missing: hasten doctor [options] -- node server.js',
    )
  }
  if (values.watch && (values.requests !== undefined || values.goal !== undefined)) {
    throw new HastenError(
      'OPTION_INVALID',
      '--watch sends nothing: --requests and --goal go without it',
    )
  }
  if (values.rate !== undefined && values.goal !== undefined) {
    throw new HastenError(
      'OPTION_INVALID',
      '--rate gives the rate, --goal searches it: give one of them',
    )
  }
  if (!values.watch && !values['allow-remote-database']) refuseRemote(remoteDatabaseOf(process.env))
  // Read before anything is started: a wrong file should cost nobody a server.
  const given = values.requests === undefined ? undefined : await readRequestFile(values.requests)
  const interrupt = new AbortController()
  const onSignal = () => interrupt.abort(new Error('interrupted'))
  for (const name of endingSignals) process.on(name, onSignal)
  try {
    return await examine(values, command, given, interrupt.signal)
  } catch (error) {
    // Before it listened there is nothing to report.
    if (interrupt.signal.aborted && error === interrupt.signal.reason) return 130
    throw error
  } finally {
    for (const name of endingSignals) process.off(name, onSignal)
  }
}

async function examine(
  values: Options,
  command: readonly string[],
  given: Traffic['requests'] | undefined,
  signal: AbortSignal,
): Promise<number> {
  const progress = new Progress()
  progress.update('starting', command.join(' '))
  const target = await Target.start(command, { readyTimeoutMs: values.timeout * 1000, signal })
  try {
    const mode: LoadMode = values.watch ? 'watched' : given === undefined ? 'discovered' : 'given'
    const origin = originOf(target.listening, values.port)
    const examination = new Examination(target, mode, {
      origin,
      solo: values.solo,
      ratePerSecond: values.rate,
      goal: values.goal,
      seconds: values.seconds,
      seed: values.seed,
      isRemoteAllowed: values['allow-remote-database'],
      signal,
      progress,
    })
    const ports = [...new Set(target.listening.map(({ port }) => port))]
    if (!values.watch && values.port === undefined && ports.length > 1) {
      examination.notes.push(
        `The command listens on the ports ${ports.join(', ')}; ${new URL(origin).port} was driven. Choose with --port.`,
      )
    }
    await run(examination, target, values, origin, given, signal, progress)
    const document = await report(examination, target, command, signal)
    progress.clear()
    print(document, examination, values)
    const isFailed = values['fail-on'] !== undefined && document.findings.some(values['fail-on'])
    if (signal.aborted) return 130
    return document.crash !== undefined || isFailed ? 1 : 0
  } finally {
    progress.clear()
    await target.stop()
  }
}

async function run(
  examination: Examination,
  target: Target,
  values: Options,
  origin: string,
  given: Traffic['requests'] | undefined,
  signal: AbortSignal,
  progress: Progress,
): Promise<void> {
  try {
    if (values.watch) return await examination.watch(values.seconds)
    const headers = headersOf(values.header)
    if (given !== undefined) {
      const requests = given.map((each) => ({ ...each, headers: { ...headers, ...each.headers } }))
      return await examination.drive({ mode: 'given', requests, notDriven: [] })
    }
    const found = await discoverTraffic({
      target,
      origin,
      headers,
      params: values.params,
      ...(values.openapi === undefined ? {} : { openapi: values.openapi }),
      allowWrites: values['allow-writes'],
      allowOutbound: values['allow-outbound'],
      allowRemoteDatabase: values['allow-remote-database'],
      signal,
      onProgress: (detail: string) => progress.update('finding out what to ask', detail),
    })
    if (found.requests.length === 0 && !signal.aborted && !examination.hasEnded) {
      examination.notes.push(
        found.notDriven.length === 0
          ? 'No route is known: the framework does not tell. Give traffic with --requests, or look at traffic from elsewhere with --watch.'
          : 'No route could be driven; each is listed with the reason. Give traffic with --requests, or use --params and --header.',
      )
    }
    await examination.drive({ mode: 'discovered', ...found })
  } catch (error) {
    // A server that crashed or a user who left: what was seen until then is reported.
    if (!signal.aborted && !examination.hasEnded) throw error
  }
}

async function report(
  examination: Examination,
  target: Target,
  command: readonly string[],
  signal: AbortSignal,
): Promise<DoctorDocument> {
  const { observation } = examination
  const document = documentOf({
    version: version(),
    command,
    observation,
    findings: advise(observation),
    load: examination.summary,
    ...(examination.driven === undefined ? {} : { driven: examination.driven }),
    notDriven: examination.notDriven,
  })
  const seen = target.seen()
  const notes = [...examination.notes, ...target.warnings]
  if (seen.nothingHooked) {
    notes.push('No library that can be observed was loaded: only HTTP itself was seen.')
  }
  for (const { host, port, database, away } of target.databases()) {
    if (away !== undefined) {
      notes.push(`The database ${database} on ${host}:${port} is away (${away}).`)
    }
  }
  const exit = examination.hasEnded ? await target.exited : undefined
  return {
    ...document,
    notes,
    seen,
    ...(signal.aborted ? { isInterrupted: true } : {}),
    ...(exit === undefined || signal.aborted
      ? {}
      : { crash: { code: exit.code, signal: exit.signal, message: exit.crash ?? '' } }),
  }
}

function print(document: DoctorDocument, examination: Examination, values: Options): void {
  const { observation, driven } = examination
  if (values.html !== undefined) {
    const page = renderHtml(document, {
      requests: requestsOf(observation),
      statements: observation.statements,
      plans: observation.plans,
      ...(driven === undefined ? {} : { latencies: driven.routes }),
    })
    writeFileSync(values.html, page)
  }
  if (values.json) {
    process.stdout.write(`${JSON.stringify(document, null, 2)}\n`)
    return
  }
  const { columns } = process.stdout
  const color = isColoured(process.stdout)
  process.stdout.write(renderTerminal(document, { color, width: columns ?? 100 }))
  if (values.html !== undefined) process.stdout.write(`\nThe same as a page: ${values.html}\n`)
}

function refuseRemote(database: ConfiguredDatabase | undefined): void {
  if (database === undefined) return
  throw new HastenError(
    'DATABASE_REMOTE',
    `${database.variable} names a database on ${database.host}, which is not this machine. Nothing was started. Say --allow-remote-database if load on it is fine, or --watch to look at the server's own traffic.`,
  )
}

function headersOf(lines: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+)\s*:\s*(.*)$/.exec(line) ?? []
    if (name === undefined || value === undefined) {
      throw new HastenError(
        'OPTION_INVALID',
        `--header must be 'name: value', got ${JSON.stringify(line)}`,
      )
    }
    headers[name.toLowerCase()] = value
  }
  return headers
}
