/** The text of `--help`: each option with what it does, its unit and its default. */
import type { CommandDescription, OptionSpec } from './options.ts'
import { PROSE_WIDTH, wrapProse } from './prose.ts'

export function helpOf<O extends Readonly<Record<string, OptionSpec>>>(
  description: CommandDescription<O>,
): string {
  const rows = [
    ...Object.entries<OptionSpec>(description.options).map(([name, spec]) => ({
      left: spec.type === 'flag' ? `--${name}` : `--${name} ${placeholder(spec)}`,
      right: `${spec.what}${aside(spec)}`,
    })),
    { left: '-h, --help', right: 'This text' },
  ]
  const width = Math.max(...rows.map(({ left }) => left.length))
  const indent = ' '.repeat(width + 4)
  return [
    `hasten ${description.name}: ${description.what}`,
    '',
    `Usage: hasten ${description.name} ${description.usage}`,
    '',
    'Options:',
    ...rows.map(
      ({ left, right }) =>
        `  ${left.padEnd(width)}  ${wrapProse(right, Math.max(30, PROSE_WIDTH - indent.length)).join(`\n${indent}`)}`,
    ),
    ...(description.examples === undefined
      ? []
      : ['', 'Examples:', ...description.examples.map((example) => `  ${example}`)]),
    ...(description.more === undefined ? [] : ['', description.more]),
    '',
  ].join('\n')
}

export function placeholder(spec: OptionSpec): string {
  if (spec.type === 'flag') return ''
  return `<${'value' in spec ? spec.value : 'n'}>`
}

/** ` (ms; default 200)` */
function aside(spec: OptionSpec): string {
  if (spec.type === 'flag') return ' (default: off)'
  if (spec.type === 'list') return ' (may be repeated; default: none)'
  const unit = 'unit' in spec && spec.unit !== undefined ? `${spec.unit}; ` : ''
  const fallback =
    spec.otherwise ??
    (spec.default === undefined
      ? 'none'
      : typeof spec.default === 'string' || typeof spec.default === 'number'
        ? String(spec.default)
        : JSON.stringify(spec.default))
  return ` (${unit}default: ${fallback})`
}
