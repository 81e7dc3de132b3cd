/**
 * Totals: what many requests and spans come to, exactly, without keeping them.
 *
 * A route has one, so has the background of the process, and so has, for a while, a request with more
 * spans than are kept. All sums stand in one array, in the order of `figureNames`: adding up two of
 * them, writing them down and reading them is a loop over positions, and a sum is a double in place,
 * not an object.
 *
 * Statements are counted one by one up to a limit; those that come later share the line `other`, so
 * that the sums over all lines stay exact.
 */
import type { StatementUse } from '../core/facts.ts'
import type { Span } from './span.ts'

const figureNames = [
  'requests',
  'errors',
  'queries',
  'connects',
  'totalMs',
  'dbMs',
  'poolWaitMs',
  'connectMs',
  'httpMs',
  'responseBytes',
  /** Spans that ended after the response; they are in the sums as well. */
  'late',
] as const

const useNames = ['calls', 'totalMs', 'rows', 'bytes', 'errors'] as const

export type Figures = { [Name in (typeof figureNames)[number]]: number }

/** Id of a statement, then what it came to, in the order of `StatementUse`. */
export type UseRow = readonly [statement: string, ...figures: number[]]

export const REQUESTS = 0
export const ERRORS = 1
export const QUERIES = 2
export const CONNECTS = 3
export const TOTAL_MS = 4
export const DB_MS = 5
export const POOL_WAIT_MS = 6
export const CONNECT_MS = 7
export const HTTP_MS = 8
export const RESPONSE_BYTES = 9
export const LATE = 10

/** One number for each of the constants above. */
export type Slots = number[] & Record<0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10, number>

/** Distinct statements of one route. An application that pastes values into its SQL has no end of them. */
const MAX_STATEMENTS = 200
const OTHER = 'other'

export class Totals {
  readonly figures: Slots = figureNames.map(() => 0) as Slots
  #uses: Map<string, number[]> | undefined

  /** A span that has ended. */
  add(span: Span): void {
    const ms = span.endMs - span.startMs
    const { figures } = this
    const { kind, statement } = span
    if (kind === 'query') {
      figures[QUERIES] += 1
      figures[DB_MS] += ms
      if (statement !== undefined) {
        // In the order of `useNames`. No array for it: this is once for each query.
        const use = this.#useOf(statement) as [number, number, number, number, number]
        use[0] += 1
        use[1] += ms
        use[2] += span.rows ?? 0
        use[3] += span.bytes ?? 0
        if (span.error !== undefined) use[4] += 1
      }
    } else if (kind === 'connect') {
      figures[CONNECTS] += 1
      figures[CONNECT_MS] += ms
    } else if (kind === 'pool-wait') figures[POOL_WAIT_MS] += ms
    else if (kind === 'http') figures[HTTP_MS] += ms
  }

  merge(figures: readonly number[], uses: Iterable<UseRow>): void {
    addUp(this.figures, figures)
    for (const [statement, ...use] of uses) addUp(this.#useOf(statement), use)
  }

  /** As rows of numbers, for a snapshot. */
  uses(): UseRow[] {
    return Array.from(this.#uses ?? [], ([statement, use]) => [statement, ...use])
  }

  named(): Figures {
    return named(figureNames, this.figures)
  }

  statements(): StatementUse[] {
    return this.uses().map(([statement, ...use]) => ({ statement, ...named(useNames, use) }))
  }

  #useOf(statement: string): number[] {
    const uses = (this.#uses ??= new Map())
    let use = uses.get(statement)
    if (use) return use
    if (uses.size >= MAX_STATEMENTS && statement !== OTHER) return this.#useOf(OTHER)
    use = useNames.map(() => 0)
    uses.set(statement, use)
    return use
  }
}

function addUp(sums: number[], values: readonly number[]): void {
  for (let i = 0; i < sums.length; i++) (sums[i] as number) += values[i] as number
}

function named<Name extends string>(
  names: readonly Name[],
  figures: readonly number[],
): { [Each in Name]: number } {
  const entries = names.map((name, i) => [name, figures[i]])
  return Object.fromEntries(entries) as { [Each in Name]: number }
}
