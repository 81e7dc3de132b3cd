/**
 * Claims of a benchmark, in the form of its results file, and the tables that stand behind them.
 */
export interface Claim {
  readonly id: string
  readonly what: string
  readonly measured: number | null
  readonly unit: string
  readonly peer: string | null
  readonly peerMeasured: number | null
  readonly ratio: number | null
  readonly goal: string
  readonly met: boolean
}

/** One row for each client: medians over the rounds. */
export interface Table {
  readonly what: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | number)[])[]
}

export interface Finding {
  readonly claims: readonly Claim[]
  readonly tables: readonly Table[]
}

export interface Scope {
  readonly isQuick: boolean
  /** Of a server with `product`, 1,000 rows, and `taken` with the id 1. */
  readonly url: string
}

/** A count that is right only at `goal`. */
export function count(id: string, what: string, measured: number, unit: string, goal = 0): Claim {
  const withoutPeer = { peer: null, peerMeasured: null, ratio: null }
  return { id, what, measured, unit, ...withoutPeer, goal: `= ${goal}`, met: measured === goal }
}

/** What cannot be measured here is a claim that is not met, with the reason. */
export function unmeasured(id: string, why: string, goal: string): Claim {
  const nothing = { measured: null, unit: '', peer: null, peerMeasured: null, ratio: null }
  return { id, what: `not measured: ${why}`, ...nothing, goal, met: false }
}

export function rounded(value: number): number {
  return Number(value.toPrecision(4))
}

/** Numbers to the right, words to the left. */
export function printed({ what, columns, rows }: Table): string {
  const all: readonly (readonly (string | number)[])[] = [['', ...columns], ...rows]
  const widthOf = (i: number): number => Math.max(...all.map((row) => String(row[i] ?? '').length))
  const isWords = (i: number): boolean => i === 0 || rows.every((row) => typeof row[i] === 'string')
  const lines = all.map((row) =>
    row
      .map((cell, i) =>
        isWords(i) ? String(cell).padEnd(widthOf(i)) : String(cell).padStart(widthOf(i)),
      )
      .join('  ')
      .trimEnd(),
  )
  return `${what}\n${lines.map((line) => `  ${line}\n`).join('')}\n`
}
