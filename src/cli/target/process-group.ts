/**
 * Process group: the observed command with everything that it starts, as one thing to be ended.
 *
 * The command leads a group of its own (`detached`), so that a signal to `-pid` reaches npm, the
 * shell below it, the server below that and the server's workers at once, and so that Ctrl-C in the
 * terminal reaches the doctor alone, which still has something to print.
 *
 *   stop(): SIGTERM ── grace ── SIGKILL ── wait until nothing of the group is left
 *
 * A process that leaves the group on purpose (`setsid`, a daemon) is not reached by a signal to it.
 * Where such a one has an agent, its pid is known: `stop` gets these pids and ends them one by one.
 *
 * In a container without an init that reaps, grandchildren stay as zombies: `kill(-pid, 0)` goes on
 * saying that the group is there. On Linux /proc tells the dead from the living.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { LineRing } from './line-ring.ts'

export type OutputStream = 'stdout' | 'stderr'

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface SpawnOptions {
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
  readonly onLine: (stream: OutputStream, line: string) => void
}

const KEPT_LINES = 200
const POLL_MS = 20

export class ProcessGroup {
  readonly stdout: LineRing
  readonly stderr: LineRing
  /** Resolves when the command could be started, rejects with the system's error otherwise. */
  readonly spawned: Promise<void>
  /** Resolves when the command has exited and its output is complete; never rejects. */
  readonly exited: Promise<Exit>
  readonly #child: ChildProcess
  #exit: Exit | undefined

  constructor(command: string, args: readonly string[], { cwd, env, onLine }: SpawnOptions) {
    this.stdout = new LineRing(KEPT_LINES, (line) => onLine('stdout', line))
    this.stderr = new LineRing(KEPT_LINES, (line) => onLine('stderr', line))
    // No standard input: a process in a background group that reads the terminal is stopped by it.
    const child = spawn(command, args, {
      cwd,
      env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    child.stdout?.on('data', (chunk: Buffer) => this.stdout.write(chunk))
    child.stderr?.on('data', (chunk: Buffer) => this.stderr.write(chunk))

    this.spawned = new Promise((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', reject)
    })
    this.spawned.catch(() => {})
    this.exited = new Promise((resolve) => {
      child.once('error', () => {
        if (child.pid === undefined) resolve({ code: null, signal: null })
      })
      child.once('exit', (code, signal) => {
        // A grandchild that holds the pipes must not keep us: its last words have a moment to come.
        const land = () => {
          if (this.#exit !== undefined) return
          this.#exit = { code, signal }
          this.stdout.end()
          this.stderr.end()
          resolve(this.#exit)
        }
        child.once('close', land)
        setTimeout(land, 250).unref()
      })
    })
  }

  /** Pid of the command, and of its group. */
  get pid(): number | undefined {
    return this.#child.pid
  }

  get exit(): Exit | undefined {
    return this.#exit
  }

  /** Ends everything and returns when nothing is left: pids that would not go are returned. */
  async stop(graceMs: number, strays: readonly number[] = []): Promise<number[]> {
    if (this.pid === undefined) return []
    this.#signal('SIGTERM', strays)
    if (await this.#goneWithin(graceMs, strays)) return this.#letGo()
    this.#signal('SIGKILL', strays)
    await this.#goneWithin(5_000, strays)
    this.#letGo()
    return this.#living(strays)
  }

  /** For the moment when nothing can be awaited any more: the doctor's own exit. */
  killNow(strays: readonly number[] = []): void {
    if (this.pid !== undefined) this.#signal('SIGKILL', strays)
  }

  #signal(signal: NodeJS.Signals, strays: readonly number[]): void {
    for (const pid of this.#targets(strays)) {
      try {
        process.kill(pid, constants.signals[signal])
      } catch {
        // Gone already, which is what was wanted.
      }
    }
  }

  #targets(strays: readonly number[]): number[] {
    const group = -(this.pid as number)
    return [group, ...strays.filter((pid) => pid > 1 && pid !== process.pid)]
  }

  async #goneWithin(limitMs: number, strays: readonly number[]): Promise<boolean> {
    const deadline = performance.now() + limitMs
    while (this.#living(strays).length > 0) {
      if (performance.now() >= deadline) return false
      await sleep(POLL_MS)
    }
    return true
  }

  #living(strays: readonly number[]): number[] {
    return [...new Set([...membersOf(this.pid as number), ...strays.filter(isAlive)])]
  }

  #letGo(): number[] {
    this.#child.stdout?.destroy()
    this.#child.stderr?.destroy()
    return []
  }
}

/** Living processes of a group. */
function membersOf(group: number): number[] {
  if (!canSignal(-group)) return []
  if (process.platform !== 'linux') return [group]
  const members: number[] = []
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid)) continue
    const state = stateOf(pid)
    if (state?.group === group && state.letter !== 'Z' && state.letter !== 'X') members.push(pid)
  }
  return members
}

function isAlive(pid: number): boolean {
  if (!canSignal(pid)) return false
  const letter = process.platform === 'linux' ? stateOf(pid)?.letter : 'R'
  return letter !== undefined && letter !== 'Z' && letter !== 'X'
}

function canSignal(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function stateOf(pid: number): { letter: string; group: number } | undefined {
  try {
    // `pid (name) state ppid pgrp …`; the name may hold spaces and brackets.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const [letter = '', , group = ''] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { letter, group: Number(group) }
  } catch {
    return undefined
  }
}
