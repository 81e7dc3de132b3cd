/**
 * A real PgBouncer in front of a PostgreSQL of ours, on 127.0.0.1 at a port that the kernel chose,
 * gone when its starter is.
 *
 *   folder ── pgbouncer.ini   what `settings` and `mode` make, or a text of the caller's own
 *      ├ userlist.txt         the server's user with its password: to be let in, and to get on
 *      └ log                  of the last start
 *
 * Two versions, since they differ in what a client may send: 1.18 (Debian 12) knows no prepared
 * statements in transaction mode and breaks a stream of pipelined messages; 1.24 (Debian 13) keeps
 * them. Whichever of them the system does not have comes from its release, see debian-release.
 */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { codename, debianPackage } from './debian-package.ts'
import { type ForeignProgram, foreignProgram } from './debian-release.ts'
import { onFreePort } from './free-port.ts'
import { OwnedFolder } from './owned-folder.ts'
import { onPath, type Program } from './program.ts'
import { ServerProcess } from './server-process.ts'

export type PgBouncerVersion = '1.18' | '1.24'

export interface PgBouncerOptions {
  /** The server behind it. */
  readonly server: {
    readonly host: string
    readonly port: number
    readonly user: string
    readonly password: string
  }
  /** @default 'transaction' */
  readonly mode?: 'session' | 'transaction' | 'statement'
  /** @default '1.18' */
  readonly version?: PgBouncerVersion
  /** Others who are let in, name to password. */
  readonly users?: Readonly<Record<string, string>>
  /** Lines of the section `[pgbouncer]`. */
  readonly settings?: Readonly<Record<string, string>>
  /** The whole file instead: address, port and the place of the user list are put in. */
  readonly ini?: string
  /** Told what takes time, in a few words. */
  readonly onProgress?: (what: string) => void
}

export interface PgBouncer {
  readonly host: string
  readonly port: number
  /** `1.18.0` */
  readonly version: string
  url(database?: string): string
  /** Of the database `pgbouncer`, where SHOW is answered. */
  readonly adminUrl: string
  /** Every connection is closed at once; same port. With `settings`, those are added. */
  restart(settings?: Readonly<Record<string, string>>): Promise<void>
  /** As by a crash; `restart` brings it back. */
  kill(): Promise<void>
  /** What it wrote since its last start. */
  log(): string
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const debians = '/usr/sbin/pgbouncer'

const sources: Readonly<Record<PgBouncerVersion, ForeignProgram>> = {
  '1.18': {
    release: 'bookworm',
    packages: [
      ...(['pgbouncer', 'libc6', 'libevent-2.1-7', 'libc-ares2', 'libpam0g'] as const),
      ...['libaudit1', 'libcap-ng0', 'libssl3', 'libsystemd0', 'libcap2', 'libgcrypt20'],
      ...['libgpg-error0', 'liblzma5', 'libzstd1', 'liblz4-1'],
    ],
    path: 'usr/sbin/pgbouncer',
  },
  '1.24': {
    release: 'trixie',
    packages: [
      ...(['pgbouncer', 'libc6', 'libevent-2.1-7t64', 'libcares2', 'libpam0g'] as const),
      ...['libaudit1', 'libcap-ng0', 'libssl3t64', 'libsystemd0', 'libcap2', 'zlib1g', 'libzstd1'],
    ],
    path: 'usr/sbin/pgbouncer',
  },
}

/** The one on the PATH where its version fits, else Debian's. */
export async function pgBouncerProgram(
  version: PgBouncerVersion = '1.18',
  onProgress?: (what: string) => void,
): Promise<Program> {
  // Debian's lies where the PATH of an ordinary user does not look.
  const here = onPath('pgbouncer') ?? (existsSync(debians) ? debians : undefined)
  if (here !== undefined) {
    const program = { path: here, env: {} }
    if ((await versionOf(program)).startsWith(`${version}.`)) return program
  }
  const source = sources[version]
  if (codename('pgbouncer') === source.release) {
    const { root, env } = await debianPackage(['pgbouncer'], onProgress)
    return { path: join(root, source.path), env }
  }
  return { path: await foreignProgram(source, onProgress), env: {} }
}

export async function startPgBouncer(options: PgBouncerOptions): Promise<PgBouncer> {
  const program = await pgBouncerProgram(options.version, options.onProgress)
  const server = new PgBouncerServer(program, await versionOf(program), options)
  await server.start()
  return server
}

class PgBouncerServer implements PgBouncer {
  readonly host = '127.0.0.1'
  readonly version: string
  port = 0
  readonly #program: Program
  readonly #options: PgBouncerOptions
  readonly #folder = OwnedFolder.temporary('pgbouncer')
  #settings: Readonly<Record<string, string>>
  #process: ServerProcess | undefined

