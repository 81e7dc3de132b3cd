/**
 * Start failure: why there is no server to look at, in a sentence that says what to do.
 *
 * Several things are often true at once (the port was in use, so the process exited with 1). The
 * one that the user must mend comes first:
 *
 *   database away ▸ port in use ▸ exited ▸ never listened
 */
import { HastenError } from '../../core/errors.ts'
import type { AgentLink } from './agent-link.ts'
import { portHolder } from './port-holder.ts'
import type { Exit, ProcessGroup } from './process-group.ts'

export interface FailedStart {
  readonly command: readonly string[]
  readonly group: ProcessGroup
  readonly links: readonly AgentLink[]
  /** Absent where it did not exit but stayed silent. */
  readonly exit?: Exit
  readonly waitedMs: number
}

const SHOWN_LINES = 12

export function notFound(command: readonly string[], cwd: string, error: unknown): HastenError {
  const { code = 'unknown error' } = error as NodeJS.ErrnoException
  const what = JSON.stringify(command[0])
  const why =
    code === 'ENOENT'
      ? `there is no such command, seen from ${cwd}. Check its spelling and your PATH`
      : code === 'EACCES'
        ? `the file may not be executed. Call it through its interpreter (node ${command[0]}) or make it executable`
        : `the system said ${code}`
  return new HastenError('TARGET_NOT_FOUND', `${what} could not be started: ${why}.`, {
    cause: error,
  })
}

export function startFailure(failed: FailedStart): HastenError {
  const { command, exit, group } = failed
  const known = failed.links.flatMap((link) => [...link.databases.values()])
  const database = known.find(({ away }) => away !== undefined)
  const name = command.join(' ')
  const outcome =
    exit === undefined
      ? `${name} did not listen on a port within ${failed.waitedMs / 1_000} s`
      : `${name} ${ending(exit)} before it listened on a port`

  if (database !== undefined) {
    return new HastenError(
      'TARGET_DATABASE_AWAY',
      `${outcome}: its database at ${database.host}:${database.port} is away (${database.away}). ` +
        `Start that database, or correct the address that the application is given.${lastWords(group)}`,
    )
  }
  const port = portInUse(failed)
  if (port !== undefined) return portTaken(outcome, port, group)
  if (exit === undefined) return silent(outcome, failed)
  return new HastenError(
    'TARGET_EXITED',
    `${outcome}. Mend what its last lines say; ` +
      `the command must run by itself in this folder first.${lastWords(group)}`,
  )
}

/** The port that somebody else holds, where the process ran into one. */
export function portInUse({
  links,
  group,
}: Pick<FailedStart, 'links' | 'group'>): number | undefined {
  const seen = links.flatMap((link) => link.listenErrors).find(({ code }) => code === 'EADDRINUSE')
  if (seen !== undefined) return seen.port
  // Without an agent (not Node, or the error was caught before it saw it) the output may tell.
  for (const line of [...group.stderr.last(), ...group.stdout.last()]) {
    const match = /EADDRINUSE|address already in use/i.exec(line)
    const port = match === null ? undefined : /:(\d{2,5})\b/.exec(line.slice(match.index))?.[1]
    if (port !== undefined) return Number(port)
  }
  return undefined
}

export function opaque(file: string, libraries: readonly string[]): HastenError {
  const list = libraries.join(' and ')
  return new HastenError(
    'TARGET_OPAQUE',
    `${file} is bundled into one file together with ${list}, so nothing can be seen inside: ` +
      `hooks work on modules as they are loaded. Run the unbundled application, or keep the ` +
      `libraries out of the bundle (esbuild: --packages=external; webpack: externals; ` +
      `rollup: external: [${libraries.map((each) => `'${each}'`).join(', ')}]).`,
  )
}

function portTaken(outcome: string, port: number, group: ProcessGroup): HastenError {
  const holder = portHolder(port)
  const by = holder === undefined ? '' : ` by process ${holder.pid} (${holder.command})`
  return new HastenError(
    'TARGET_PORT_IN_USE',
    `${outcome}: port ${port} is in use${by}. ` +
      `End that process, or give the application another port.${lastWords(group)}`,
  )
}

function silent(outcome: string, { links, group }: FailedStart): HastenError {
  const onSockets = links.flatMap((link) => link.listening).filter(({ port }) => port === 0)
  let why = 'It runs, but opened no HTTP server. Is this the command that starts the server?'
  if (onSockets[0] !== undefined) {
    why = `It listens on the Unix socket ${onSockets[0].host} only; let it listen on a TCP port.`
  } else if (links.length === 0) {
    why =
      'No Node process of it has reported: is it a Node application (20.19 or newer), and does ' +
      'it hand on NODE_OPTIONS to the process that serves?'
  }
  return new HastenError(
    'TARGET_SILENT',
    `${outcome}. ${why} If it only needs longer, raise --timeout.${lastWords(group)}`,
  )
}

function ending({ code, signal }: Exit): string {
  return signal === null ? `exited with code ${code}` : `was ended by ${signal}`
}

function lastWords(group: ProcessGroup): string {
  const lines = [...group.stderr.last(SHOWN_LINES)]
  if (lines.every((line) => line.trim() === '')) lines.push(...group.stdout.last(SHOWN_LINES))
  const shown = lines.slice(-SHOWN_LINES).map((line) => `\n  │ ${line}`)
  return shown.length === 0 ? '' : `\n${shown.join('')}`.replace('\n\n', '\n')
}
