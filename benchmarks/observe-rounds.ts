/**
 * CPU time per request of several servers, compared so that a busy machine cannot decide.
 *
 *   round 1:  A  A'  B  C      each: CPU before ─ fixed number of requests ─ CPU after
 *   round 2:  A' B   C  A      the order turns, so that nobody is always first
 *   …                          lower quartile of each server over all rounds
 *
 * CPU time of the server's own process, not throughput: two runs of one server differ by 20 % in
 * throughput under other load. The compiler's luck makes one process of a server 5 % cheaper than the
 * next, so each server has several, and their mean counts. `control` is the first server once more
 * (A, A'): a set of rounds in which those two differ by more than 1 % is void and is repeated with new
 * processes.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export interface Variant {
  readonly name: string
  /** Arguments of Node before the server's file. */
  readonly imports?: readonly string[]
  readonly mode?: 'bare' | 'storage'
}

export interface Measured {
  /** µs of CPU per request, by name: of each process the lower quartile, of those the mean. */
  readonly cpuUs: Readonly<Record<string, number>>
  /** |A′ / A − 1| */
  readonly control: number
  /** Sets that were void before this one. */
  readonly voided: number
  readonly isVoid: boolean
  readonly rounds: number
  readonly processes: number
}

export interface RoundsOptions {
  readonly node: string
  readonly route: 'hello' | 'row'
  /** The first is what the others are compared with. */
  readonly variants: readonly Variant[]
  readonly rounds: number
  /** Of each variant. */
  readonly processes: number
  /** Of each process in each round. */
  readonly requests: number
  /** Of each process before the first round. */
  readonly warmUp: number
  readonly sets: number
  readonly env?: Readonly<Record<string, string>>
}

const CONTROL = 'control'
const MOST_DRIFT = 0.01

export async function measure(options: RoundsOptions): Promise<Measured> {
  let last: Measured | undefined
  for (let set = 0; set < options.sets; set++) {
    last = await measureSet(options, set)
    if (!last.isVoid) break
  }
  if (last === undefined) throw new Error('sets must be at least 1')
  return last
}

async function measureSet(options: RoundsOptions, voided: number): Promise<Measured> {
  const [first] = options.variants
  if (first === undefined) throw new Error('nothing to measure')
  const variants = [...options.variants, { ...first, name: CONTROL }]
  const started = Array.from({ length: options.processes }, () => variants).flat()
  await using load = await Server.start('observe-load.js', process.execPath, [], [])
  const servers: Server[] = []
  try {
    for (const { imports = [], mode = 'bare' } of started) {
      const args = [options.route, mode]
      servers.push(
        await Server.start('observe-server.js', options.node, imports, args, options.env ?? {}),
      )
    }
    // Past the compiler's tiers, and past the first collections of the old generation.
    for (const server of servers) await server.serve(load, options.warmUp)
    const samples = servers.map((): number[] => [])
    for (let round = 0; round < options.rounds; round++) {
      for (let i = 0; i < servers.length; i++) {
        const at = (i + round) % servers.length
        const cpuUs = await (servers[at] as Server).serve(load, options.requests)
        samples[at]?.push(cpuUs / options.requests)
      }
    }
    const cpuUs = Object.fromEntries(
      variants.map(({ name }) => {
        const each = samples.filter((_, i) => started[i]?.name === name).map(lowerQuartile)
        return [name, each.reduce((sum, us) => sum + us, 0) / each.length]
      }),
    )
    const control = Math.abs((cpuUs[CONTROL] as number) / (cpuUs[first.name] as number) - 1)
    const { rounds, processes } = options
    return { cpuUs, control, voided, isVoid: control > MOST_DRIFT, rounds, processes }
  } finally {
    for (const server of servers) await server[Symbol.asyncDispose]()
  }
}

function lowerQuartile(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 4)] as number
}

class Server {
  readonly #child: ChildProcess
  port = 0

  constructor(child: ChildProcess) {
    this.#child = child
  }

  static async start(
    file: string,
    node: string,
    imports: readonly string[],
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Server> {
    const child = fork(fileURLToPath(new URL(file, import.meta.url)), args, {
      execPath: node,
      execArgv: [...imports],
      env: { ...process.env, NODE_ENV: 'production', ...env },
    })
    const server = new Server(child)
    const { port } = (await server.#next()) as { port: number }
    server.port = port
    return server
  }

  /** µs of its CPU that this many requests took. */
  async serve(load: Server, requests: number): Promise<number> {
    const before = await this.#cpuUs()
    load.#child.send({ port: this.port, requests })
    await load.#next()
    return (await this.#cpuUs()) - before
  }

  async #cpuUs(): Promise<number> {
    this.#child.send({})
    return ((await this.#next()) as { cpuUs: number }).cpuUs
  }

  #next(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const onExit = (code: number | null) => reject(new Error(`exited with ${code}`))
      this.#child.once('exit', onExit)
      this.#child.once('message', (message) => {
        this.#child.off('exit', onExit)
        resolve(message)
      })
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return
    const exit = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.kill()
    await exit
  }
}
