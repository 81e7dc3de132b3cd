/**
 * A real PostgreSQL for tests and the demo, started in about a second, gone when its starter is.
 *
 *   data folder ── kept (`name`, `keep`) or temporary
 *        ├ data/          initdb's; 0700, of whoever runs the server
 *        ├ log
 *        └ owner          pid of the Node process that uses the folder
 *
 * Rules: everything listens on 127.0.0.1 at a port that the kernel chose, and needs a password made
 * for this start; as root the server runs as `nobody`, otherwise as oneself; the environment's
 * locale has no say. A starter that was killed leaves a server behind: the next start in the folder
 * finds it by postmaster.pid, makes sure that it is a server on this folder, and stops it first.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder, isRoot, unprivileged } from './cache-folder.ts'
import { type PostgresBinaries, postgresBinaries } from './postgres-binaries.ts'

export interface PostgresOptions {
  /** Of a kept data folder; the same name gives the same data. */
  readonly name?: string
  /** Keep the data for the next start of this name. @default false */
  readonly keep?: boolean
  readonly settings?: Readonly<Record<string, string>>
  /** Instead of the ones from npm. */
  readonly binaries?: PostgresBinaries
}

export interface Postgres {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  url(database?: string): string
  /** As `pg_ctl -m`: `fast` ends sessions, `immediate` crashes. Same port, same data. */
  restart(mode: 'fast' | 'immediate'): Promise<void>
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const READY_MS = 60_000
const running = new Set<PostgresServer>()

export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  const binaries = options.binaries ?? postgresBinaries()
  const server = new PostgresServer(binaries, options)
  await server.start()
  return server
}

class PostgresServer implements Postgres {
  readonly host = '127.0.0.1'
  readonly user = 'postgres'
  readonly password: string
  port = 0
  readonly #bin: string
  readonly #folder: string
  readonly #data: string
  readonly #options: PostgresOptions
  #child: ChildProcess | undefined

