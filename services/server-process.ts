/**
 * Server process: a server of somebody else's that lives as long as we need it, and never longer
 * than we do.
 *
 * It runs as `nobody` where we are root, in a process group of its own (Ctrl-C in a terminal is for
 * whoever reads the report, not for the database under it), its output in `log` in its folder. It is
 * ended by `end`, when our process exits, and by a signal that nobody else listens for: whoever does
 * listen has plans of its own, and calls `end`. Against a kill -9 of ours there is no remedy here;
 * see the owned folder.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isRoot, unprivileged } from './cache-folder.ts'
import { MissingService } from './missing-service.ts'
import { type OwnedFolder, waitUntilGone } from './owned-folder.ts'

export interface ServerProcessOptions {
  /** In messages: `PostgreSQL`. */
  readonly name: string
  readonly program: string
  readonly args: readonly string[]
  readonly folder: OwnedFolder
  readonly env: Readonly<Record<string, string | undefined>>
  /** Asked every few milliseconds. */
  readonly isReady: (pid: number) => boolean | Promise<boolean>
}

const READY_MS = 60_000
const STOP_MS = 30_000
const LAST_LINES = 15

export class ServerProcess {
  readonly #name: string
  readonly #child: ChildProcess
  readonly #folder: OwnedFolder

  private constructor(name: string, child: ChildProcess, folder: OwnedFolder) {
    this.#name = name
    this.#child = child
    this.#folder = folder
  }

  static async start(options: ServerProcessOptions): Promise<ServerProcess> {
    const { name, program, args, folder, env, isReady } = options
    endAllAtExit()
    const log = openSync(join(folder.path, 'log'), 'w', 0o600)
    try {
      const child = spawn(program, args, {
        ...identity(folder),
        detached: true,
        env,
        stdio: ['ignore', log, log],
      })
      // A listener from the first moment on: without one a failure to start ends the process.
      const spawned = once(child, 'spawn')
      const server = new ServerProcess(name, child, folder)
      if (child.pid !== undefined) {
        running.add(server)
        folder.noteServer(child.pid)
      }
      await spawned.catch((error: unknown) => {
        throw cannotRun(name, program, error)
      })
      child.once('exit', () => running.delete(server))
      await server.#wait(isReady)
      return server
    } finally {
      closeSync(log)
    }
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** After `STOP_MS` it is killed: a stop that never ends would keep a test run for ever. */
  async end(signal: NodeJS.Signals): Promise<void> {
    if (!this.isRunning) return
    const exited = once(this.#child, 'exit')
    this.#child.kill(signal)
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS)
    await exited
    clearTimeout(timer)
  }

  endNow(): void {
    const { pid } = this.#child
    if (pid === undefined || !this.isRunning) return
    this.#child.kill('SIGQUIT')
    if (!waitUntilGone(pid, 3_000)) this.#child.kill('SIGKILL')
    this.#folder.release()
  }

  async #wait(isReady: ServerProcessOptions['isReady']): Promise<void> {
    const deadline = performance.now() + READY_MS
    while (!(await isReady(this.#child.pid ?? 0))) {
      const reason = !this.isRunning
        ? `ended with ${this.#child.exitCode ?? this.#child.signalCode} before it was ready`
        : performance.now() > deadline && `was not ready within ${READY_MS} ms`
      if (reason !== false) {
        await this.end('SIGKILL')
        throw new Error(`${this.#name} ${reason}:\n${this.#lastLines()}`)
      }
      await sleep(5)
    }
  }

  #lastLines(): string {
    const lines = readFileSync(join(this.#folder.path, 'log'), 'utf8').trimEnd().split('\n')
    return lines.slice(-LAST_LINES).join('\n')
  }
}

/** Whom a program runs as, and where. */
export function identity(folder: OwnedFolder): { cwd: string; uid?: number; gid?: number } {
  const cwd = folder.path
  return isRoot ? { cwd, uid: unprivileged, gid: unprivileged } : { cwd }
}

export function cannotRun(name: string, program: string, error: unknown): Error {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'EPERM') {
    return new MissingService(
      name,
      'it does not run as root, and this root may not become another user',
      'Run as an ordinary user, or allow the container to set user ids',
    )
  }
  return new MissingService(
    name,
    `${program} does not start (${message})`,
    'See whether it runs by hand',
  )
}

const running = new Set<ServerProcess>()
let isArmed = false

function endAllAtExit(): void {
  if (isArmed) return
  isArmed = true
  const endAll = (): void => {
    for (const server of running) server.endNow()
  }
  process.on('exit', endAll)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      if (process.listenerCount(signal) > 0) return
      endAll()
      process.kill(process.pid, signal)
    })
  }
}
