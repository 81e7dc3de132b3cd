/**
 * A command's options: one table that reads the command line and writes `--help`.
 *
 * What is told can then not differ from what is done: name, unit, default and bounds stand once.
 * Nothing is guessed: an unknown option, a value that is missing, out of bounds or given twice is
 * refused with the rule and the value, and what looks like a slip of the finger gets the name that
 * was meant. Everything after `--` is the user's own command and is never looked into; a word that
 * stands before it is refused, since `hasten doctor node x.js --port 3` would give `--port` to us.
 */
import { parseArgs } from 'node:util'
import { HastenError } from '../core/errors.ts'
import { helpOf, placeholder } from './options-help.ts'

interface Described {
  /** One sentence, no full stop. */
  readonly what: string
}

export interface FlagOption extends Described {
  readonly type: 'flag'
}

export interface TextOption extends Described {
  readonly type: 'text'
  /** What stands for the value in the help, `file`. */
  readonly value: string
  readonly default?: string
  /** Instead of a default in the help, where it is computed. */
  readonly otherwise?: string
}

export interface NumberOption extends Described {
  readonly type: 'number' | 'integer'
  /** `requests per second`, `s`. */
  readonly unit: string
  readonly above?: number
  readonly min?: number
  readonly max?: number
  readonly default?: number
  readonly otherwise?: string
}

export interface CustomOption<T> extends Described {
  readonly type: 'custom'
  readonly value: string
  readonly unit?: string
  /** Returns undefined for what it does not understand. */
  readonly parse: (text: string) => T | undefined
  /** What `parse` understands, for the error: `a latency goal such as p95=200`. */
  readonly rule: string
  readonly default?: T
  readonly otherwise?: string
}

/** May be given several times; every value is a text. */
export interface ListOption extends Described {
  readonly type: 'list'
  readonly value: string
}

export type OptionSpec =
  | FlagOption
  | TextOption
  | NumberOption
  | ListOption
  // oxlint-disable-next-line typescript/no-explicit-any -- variance: `parse` returns what it wants
  | CustomOption<any>

type ValueOf<S extends OptionSpec> = S extends FlagOption
  ? boolean
  : S extends ListOption
    ? readonly string[]
    :
        | (S extends TextOption ? string : S extends CustomOption<infer T> ? T : number)
        | (S extends { readonly default: unknown } ? never : undefined)

export type Values<O extends Readonly<Record<string, OptionSpec>>> = {
  readonly [K in keyof O]: ValueOf<O[K]>
}

export interface Parsed<O extends Readonly<Record<string, OptionSpec>>> {
  readonly values: Values<O>
  /** Options that the user wrote, as against defaults. */
  readonly given: ReadonlySet<string>
  /** What stood after `--`. */
  readonly command: readonly string[]
  readonly isHelp: boolean
}

export interface CommandLine<O extends Readonly<Record<string, OptionSpec>>> {
  /** Throws OPTION_INVALID. */
  parse(argv: readonly string[]): Parsed<O>
  help(): string
}

export interface CommandDescription<O extends Readonly<Record<string, OptionSpec>>> {
  /** `doctor` */
  readonly name: string
  /** Sentences. */
  readonly what: string
  /** What follows `hasten <name>`. */
  readonly usage: string
  /** Keys are the options' names as typed, without dashes: `fail-on`. */
  readonly options: O
  readonly examples?: readonly string[]
  /** Stands at the end of the help. */
  readonly more?: string
}

export function defineOptions<const O extends Readonly<Record<string, OptionSpec>>>(
  description: CommandDescription<O>,
): CommandLine<O> {
  return {
    parse: (argv) => parse(description, argv),
    help: () => helpOf(description),
  }
}