  constructor(program: Program, version: string, options: PgBouncerOptions) {
    this.#program = program
    this.version = version
    this.#options = options
    this.#settings = options.settings ?? {}
    this.#folder.give()
  }

  get adminUrl(): string {
    return this.url('pgbouncer')
  }

  url(database = 'postgres'): string {
    const { user, password } = this.#options.server
    return `postgres://${user}:${password}@${this.host}:${this.port}/${database}`
  }

  async start(): Promise<void> {
    try {
      await onFreePort((port) => {
        this.port = port
        return this.#launch()
      })
    } catch (error) {
      this.#folder.release()
      throw error
    }
  }

  async restart(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.#end()
    this.#settings = { ...this.#settings, ...settings }
    await this.#launch()
  }

  async kill(): Promise<void> {
    await this.#process?.end('SIGKILL')
  }

  async stop(): Promise<void> {
    await this.#end()
    this.#process = undefined
    this.#folder.release()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  log(): string {
    return readFileSync(this.#file('log'), 'utf8')
  }

  /** From 1.23 on SIGTERM waits for its clients to go; before, SIGQUIT was not handled. */
  async #end(): Promise<void> {
    const isOld = /^1\.(\d|1\d|2[0-2])\./.test(this.version)
    await this.#process?.end(isOld ? 'SIGTERM' : 'SIGQUIT')
  }

  async #launch(): Promise<void> {
    const { server, users = {} } = this.#options
    const list = Object.entries({ ...users, [server.user]: server.password })
    this.#write(
      'userlist.txt',
      list.map(([user, password]) => `${quoted(user)} ${quoted(password)}\n`).join(''),
    )
    this.#write('pgbouncer.ini', this.#ini())
    this.#process = await ServerProcess.start({
      name: 'PgBouncer',
      program: this.#program.path,
      args: [this.#file('pgbouncer.ini')],
      folder: this.#folder,
      env: { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', ...this.#program.env },
      // By its pid: another server may have taken the port.
      isReady: (pid) => this.log().includes(`[${pid}] LOG process up`),
    })
  }

  #ini(): string {
    const { server, mode = 'transaction', ini } = this.#options
    const place = {
      listen_addr: this.host,
      listen_port: String(this.port),
      unix_socket_dir: '',
      auth_file: this.#file('userlist.txt'),
      logfile: '',
      pidfile: '',
    }
    if (ini !== undefined) return placed(ini, { ...place, ...this.#settings })
    const settings = {
      ...place,
      auth_type: 'scram-sha-256',
      admin_users: server.user,
      pool_mode: mode,
      ...this.#settings,
    }
    return `[databases]\n* = host=${server.host} port=${server.port}\n\n[pgbouncer]\n${lines(settings)}`
  }

  #write(name: string, text: string): void {
    writeFileSync(this.#file(name), text, { mode: 0o600 })
    this.#folder.give(this.#file(name))
  }

  #file(name: string): string {
    return join(this.#folder.path, name)
  }
}

/** A later line wins over an earlier one; the section `[pgbouncer]` need not be the last. */
function placed(ini: string, settings: Readonly<Record<string, string>>): string {
  const own = new RegExp(`^\\s*(${Object.keys(settings).join('|')})\\s*=.*$`, 'gm')
  return ini.replace(own, '').replace(/^\[pgbouncer\]\s*$/m, `[pgbouncer]\n${lines(settings)}`)
}

function lines(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('')
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`
}

async function versionOf({ path, env }: Program): Promise<string> {
  const { stdout } = await promisify(execFile)(path, ['--version'], {
    env: { PATH: process.env['PATH'], ...env },
  })
  return /PgBouncer (\d+\.\d+\.\d+)/.exec(stdout)?.[1] ?? 'unknown'
}