  constructor({ bin, version }: PostgresBinaries, options: PostgresOptions) {
    this.#bin = bin
    this.#options = options
    const { name, keep = false } = options
    this.#folder =
      name !== undefined && keep
        ? claimFolder(`${name}-${version}`)
        : mkdtempSync(join(tmpdir(), 'hasten-pg-'))
    if (isRoot) {
      chownSync(this.#folder, unprivileged, unprivileged)
      chmodSync(this.#folder, 0o700)
    }
    this.#data = join(this.#folder, 'data')
    this.password = this.#secret()
  }

  url(database = 'postgres'): string {
    return `postgres://${this.user}:${this.password}@${this.host}:${this.port}/${database}`
  }

  async start(): Promise<void> {
    running.add(this)
    try {
      await this.#stopLeftOver()
      if (!existsSync(join(this.#data, 'PG_VERSION'))) await this.#init()
      this.port = await freePort()
      await this.#launch()
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  async restart(mode: 'fast' | 'immediate'): Promise<void> {
    await this.#end(mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
    await this.#launch()
  }

  async stop(): Promise<void> {
    await this.#end('SIGINT')
    running.delete(this)
    this.#leave()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  killNow(): void {
    this.#child?.kill('SIGQUIT')
    this.#leave()
  }

  #leave(): void {
    const isKept = this.#options.keep === true
    rmSync(isKept ? join(this.#folder, 'owner') : this.#folder, { recursive: true, force: true })
  }

  /** Kept data remember the password they were made with. */
  #secret(): string {
    const file = join(this.#folder, 'secret')
    if (existsSync(file)) return readFileSync(file, 'utf8')
    const secret = randomBytes(12).toString('hex')
    writeFileSync(file, secret, { mode: 0o600 })
    this.#give(file)
    return secret
  }

  async #init(): Promise<void> {
    rmSync(this.#data, { recursive: true, force: true })
    await this.#run('initdb', [
      ...['-D', this.#data, '-U', this.user, `--pwfile=${join(this.#folder, 'secret')}`],
      ...['--auth=scram-sha-256', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync'],
    ])
  }

  async #launch(): Promise<void> {
    const settings = {
      listen_addresses: this.host,
      port: String(this.port),
      unix_socket_directories: '',
      fsync: 'off',
      ...this.#options.settings,
    }
    const log = openSync(join(this.#folder, 'log'), 'a', 0o600)
    const child = spawn(
      join(this.#bin, 'postgres'),
      ['-D', this.#data, ...Object.entries(settings).flatMap(([k, v]) => ['-c', `${k}=${v}`])],
      { ...this.#identity(), stdio: ['ignore', log, log], env: environment() },
    )
    closeSync(log)
    this.#child = child
    await once(child, 'spawn')
    await this.#ready(child)
  }

  /** The server writes `ready` into its pid file once it accepts connections. */
  async #ready(child: ChildProcess): Promise<void> {
    const deadline = performance.now() + READY_MS
    for (;;) {
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`PostgreSQL did not start:\n${this.#lastLines()}`)
      }
      if (this.#pidFile()[7]?.startsWith('ready') === true) return
      if (performance.now() > deadline) {
        throw new Error(`PostgreSQL was not ready within ${READY_MS} ms:\n${this.#lastLines()}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  async #end(signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  async #stopLeftOver(): Promise<void> {
    const [pid, folder] = this.#pidFile()
    if (pid === undefined || folder !== this.#data || !isAlive(Number(pid), 'postgres')) return
    process.kill(Number(pid), 'SIGQUIT')
    const deadline = performance.now() + READY_MS
    while (isAlive(Number(pid), 'postgres') && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  #pidFile(): string[] {
    try {
      return readFileSync(join(this.#data, 'postmaster.pid'), 'utf8').split('\n')
    } catch {
      return []
    }
  }

  #lastLines(): string {
    return readFileSync(join(this.#folder, 'log'), 'utf8').split('\n').slice(-15).join('\n')
  }

  #give(path: string): void {
    if (isRoot) chownSync(path, unprivileged, unprivileged)
  }

  #identity(): { uid?: number; gid?: number; cwd: string } {
    const cwd = this.#folder
    return isRoot ? { uid: unprivileged, gid: unprivileged, cwd } : { cwd }
  }

  async #run(program: string, args: string[]): Promise<void> {
    mkdirSync(this.#folder, { recursive: true })
    await promisify(execFile)(join(this.#bin, program), args, {
      ...this.#identity(),
      env: environment(),
    })
  }
}

/** Two runs at once cannot share a kept folder: the second takes the next one of the same name. */
function claimFolder(name: string): string {
  for (let turn = 1; ; turn++) {
    const folder = cacheFolder('data', turn === 1 ? name : `${name}-${turn}`)
    const owner = join(folder, 'owner')
    const pid = existsSync(owner) ? Number(readFileSync(owner, 'utf8')) : 0
    if (pid !== process.pid && isAlive(pid, 'node')) continue
    rmSync(owner, { force: true })
    try {
      writeFileSync(owner, String(process.pid), { flag: 'wx' })
      return folder
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
}

function environment(): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', TZ: 'UTC' }
}

/** Whether this pid is a process of that name: judged by its command line where there is /proc. */
function isAlive(pid: number, name: string): boolean {
  if (!(pid > 0)) return false
  try {
    process.kill(pid, 0)
    if (process.platform !== 'linux') return true
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(name)
  } catch {
    return false
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

// Whoever starts a server and is ended by an error or the terminal takes it along. Somebody else who
// listens for the signal has plans of its own, and calls `stop`.
function killAll(): void {
  for (const server of running) server.killNow()
}
process.once('exit', killAll)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    if (process.listenerCount(signal) > 0) return
    killAll()
    process.kill(process.pid, signal)
  })
}