function parse<O extends Readonly<Record<string, OptionSpec>>>(
  { name: commandName, options }: CommandDescription<O>,
  argv: readonly string[],
): Parsed<O> {
  const values: Record<string, unknown> = {}
  for (const [name, spec] of Object.entries<OptionSpec>(options)) {
    values[name] = spec.type === 'flag' ? false : spec.type === 'list' ? [] : spec.default
  }

  // Not strict: the errors are ours, in the words of this command.
  const { tokens } = parseArgs({
    args: [...argv],
    options: {
      help: { type: 'boolean', short: 'h' },
      ...Object.fromEntries(
        Object.entries<OptionSpec>(options).map(([name, { type }]) => [
          name,
          { type: type === 'flag' ? 'boolean' : 'string' } as const,
        ]),
      ),
    },
    strict: false,
    allowPositionals: true,
    tokens: true,
  })

  const seen = new Set<string>()
  let command: readonly string[] = []
  let isHelp = false
  for (const token of tokens) {
    if (token.kind === 'option-terminator') {
      command = argv.slice(token.index + 1)
      break
    }
    if (token.kind === 'positional') {
      throw invalid(
        `${JSON.stringify(token.value)} is no option of hasten ${commandName}; ` +
          `your own command goes after --, as in: hasten ${commandName} [options] -- ${token.value} …`,
      )
    }
    if (token.name === 'help' || token.rawName === '-h') {
      isHelp = true
      continue
    }
    const spec = Object.hasOwn(options, token.name) ? options[token.name] : undefined
    if (spec === undefined) throw unknownOption(token.rawName, commandName, Object.keys(options))
    if (seen.has(token.name) && spec.type !== 'list') {
      throw invalid(`${token.rawName} is given twice; give it once`)
    }
    seen.add(token.name)
    values[token.name] = valueOf(token.rawName, spec, token, values[token.name])
  }
  return { values: values as Values<O>, given: seen, command, isHelp }
}

function valueOf(
  option: string,
  spec: OptionSpec,
  token: { readonly value?: string | undefined; readonly inlineValue?: boolean | undefined },
  before: unknown,
): unknown {
  if (spec.type === 'flag') {
    if (token.value === undefined) return true
    throw invalid(`${option} takes no value, got ${JSON.stringify(token.value)}`)
  }
  const { value } = token
  // `--rate --json`: the next option is no value, but `--rate -1` is one (and refused as such).
  if (
    value === undefined ||
    (token.inlineValue !== true && /^-(?!\d)/.test(value) && value !== '-')
  ) {
    throw invalid(`${option} needs a value: ${option} ${placeholder(spec)}`)
  }
  switch (spec.type) {
    case 'text':
      if (value === '') throw invalid(`${option} must not be empty`)
      return value
    case 'list':
      if (value === '') throw invalid(`${option} must not be empty`)
      return [...(before as readonly string[]), value]
    case 'custom': {
      const parsed: unknown = spec.parse(value)
      if (parsed !== undefined) return parsed
      throw invalid(`${option} must be ${spec.rule}, got ${JSON.stringify(value)}`)
    }
    default:
      return numberOf(option, spec, value)
  }
}

function numberOf(option: string, spec: NumberOption, text: string): number {
  const value = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN
  const { above = -Infinity, min = -Infinity, max = Infinity } = spec
  const isFine =
    Number.isFinite(value) &&
    value > above &&
    value >= min &&
    value <= max &&
    (spec.type === 'number' || Number.isInteger(value))
  if (isFine) return value
  const bounds = [
    ...(spec.above === undefined ? [] : [`above ${spec.above}`]),
    ...(spec.min === undefined ? [] : [`at least ${spec.min}`]),
    ...(spec.max === undefined ? [] : [`at most ${spec.max}`]),
  ].join(' and ')
  const rule = `${spec.type === 'integer' ? 'a whole number' : 'a number'} ${bounds}`.trimEnd()
  throw invalid(`${option} must be ${rule} (${spec.unit}), got ${JSON.stringify(text)}`)
}

function unknownOption(given: string, commandName: string, names: readonly string[]): HastenError {
  const wanted = given.replace(/^-+/, '')
  const [closest] = names
    .map((name) => ({ name, distance: editDistance(wanted, name) }))
    .filter(({ name, distance }) => distance <= Math.ceil(name.length / 3))
    .sort((a, b) => a.distance - b.distance)
  return invalid(
    `hasten ${commandName} has no option ${given}; ` +
      (closest === undefined
        ? `hasten ${commandName} --help lists them`
        : `did you mean --${closest.name}?`),
  )
}

/** Levenshtein's, row by row. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

function invalid(message: string): HastenError {
  return new HastenError('OPTION_INVALID', message)
}
