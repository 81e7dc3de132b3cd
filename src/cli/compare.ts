/**
 * `hasten compare`: the same traffic to two versions of a server, and what may be said about them.
 *
 * The work is done by others: compare/sides.ts runs a side, src/compare judges. Here stands what the
 * user meets: options, progress on stderr, the result alone on stdout, and Ctrl-C, after which what
 * was measured is told and no process is left.
 */
import { compareMeasurements, type Measurement, nameOf, turnsOf } from '../compare/index.ts'
import { HastenError } from '../core/errors.ts'
import { readRequestFile } from '../load/index.ts'
import { isColoured, Progress } from '../report/index.ts'
import { endingSignals } from './ending-signals.ts'
import { goalOf } from './goal.ts'
import { renderComparison } from './compare/report.ts'
import { type LoadPlan, Sides } from './compare/sides.ts'
import { defineOptions, type Values } from './options.ts'
import { version } from './version.ts'

const SIDES_MAX = 8

const options = {
  requests: {
    type: 'text',
    value: 'file',
    what: 'Traffic: JSON lines with method, path, headers, body, weight; required',
  },
  rate: {
    type: 'number',
    unit: 'requests per second',
    above: 0,
    max: 100_000,
    what: 'Rate of the load, for all sides',
    otherwise: 'half of what the slowest side keeps up with',
  },
  seconds: {
    type: 'number',
    unit: 's',
    above: 0,
    max: 3600,
    default: 5,
    what: 'Length of each run',
  },
  warmup: {
    type: 'number',
    unit: 's',
    min: 0,
    max: 600,
    default: 2,
    what: 'Load before each run that is not counted',
  },
  rounds: {
    type: 'integer',
    unit: 'rounds',
    min: 3,
    max: 200,
    default: 5,
    what: 'How often each side runs; the first one twice, as its own control',
  },
  goal: {
    type: 'custom',
    value: 'p95=ms',
    what: 'Search in each run the highest rate that holds this latency, and compare these too',
    parse: goalOf,
    rule: 'a latency goal such as p95=200',
  },
  seed: {
    type: 'integer',
    unit: 'any whole number',
    min: 0,
    max: 2 ** 31,
    default: 1,
    what: 'Of traffic and statistics: the same gives the same requests at the same moments',
  },
  timeout: {
    type: 'number',
    unit: 's',
    above: 0,
    max: 3600,
    default: 30,
    what: 'Longest wait until a side listens',
  },
  'allow-remote-database': {
    type: 'flag',
    what: 'Drive although the database is on another machine',
  },
  json: { type: 'flag', what: 'Print the comparison as JSON, and nothing else, on stdout' },
} as const

const line = defineOptions({
  name: 'compare',
  what: 'sends the same traffic to two or more versions of a server and says which is faster.',
  usage: '--requests <file> [options] -- "node before.js" "node after.js"',
  options,
  examples: [
    'hasten compare --requests traffic.jsonl -- "node before.js" "node after.js"',
    'hasten compare --requests traffic.jsonl --goal p95=200 --rounds 9 -- "npm start" "PG_POOL=20 npm start"',
  ],
  more: `Each command is one word to the shell, so quote it. One side runs at a time, so all may use
the same port. Times are those of requests at a fixed rate, from the moment each was meant
to be sent. Exit code: 0 whatever the verdict, 1 where a side could not be measured,
2 for a wrong command line, 130 after Ctrl-C.`,
})

