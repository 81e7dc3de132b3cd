/**
 * PgBouncer as a child of ours, with the file that was written.
 *
 * It refuses to be root, and reads its user list after it has become somebody else: so for root, file
 * and list lie in a private folder that belongs to `nobody`, who runs it. The list holds the password
 * of `--database` in the clear, is readable by its owner alone, and goes with the folder.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { accessSync, chownSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { HastenError } from '../../core/errors.ts'

export interface BouncerProgram {
  readonly path: string
  /** `[1, 24]` */
  readonly version: readonly [number, number]
}

export interface RunOptions {
  readonly program: BouncerProgram
  readonly ini: string
  /** `auth_file` as it stands in `ini`. */
  readonly authFile: string
  readonly login: { readonly user: string; readonly password: string } | undefined
  readonly signal: AbortSignal
  readonly onReady: () => void
}

const NOBODY = 65_534
const LAST_LINES = 8

/** Undefined where there is none on this machine. */
export async function findBouncer(given: string | undefined): Promise<BouncerProgram | undefined> {
  const path = given ?? onPath()
  if (path === undefined) return undefined
  try {
    const { stdout } = await promisify(execFile)(path, ['--version'], { timeout: 10_000 })
    const [, major, minor] = /PgBouncer (\d+)\.(\d+)/.exec(stdout) ?? []
    if (major === undefined || minor === undefined) throw new Error(`it says ${stdout.trim()}`)
    return { path, version: [Number(major), Number(minor)] }
  } catch (error) {
    if (given === undefined) return undefined
    throw new HastenError(
      'OPTION_INVALID',
      `--binary ${given} is no PgBouncer that runs here (${(error as Error).message})`,
    )
  }
}

/** Settles when it has ended because `signal` said so; rejects where it ended by itself. */
export async function runBouncer(options: RunOptions): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'hasten-pgbouncer-'))
  const isRoot = process.getuid?.() === 0
  try {
    const child = spawn(options.program.path, [layOut(folder, options, isRoot)], {
      cwd: folder,
      ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}),
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    await untilEnd(child, options)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function layOut(folder: string, { ini, authFile, login }: RunOptions, isRoot: boolean): string {
  const place = join(folder, 'pgbouncer.ini')
  const list = join(folder, 'userlist.txt')
  const files = [
    [
      place,
      login === undefined ? ini : ini.replace(`auth_file = ${authFile}`, `auth_file = ${list}`),
    ],
    ...(login === undefined ? [] : [[list, `${quoted(login.user)} ${quoted(login.password)}\n`]]),
  ] as [string, string][]
  for (const [file, text] of files) {
    writeFileSync(file, text, { mode: 0o600 })
    if (isRoot) chownSync(file, NOBODY, NOBODY)
  }
  if (isRoot) chownSync(folder, NOBODY, NOBODY)
  return place
}

function untilEnd(child: ChildProcess, options: RunOptions): Promise<void> {
  const { signal, program, onReady } = options
  const last: string[] = []
  let isUp = false
  // From 1.23 on SIGTERM waits for the clients to go; before, SIGQUIT was not handled.
  const [major, minor] = program.version
  const stop = (): void => {
    child.kill(major === 1 && minor < 23 ? 'SIGTERM' : 'SIGQUIT')
  }
  signal.addEventListener('abort', stop)
  return new Promise<void>((resolve, reject) => {
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      process.stderr.write(text)
      last.push(...text.split('\n').filter((line) => line !== ''))
      last.splice(0, last.length - LAST_LINES)
      if (isUp || !text.includes('process up')) return
      isUp = true
      onReady()
    })
    child.once('error', (error) => reject(notStarted(program, error.message)))
    // After its last words.
    child.once('close', (code, by) => {
      if (signal.aborted) resolve()
      else {
        const how = `${isUp ? 'ended' : 'did not start'} (${by ?? `exit code ${code}`})`
        reject(notStarted(program, `it ${how}:\n${last.join('\n')}`))
      }
    })
    if (signal.aborted) stop()
  }).finally(() => signal.removeEventListener('abort', stop))
}

function notStarted({ path }: BouncerProgram, reason: string): HastenError {
  return new HastenError('PGBOUNCER_NOT_STARTED', `PgBouncer (${path}) does not run: ${reason}`)
}

function onPath(): string | undefined {
  // Debian's lies where the PATH of an ordinary user does not look.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  for (const folder of folders) {
    if (folder === '') continue
    const path = join(folder, 'pgbouncer')
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not in this one.
    }
  }
  return undefined
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`
}
