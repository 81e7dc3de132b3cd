/**
 * A real Redis (or Valkey) for tests and benchmarks: empty, in memory only, on 127.0.0.1 at a port
 * that the kernel chose, gone when its starter is.
 */
import { createConnection } from 'node:net'
import { onFreePort } from './free-port.ts'
import { OwnedFolder } from './owned-folder.ts'
import { findProgram, type Program } from './program.ts'
import { ServerProcess } from './server-process.ts'

export interface RedisOptions {
  /** Lines of redis.conf. */
  readonly settings?: Readonly<Record<string, string>>
  /** Told what takes time, in a few words. */
  readonly onProgress?: (what: string) => void
}

export interface Redis {
  readonly host: string
  readonly port: number
  readonly url: string
  /** Same port; what it held is lost. */
  restart(): Promise<void>
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export function redisProgram(onProgress?: (what: string) => void): Promise<Program> {
  return findProgram(
    {
      names: ['redis-server', 'valkey-server'],
      packages: ['redis-server', 'redis-tools'],
      path: 'usr/bin/redis-server',
    },
    onProgress,
  )
}

export async function startRedis(options: RedisOptions = {}): Promise<Redis> {
  const server = new RedisServer(await redisProgram(options.onProgress), options)
  await server.start()
  return server
}

class RedisServer implements Redis {
  readonly host = '127.0.0.1'
  port = 0
  readonly #program: Program
  readonly #settings: Readonly<Record<string, string>>
  readonly #folder = OwnedFolder.temporary('redis')
  #process: ServerProcess | undefined

  constructor(program: Program, { settings = {} }: RedisOptions) {
    this.#program = program
    this.#settings = settings
    this.#folder.give()
  }

  get url(): string {
    return `redis://${this.host}:${this.port}`
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

  async restart(): Promise<void> {
    await this.#process?.end('SIGKILL')
    await this.#launch()
  }

  async stop(): Promise<void> {
    await this.#process?.end('SIGTERM')
    this.#process = undefined
    this.#folder.release()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #launch(): Promise<void> {
    const settings = {
      bind: this.host,
      port: String(this.port),
      save: '',
      appendonly: 'no',
      ...this.#settings,
    }
    this.#process = await ServerProcess.start({
      name: 'Redis',
      program: this.#program.path,
      args: Object.entries(settings).flatMap(([key, value]) => [`--${key}`, value]),
      folder: this.#folder,
      env: { PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', ...this.#program.env },
      isReady: (pid) => isAnswering(this.port, pid),
    })
  }
}

/** By its pid: another server may have taken the port, and would answer as well. */
function isAnswering(port: number, pid: number): Promise<boolean> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = createConnection({ host: '127.0.0.1', port })
    const settle = (isReady: boolean): void => {
      socket.destroy()
      resolve(isReady)
    }
    socket.setTimeout(1_000, () => settle(false))
    socket.once('error', () => settle(false))
    socket.once('close', () => settle(false))
    socket.on('data', (data) => {
      answer += data.toString('latin1')
      const found = /^process_id:(\d+)\r$/m.exec(answer)
      if (found !== null) settle(found[1] === String(pid))
    })
    socket.write('INFO server\r\n')
  })
}
