/**
 * Search over pools and callers' programs for one that goes wrong (interleave-run.ts), seeded: the same
 * seed gives the same programs, though never the same interleaving. It ends with the first that does;
 * programs that differ by one operation would not fail the same way, so nothing is made smaller.
 *
 * The pools are small enough for callers to get in each other's way, with bounds that are reached.
 */
import fc from 'fast-check'
import type pg from 'pg'
import { type Operation, operations } from './interleave-operations.ts'
import { interleave } from './interleave-run.ts'
import { World } from './isolation-world.ts'

export interface SearchOptions {
  /** Of a database that is empty. */
  readonly url: string
  /** Of the first run; the next has the next. */
  readonly seed: number
  readonly runs: number
  /** Begins no further run after so long. */
  readonly withinMs?: number
  readonly create: (options: pg.PoolConfig) => pg.Pool
  readonly isAllowed?: (operation: Operation) => boolean
}

export interface Searched {
  readonly runs: number
  readonly operations: number
  readonly statements: number
  /** Of the last run, after what it was. */
  readonly violations: readonly string[]
}

export async function search(options: SearchOptions): Promise<Searched> {
  const {
    url,
    seed,
    runs,
    create,
    isAllowed = () => true,
    withinMs = Number.POSITIVE_INFINITY,
  } = options
  const total = { runs: 0, operations: 0, statements: 0, violations: [] as string[] }
  const program = fc.array(operations.filter(isAllowed), {
    minLength: 10,
    maxLength: 30,
    size: 'max',
  })
  const programs = fc.array(program, { minLength: 4, maxLength: 24, size: 'max' })

  const endMs = performance.now() + withinMs
  while (total.runs < runs && performance.now() < endMs) {
    const sampling = { seed: seed + total.runs, numRuns: 1 }
    const [[pool, each]] = fc.sample(fc.tuple(pools, programs), sampling) as [Case]
    await using world = await World.create(url)
    const judged = await interleave({
      world,
      pool: create({ connectionString: url, ...pool }),
      programs: each,
      name: `r${total.runs++}`,
    })
    total.operations += judged.operations
    total.statements += judged.statements
    if (judged.violations.length > 0) {
      const which = `seed ${seed + total.runs - 1}, ${each.length} callers on ${JSON.stringify(pool)}`
      total.violations.push(which, ...judged.violations)
      return total
    }
  }
  return total
}

type Case = [pg.PoolConfig, Operation[][]]

const pools: fc.Arbitrary<pg.PoolConfig> = fc.record(
  {
    max: fc.integer({ min: 1, max: 4 }),
    min: fc.constantFrom(0, 1),
    express: fc.constantFrom(false as const, 1, 2),
    maxPrepared: fc.constantFrom(3, 10, 256),
    maxUses: fc.constantFrom(5, 50),
    idleTimeoutMillis: fc.constantFrom(1, 10_000),
    expressMaxMs: fc.constantFrom(1, 10),
    leakDetectionMs: fc.constantFrom(0, 1000),
    prepare: fc.boolean(),
  },
  { requiredKeys: ['max'], noNullPrototype: true },
)
