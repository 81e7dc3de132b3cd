/**
 * A real PostgreSQL for tests, benchmarks and the demo: there in a second, gone when its starter is.
 *
 *   folder ── temporary, or kept by `name` or `dataDir`
 *      ├ data/      made by initdb
 *      ├ secret     the password, as old as the data
 *      └ log        of the last start
 *
 * It listens on 127.0.0.1 at a port that the kernel chose, asks for a password, and takes nothing
 * from the environment, the locale least of all. Data are made to be made again: `fsync` is off
 * unless `settings` say otherwise. `pg_stat_statements` is there, to be switched on by
 * `settings: { shared_preload_libraries: 'pg_stat_statements' }`.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { onFreePort } from './free-port.ts'
import { OwnedFolder } from './owned-folder.ts'
import { type PostgresBinaries, postgresBinaries } from './postgres-binaries.ts'
import { cannotRun, identity, ServerProcess } from './server-process.ts'

export interface PostgresOptions {
  /** Of kept data: the same name gives the same data, unless another process uses them just now. */
  readonly name?: string
  /** Keep the data for the next start of this `name`. @default false */
  readonly keep?: boolean
  /** A folder of one's own instead; its data are kept. */
  readonly dataDir?: string
  /** @default one that the kernel chooses */
  readonly port?: number
  /** Lines of postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>
  /** Told what takes time, in a few words. */
  readonly onProgress?: (what: string) => void
  /** Instead of the ones from npm. */
  readonly binaries?: PostgresBinaries
}

export interface Postgres {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly dataDir: string
  url(database?: string): string
  /** `fast` ends sessions in order, `immediate` is a crash. Same port, same data. */
  restart(mode: 'fast' | 'immediate'): Promise<void>
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Below this, parallel queries run out of the shared memory that a container gives by default. */
const SMALL_SHM_BYTES = 512 * 2 ** 20

export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  options.onProgress?.('looking for PostgreSQL')
  const binaries = options.binaries ?? postgresBinaries()
  const server = new PostgresServer(binaries, options)
  await server.start()
  return server
}

class PostgresServer implements Postgres {
  readonly host = '127.0.0.1'
  readonly user = 'postgres'
  readonly password: string
  readonly dataDir: string
  port = 0
  readonly #bin: string
  readonly #folder: OwnedFolder
  readonly #options: PostgresOptions
  #process: ServerProcess | undefined

  constructor({ bin, version }: PostgresBinaries, options: PostgresOptions) {
    this.#bin = bin
    this.#options = options
    this.#folder = folderFor(options, version)
    this.#folder.give()
    this.dataDir = join(this.#folder.path, 'data')
    this.password = this.#secret()
  }

  url(database = 'postgres'): string {
    return `postgres://${this.user}:${this.password}@${this.host}:${this.port}/${database}`
  }

  async start(): Promise<void> {
    try {
      if (!existsSync(this.dataDir)) await this.#init()
      this.#options.onProgress?.('starting PostgreSQL')
      await this.#listen()
    } catch (error) {
      this.#folder.release()
      throw error
    }
  }

  async restart(mode: 'fast' | 'immediate'): Promise<void> {
    await this.#process?.end(mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
    await this.#launch()
  }

  async stop(): Promise<void> {
    await this.#process?.end('SIGINT')
    this.#process = undefined
    this.#folder.release()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  #secret(): string {
    const file = join(this.#folder.path, 'secret')
    if (existsSync(file)) return readFileSync(file, 'utf8')
    const secret = randomBytes(12).toString('hex')
    writeFileSync(file, secret, { mode: 0o600 })
    this.#folder.give(file)
    return secret
  }

  /** Under another name until it is complete: an initdb that was killed leaves half a folder. */
  async #init(): Promise<void> {
    this.#options.onProgress?.('making a database')
    const half = `${this.dataDir}.half`
    rmSync(half, { recursive: true, force: true })
    const initdb = join(this.#bin, 'initdb')
    const args = [
      ['-D', half, '-U', this.user, `--pwfile=${join(this.#folder.path, 'secret')}`],
      ['--auth=scram-sha-256', '--encoding=UTF8', '--locale=C.UTF-8', '--no-sync'],
    ].flat()
    try {
      await promisify(execFile)(initdb, args, {
        ...identity(this.#folder),
        env: environment,
      })
    } catch (error) {
      throw typeof (error as { code: unknown }).code === 'string'
        ? cannotRun('PostgreSQL', initdb, error)
        : error
    }
    renameSync(half, this.dataDir)
  }

  async #listen(): Promise<void> {
    const launch = (port: number): Promise<void> => {
      this.port = port
      return this.#launch()
    }
    const { port } = this.#options
    await (port === undefined ? onFreePort(launch) : launch(port))
  }

  async #launch(): Promise<void> {
    const settings = {
      listen_addresses: this.host,
      port: String(this.port),
      unix_socket_directories: '',
      fsync: 'off',
      ...sharedMemory(),
      ...this.#options.settings,
    }
    this.#process = await ServerProcess.start({
      name: 'PostgreSQL',
      program: join(this.#bin, 'postgres'),
      args: [
        '-D',
        this.dataDir,
        ...Object.entries(settings).flatMap(([k, v]) => ['-c', `${k}=${v}`]),
      ],
      folder: this.#folder,
      env: environment,
      isReady: (pid) => this.#isReady(pid),
    })
  }

  /** The first line is the pid, the eighth its state. */
  #isReady(pid: number): boolean {
    try {
      const lines = readFileSync(join(this.dataDir, 'postmaster.pid'), 'utf8').split('\n')
      return lines[0] === String(pid) && /^(ready|standby)/.test(lines[7] ?? '')
    } catch {
      return false
    }
  }
}

function folderFor({ name, keep, dataDir }: PostgresOptions, version: string): OwnedFolder {
  if (dataDir !== undefined) return OwnedFolder.at(dataDir)
  if (name !== undefined && keep === true) return OwnedFolder.kept(`${name}-${version}`)
  return OwnedFolder.temporary('pg')
}

function sharedMemory(): Record<string, string> {
  try {
    const { bsize, blocks } = statfsSync('/dev/shm')
    return bsize * blocks < SMALL_SHM_BYTES ? { dynamic_shared_memory_type: 'mmap' } : {}
  } catch {
    return {}
  }
}

const environment = { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', TZ: 'UTC' }
