#!/usr/bin/env node
/**
 * The command `hasten`: finds the subcommand, loads only that, turns errors into one clear line.
 *
 * Exit codes: 0 fine; 1 a `--fail-on` was met, or the target could not be examined; 2 the command
 * line is wrong; 130 interrupted (what was measured until then has been printed).
 */
import { isHastenError } from '../core/errors.ts'
import { version } from './version.ts'

const commands: Readonly<Record<string, { what: string; run(argv: string[]): Promise<number> }>> = {
  doctor: {
    what: 'run a server under observation and say what is slow, why, and what mending it saves',
    run: async (argv) => (await import('./doctor.ts')).doctorCommand(argv),
  },
  compare: {
    what: 'send the same traffic to two versions of a server and say which is faster',
    run: async (argv) => (await import('./compare.ts')).compareCommand(argv),
  },
  pgbouncer: {
    what: 'write a pgbouncer.ini and the pool’s options, sized by the measured load',
    run: async (argv) => (await import('./pgbouncer.ts')).pgbouncerCommand(argv),
  },
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code
  },
  (error: unknown) => {
    process.stderr.write(
      isHastenError(error) ? `hasten: ${error.message}\n` : `${stackOf(error)}\n`,
    )
    process.exitCode = isHastenError(error) && error.code === 'OPTION_INVALID' ? 2 : 1
  },
)

async function main([name, ...argv]: string[]): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(usage())
    return name === undefined ? 2 : 0
  }
  if (name === '--version' || name === '-v') {
    process.stdout.write(`${version()}\n`)
    return 0
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) {
    process.stderr.write(`hasten: there is no command ${JSON.stringify(name)}.\n\n${usage()}`)
    return 2
  }
  return command.run(argv)
}

function usage(): string {
  const lines = Object.entries(commands).map(([name, { what }]) => `  ${name.padEnd(9)} ${what}`)
  return `Usage: hasten <command> [options] -- <your server's command>

${lines.join('\n')}

  hasten <command> --help tells each option with its default and unit.
`
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
