/**
 * Interleaving, judged: callers with a list of operations each, all at once on one small pool.
 *
 *   caller 0   read · write · cancel · …        ╲
 *   caller 1   transaction left open · read · …  ▶  pool  ▶  violations, none of which there may be
 *   …                                            ╱
 *
 * The operations judge what they get (interleave-operations.ts), the ledger what was written
 * (isolation-world.ts), the server what remains: no transaction, lock or statement while the pool
 * rests, no session when it has ended.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { type Operation, perform } from './interleave-operations.ts'
import type { World } from './isolation-world.ts'

export interface InterleaveOptions {
  readonly world: World
  /** Ended at the end. */
  readonly pool: pg.Pool
  /** Of each caller. */
  readonly programs: readonly (readonly Operation[])[]
  /** Put before each tag; a valid identifier. */
  readonly name: string
}

export interface Interleaving {
  readonly operations: number
  readonly statements: number
  readonly violations: readonly string[]
}

const OPERATION_MS = 60_000
const REST_MS = 30_000

export async function interleave(options: InterleaveOptions): Promise<Interleaving> {
  const { world, pool, programs, name } = options
  const violations: string[] = []
  let statements = 0
  let operations = 0

  async function caller(program: readonly Operation[], number: number): Promise<void> {
    for (const [n, operation] of program.entries()) {
      const tag = `${name}_${number}_${n}`
      operations++
      const done = perform(operation, { world, pool, tag })
      const outcome = await within(done, OPERATION_MS)
      if (typeof outcome === 'number') statements += outcome
      else violations.push(`${tag} ${JSON.stringify(operation)}: ${outcome}`)
      // What hangs once hangs for ever; the others tell why.
      if (outcome === HANGS) return
    }
  }

  await Promise.all(programs.map(caller))
  const resting = await until(world, (open) => open.transactions + open.running + open.locks === 0)
  if (resting !== undefined) violations.push(`at rest the server still has ${resting}`)
  const endMs = performance.now() + REST_MS
  while (pool.idleCount !== pool.totalCount && performance.now() < endMs) await sleep(10)
  if (pool.idleCount !== pool.totalCount) {
    violations.push(`at rest ${pool.idleCount} of ${pool.totalCount} connections are idle`)
  }
  if (pool.waitingCount !== 0) violations.push(`${pool.waitingCount} callers wait at rest`)
  if (pool.totalCount > (pool.options.max ?? 10)) violations.push(`${pool.totalCount} connections`)
  const ended = await within(
    pool.end().then(() => 0),
    OPERATION_MS,
  )
  if (ended !== 0) violations.push(`end: ${ended}`)
  const gone = await until(world, (open) => open.sessions === 0)
  if (gone !== undefined) violations.push(`after its end the server still has ${gone}`)
  violations.push(...(await world.wrongWrites()))
  return { operations, statements, violations }
}

const HANGS = 'did not settle'

async function within(work: Promise<number>, ms: number): Promise<number | string> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(HANGS), ms)
  })
  const done = work.catch((error: unknown) => {
    if (!(error instanceof Error)) return String(error)
    const { code = 'error' } = error as { code?: string }
    return `${code}: ${error.message}`
  })
  const outcome = await Promise.race([done, late])
  clearTimeout(timer)
  return outcome
}

type Open = Awaited<ReturnType<World['open']>>

/** Undefined, or what is there though the time is up. */
async function until(world: World, isRight: (open: Open) => boolean): Promise<string | undefined> {
  const end = performance.now() + REST_MS
  for (;;) {
    const open = await world.open()
    if (isRight(open)) return undefined
    if (performance.now() > end) return JSON.stringify(open)
    await sleep(10)
  }
}
