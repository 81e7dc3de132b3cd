/**
 * Rounds of several clients on the same task, interleaved, each client in a process of its own.
 *
 *   warm-up:  A  B  C
 *   round 1:  A  B  C  A′        median of each over all rounds; a ratio is the median of the ratios
 *   round 2:  B  C  A′ A         within each round, since a machine that others use drifts from one
 *   …                            round to the next, and less within one
 *
 * `A′` is the first client once more, in another process: what the ratio of equals is by this measure.
 * pgbench is a competitor as any other, though it brings its own load.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Claim, rounded } from './claim.ts'

export interface Competitor<S> {
  run(): Promise<S>
  stop(): Promise<void>
}

export interface Contest<S> {
  /** In the order of the competitors. */
  readonly names: readonly string[]
  readonly samples: Readonly<Record<string, readonly S[]>>
}

export interface ContestOptions<S> {
  readonly names: readonly string[]
  readonly rounds: number
  readonly warmUps: number
  readonly start: (name: string) => Promise<Competitor<S>>
}

export async function contest<S>(options: ContestOptions<S>): Promise<Contest<S>> {
  const { names, rounds, warmUps, start } = options
  const competitors: Competitor<S>[] = []
  const samples = Object.fromEntries(names.map((name): [string, S[]] => [name, []]))
  try {
    for (const name of names) competitors.push(await start(name))
    for (let round = -warmUps; round < rounds; round++) {
      for (let i = 0; i < names.length; i++) {
        const at = (i + round + warmUps) % names.length
        const sample = await (competitors[at] as Competitor<S>).run()
        if (round >= 0) samples[names[at] as string]?.push(sample)
      }
    }
  } finally {
    for (const competitor of competitors) await competitor.stop()
  }
  return { names, samples }
}

/** The median over the rounds. */
export function middle<S>(
  { samples }: Contest<S>,
  name: string,
  of: (sample: S) => number,
): number {
  return median((samples[name] ?? []).map(of))
}

/** The median of `name` to `peer` within each round. */
export function ratio<S>(
  { samples }: Contest<S>,
  name: string,
  peer: string,
  of: (sample: S) => number,
): number {
  const others = samples[peer] ?? []
  return median((samples[name] ?? []).map((own, round) => of(own) / of(others[round] as S)))
}

/** What a claim says of our rate beside a peer's. */
export function rates<S extends { readonly perSecond: number }>(
  result: Contest<S>,
  peer: string,
  title: string,
): Pick<Claim, 'measured' | 'unit' | 'peer' | 'peerMeasured' | 'ratio'> {
  const perSecond = (sample: S): number => sample.perSecond
  return {
    measured: Math.round(middle(result, 'hasten', perSecond)),
    unit: '/s',
    peer: title,
    peerMeasured: Math.round(middle(result, peer, perSecond)),
    ratio: rounded(ratio(result, 'hasten', peer, perSecond)),
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const half = sorted.length / 2
  if (sorted.length === 0) return Number.NaN
  return sorted.length % 2 === 1
    ? (sorted[Math.floor(half)] as number)
    : ((sorted[half - 1] as number) + (sorted[half] as number)) / 2
}

/** A program beside this file, asked by messages: one at a time, each answered. */
export class Worker {
  readonly #child: ChildProcess
  readonly #name: string
  /** What it said when it was ready. */
  readonly hello: unknown

  private constructor(child: ChildProcess, name: string, hello: unknown) {
    this.#child = child
    this.#name = name
    this.hello = hello
  }

  static async start(file: string, args: readonly string[]): Promise<Worker> {
    const child = fork(fileURLToPath(new URL(file, import.meta.url)), args, {
      // Without `--enable-source-maps`, which makes every error dear.
      execArgv: [],
      env: { ...process.env, NODE_ENV: 'production' },
    })
    const name = `${file} ${args[0] ?? ''}`
    return new Worker(child, name, await answer(child, name))
  }

  async ask<T>(task: object): Promise<T> {
    const told = answer(this.#child, this.#name)
    this.#child.send(task)
    return (await told) as T
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exit = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.kill()
    await exit
  }
}

function answer(child: ChildProcess, name: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null): void => reject(new Error(`${name} exited with ${code}`))
    child.once('exit', onExit)
    child.once('message', (message) => {
      child.off('exit', onExit)
      resolve(message)
    })
  })
}
