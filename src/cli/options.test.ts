import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defineOptions } from './options.ts'

const line = defineOptions({
  name: 'try',
  what: 'tries things.',
  usage: '[options] -- <command>',
  options: {
    requests: { type: 'text', value: 'file', what: 'File with the traffic' },
    rate: {
      type: 'number',
      unit: 'requests per second',
      above: 0,
      what: 'How much',
      otherwise: 'searched for',
    },
    rounds: { type: 'integer', unit: 'rounds', min: 3, max: 100, default: 5, what: 'How often' },
    json: { type: 'flag', what: 'Print JSON' },
    'fail-on': { type: 'list', value: 'kind', what: 'Fail on it' },
    colour: {
      type: 'custom',
      value: 'name',
      parse: (text) => (text === 'red' || text === 'blue' ? text : undefined),
      rule: 'red or blue',
      default: 'red',
      what: 'Paint it',
    },
  },
})

test('reads values, defaults and the command after --', () => {
  const { values, command, given } = line.parse([
    '--rate=2.5',
    '--json',
    '--fail-on',
    'a',
    '--fail-on',
    'b',
    '--',
    'node',
    'x.js',
    '--rate',
    '7',
    '--',
    'z',
  ])

  assert.deepEqual(
    { ...values },
    {
      requests: undefined,
      rate: 2.5,
      rounds: 5,
      json: true,
      'fail-on': ['a', 'b'],
      colour: 'red',
    },
  )
  assert.deepEqual(command, ['node', 'x.js', '--rate', '7', '--', 'z'])
  assert.deepEqual([...given], ['rate', 'json', 'fail-on'])
})

test('--help and -h are seen among others, not behind --', () => {
  assert.equal(line.parse(['--json', '--help']).isHelp, true)
  assert.equal(line.parse(['-h']).isHelp, true)
  assert.equal(line.parse(['--', 'node', '--help']).isHelp, false)
})

const refused: readonly (readonly [argv: string[], message: RegExp])[] = [
  [['--raet', '3'], /no option --raet; did you mean --rate\?/],
  [['--nonsense'], /no option --nonsense; hasten try --help/],
  [['-x'], /no option -x/],
  [['--constructor'], /no option --constructor/],
  [['--rate'], /--rate needs a value: --rate <n>/],
  [['--rate', '--json'], /--rate needs a value/],
  [['--rate', '-1'], /--rate must be a number above 0 \(requests per second\), got "-1"/],
  [['--rate', '0'], /above 0/],
  [['--rate', 'many'], /got "many"/],
  [['--rate', '0x10'], /got "0x10"/],
  [['--rate', ''], /got ""/],
  [['--rate', 'Infinity'], /got "Infinity"/],
  [['--rounds', '2.5'], /a whole number at least 3 and at most 100/],
  [['--rounds', '101'], /got "101"/],
  [['--rate', '1', '--rate', '2'], /given twice/],
  [['--json=yes'], /takes no value/],
  [['--requests='], /must not be empty/],
  [['--colour', 'green'], /--colour must be red or blue, got "green"/],
  [['node', 'x.js'], /"node" is no option.*after --/],
]
for (const [argv, message] of refused) {
  test(`refuses ${argv.join(' ')}`, () => {
    assert.throws(() => line.parse(argv), { code: 'OPTION_INVALID', message })
  })
}

test('help names every option with unit and default', () => {
  const help = line.help()

  assert.match(help, /^hasten try: tries things\.\n\nUsage: hasten try \[options\] -- <command>\n/)
  assert.match(help, /--requests <file> +File with the traffic \(default: none\)/)
  assert.match(help, /--rate <n> +How much \(requests per second; default: searched for\)/)
  assert.match(help, /--rounds <n> +How often \(rounds; default: 5\)/)
  assert.match(help, /--json +Print JSON \(default: off\)/)
  assert.match(help, /--colour <name> +Paint it \(default: red\)/)
  assert.match(help, /-h, --help/)
})