/** Returns the exit code. */
export async function compareCommand(argv: string[]): Promise<number> {
  const { values, command: commands, isHelp } = line.parse(argv)
  if (isHelp) {
    process.stdout.write(line.help())
    return 0
  }
  assertCommands(commands)
  if (values.requests === undefined) {
    throw new HastenError(
      'OPTION_INVALID',
      '--requests must name a file with the traffic: two servers are only compared under the same requests',
    )
  }
  // Read before anything is started: a wrong file should cost nobody a server.
  const requests = await readRequestFile(values.requests)
  const interrupt = new AbortController()
  const onSignal = () => interrupt.abort(new Error('interrupted'))
  for (const name of endingSignals) process.on(name, onSignal)
  const progress = new Progress()
  try {
    const sides = new Sides({
      commands,
      requests,
      readyTimeoutMs: values.timeout * 1000,
      isRemoteAllowed: values['allow-remote-database'],
      seed: values.seed,
      signal: interrupt.signal,
      progress,
    })
    return await compare(
      sides,
      { ...values, requests: values.requests },
      commands,
      interrupt.signal,
      progress,
    )
  } finally {
    progress.clear()
    for (const name of endingSignals) process.off(name, onSignal)
  }
}

type Given = Omit<Values<typeof options>, 'requests'> & { readonly requests: string }

async function compare(
  sides: Sides,
  values: Given,
  commands: readonly string[],
  signal: AbortSignal,
  progress: Progress,
): Promise<number> {
  const measurements: Measurement[] = []
  const notes: string[] = []
  let ratePerSecond = values.rate
  let failure: unknown
  try {
    if (ratePerSecond === undefined) {
      const found = await sides.findRate()
      ratePerSecond = found.ratePerSecond
      notes.push(...found.overwhelmed.map((side) => overwhelmed(side, found.ratePerSecond)))
    }
    await measureAll(sides, planOf(values, ratePerSecond), values.rounds, measurements)
  } catch (error) {
    // What was measured until now is still told; then the error.
    failure = error
  }
  progress.clear()
  if (ratePerSecond !== undefined && (failure === undefined || measurements.length > 0)) {
    if (failure !== undefined) notes.unshift(cutShort(values.rounds, signal.aborted))
    const document = compareMeasurements({
      version: version(),
      load: {
        requests: values.requests,
        ratePerSecond,
        seconds: values.seconds,
        warmupSeconds: values.warmup,
        seed: values.seed,
        ...(values.goal === undefined ? {} : { goal: values.goal }),
      },
      commands,
      measurements,
      notes: [...notes, ...sides.warnings],
    })
    process.stdout.write(
      values.json
        ? `${JSON.stringify(document, undefined, 2)}\n`
        : renderComparison(document, {
            color: isColoured(process.stdout),
            width: process.stdout.columns ?? 100,
          }),
    )
  }
  if (failure === undefined) return 0
  if (signal.aborted) {
    process.stderr.write('hasten: interrupted\n')
    return 130
  }
  throw failure
}

async function measureAll(
  sides: Sides,
  plan: LoadPlan,
  rounds: number,
  measurements: Measurement[],
): Promise<void> {
  for (const turn of turnsOf(sides.count, rounds)) {
    const name = `${nameOf(turn.side)}${turn.isControl ? '′' : ''}`
    const step = `round ${turn.round + 1} of ${rounds}, ${name}`
    measurements.push(await sides.measure(turn, plan, step))
  }
}

function planOf({ seconds, warmup, goal }: Given, ratePerSecond: number): LoadPlan {
  return { ratePerSecond, seconds, warmupSeconds: warmup, goal }
}

function assertCommands(commands: readonly string[]): void {
  if (commands.length >= 2 && commands.length <= SIDES_MAX) {
    if (commands.every((command) => command.trim() !== '')) return
    throw new HastenError('OPTION_INVALID', 'a command is empty; give each side one, in quotes')
  }
  throw new HastenError(
    'OPTION_INVALID',
    `hasten compare needs two to ${SIDES_MAX} commands after --, each in quotes, got ${commands.length}: ` +
      'hasten compare --requests traffic.jsonl -- "node before.js" "node after.js"',
  )
}

function overwhelmed(side: number, ratePerSecond: number): string {
  return `${nameOf(side)} did not keep up with any rate; ${ratePerSecond} per second was used. Its times hold a queue that grows.`
}

function cutShort(rounds: number, isInterrupted: boolean): string {
  return `${isInterrupted ? 'Interrupted' : 'Ended early'}: not all of ${rounds} rounds were measured, and only whole ones count.`
}
