/**
 * Statement book: which lane a statement takes, learned from how long its shape takes the server.
 *
 *   text ──▶ KnownText ──▶ StatementShape ──▶ lane
 *            (name)        (times)            new ▸ express ⇄ alone
 *
 *   new       nobody knows how long it takes: it gets a connection alone
 *   express   most of its recent runs took less than `expressMaxMs`, and its results are small: it
 *             shares a connection with others
 *   alone     it is slower, or was caught holding others up. It comes back after fast runs in a row:
 *             a few after the first offences, since machines have hiccups, one where offences are rare
 *             among its runs, hundreds where they are not
 *   stock     never shared: several statements in a text, transactions, what touches the session,
 *             COPY, DDL, functions that take session locks. Run by `pg`'s own Query
 *
 * Times are the server's own as far as they can be seen from here: from the answer to the statement
 * before on the connection, or from when it was sent, to its own answer.
 *
 * Texts with values pasted into them share the times of their shape. Only a text that was seen before
 * is prepared: preparing what never comes again would cost a round of memory on the server.
 *
 * A prepared statement's first five runs are planned with their values, later ones perhaps without [1].
 * Where those are three times slower, the shape is not prepared any more.
 *
 * [1] https://www.postgresql.org/docs/current/sql-prepare.html
 */
import { type Statement, statementOf } from '../core/statement.ts'
import { TwoGenerations } from '../core/two-generations.ts'

export type Lane = 'new' | 'express' | 'alone' | 'stock'

const MAX_SHAPES = 2_000
const MAX_TEXTS = 4_000
const MAX_CHARACTERS = 4_000_000
const MAX_TEXT = 64 * 1024
/** Runs with a plan of their own before the server may take a generic one. */
export const CUSTOM_PLANS = 5
const LARGE_ROWS = 1_000
/** Runs by which it is judged whether a statement has become slow. */
const RECENT = 9
/** Of all runs: below, it is the machine and not the statement. */
const RARE_OFFENCES = 0.005
const LARGE_BYTES = 256 * 1024

export class StatementShape {
  readonly statement: Statement
  lane: Lane
  why: string
  runs = 0
  offences = 0
  isPrepared = true
  meanMs = 0
  deviationMs = 0
  #customMs = 0
  #genericMs = 0
  #genericRuns = 0
  #fastRuns = 0
  readonly #recent = new Float64Array(RECENT)

  constructor(statement: Statement, lane: Lane, why: string) {
    this.statement = statement
    this.lane = lane
    this.why = why
  }

  /** An answer came. `use` is the how-manieth run of the prepared statement, 0 where it is none. */
  ran(ms: number, rows: number, bytes: number, use: number, maxMs: number): void {
    const { runs } = this
    this.runs += 1
    // The first runs weigh as much as they are; then each counts an eighth.
    const weight = this.runs < 8 ? 1 / this.runs : 1 / 8
    const off = ms - this.meanMs
    this.meanMs += off * weight
    this.deviationMs += (Math.abs(off) - this.deviationMs) * weight
    this.#recent[runs % RECENT] = ms
    if (use > 0) this.#comparePlans(ms, use)
    if (this.lane === 'stock') return
    const isSlow = ms > maxMs || rows > LARGE_ROWS || bytes > LARGE_BYTES
    if (this.lane === 'alone') this.#mayReturn(isSlow)
    else if (isSlow) this.#mustLeave(ms, rows, maxMs)
    else if (this.lane === 'new') {
      this.lane = 'express'
      this.why = `took ${ms.toFixed(2)} ms`
    }
  }

  /** It held others up and was taken off their connection. */
  heldUp(ms: number): void {
    this.offences += 1
    this.#fastRuns = 0
    this.lane = 'alone'
    this.why = `held others up for ${ms.toFixed(1)} ms`
  }

  /** It held nobody up: the machine did. */
  wasInnocent(): void {
    this.offences -= 1
    if (this.lane !== 'alone') return
    this.lane = 'express'
    this.why = `${this.meanMs.toFixed(2)} ms on average`
  }

  #mustLeave(ms: number, rows: number, maxMs: number): void {
    if (ms <= maxMs) this.#leaves(`its result was large (${rows} rows)`)
    else if (this.lane === 'new') this.#leaves(`took ${ms.toFixed(1)} ms at first`)
    else if (this.#isMostlyAbove(maxMs)) {
      this.offences += 1
      this.#leaves(`takes ${this.meanMs.toFixed(1)} ms on average`)
    }
  }

  /** One slow answer may be the machine's; most of the recent ones are the statement's. */
  #isMostlyAbove(maxMs: number): boolean {
    const known = Math.min(this.runs, RECENT)
    let above = 0
    for (let i = 0; i < known; i++) if ((this.#recent[i] as number) > maxMs) above += 1
    return above * 2 > known
  }

  #leaves(why: string): void {
    this.lane = 'alone'
    this.why = why
    this.#fastRuns = 0
  }

  #mayReturn(isSlow: boolean): void {
    if (isSlow) {
      this.#fastRuns = 0
      return
    }
    this.#fastRuns += 1
    if (this.#fastRuns < this.#fastRunsNeeded()) return
    this.lane = 'express'
    this.why = `${this.#fastRuns} fast runs in a row, ${this.meanMs.toFixed(2)} ms on average`
  }

  #fastRunsNeeded(): number {
    const rate = this.offences / this.runs
    if (rate < RARE_OFFENCES) return 1
    if (this.offences <= 3) return 2 ** this.offences
    return Math.min(5_000, (200 * rate) / RARE_OFFENCES)
  }

  #comparePlans(ms: number, use: number): void {
    if (use <= CUSTOM_PLANS) {
      this.#customMs += (ms - this.#customMs) / use
      return
    }
    this.#genericRuns += 1
    this.#genericMs += (ms - this.#genericMs) / Math.min(this.#genericRuns, 8)
    if (this.#genericRuns < CUSTOM_PLANS) return
    if (this.#genericMs < 3 * this.#customMs || this.#genericMs - this.#customMs < 1) return
    this.isPrepared = false
    this.why = `prepared it took ${this.#genericMs.toFixed(1)} ms, planned with its values ${this.#customMs.toFixed(1)} ms`
  }
}

/** One text as callers write it. */
export interface KnownText {
  readonly text: string
  readonly shape: StatementShape
  /** Asked for more than once: worth preparing. */
  isRepeated: boolean
}

export class StatementBook {
  readonly #excluded: readonly RegExp[]
  readonly #texts = new TwoGenerations<KnownText>(MAX_TEXTS, MAX_CHARACTERS)
  readonly #shapes = new TwoGenerations<StatementShape>(MAX_SHAPES, MAX_CHARACTERS)

  constructor(excluded: readonly RegExp[]) {
    this.#excluded = excluded
  }

  of(text: string): KnownText {
    const known = this.#texts.get(text)
    if (known !== undefined) {
      known.isRepeated = true
      return known
    }
    const fresh = { text, shape: this.#shapeOf(text), isRepeated: false }
    if (text.length <= MAX_TEXT) this.#texts.set(text, fresh)
    return fresh
  }

  /** Entries, for tests of its bounds. */
  get size(): number {
    return this.#texts.size + this.#shapes.size
  }

  /** Texts of the express lane, those that ran most first: what a new connection should know. */
  hottest(count: number): KnownText[] {
    return this.#texts
      .values()
      .filter(({ isRepeated, shape }) => isRepeated && shape.isPrepared && shape.lane === 'express')
      .sort((a, b) => b.shape.runs - a.shape.runs)
      .slice(0, count)
  }

  /** Shapes, those that ran most first. */
  shapes(): StatementShape[] {
    return this.#shapes.values().sort((a, b) => b.runs - a.runs)
  }

  #shapeOf(text: string): StatementShape {
    const statement = statementOf(text)
    const known = this.#shapes.get(statement.id)
    if (known !== undefined) return known
    const why = whyStock(statement)
    const pattern = this.#excluded.find((excluded) => {
      excluded.lastIndex = 0
      return excluded.test(text)
    })
    const shape =
      why !== undefined
        ? new StatementShape(statement, 'stock', why)
        : pattern !== undefined
          ? new StatementShape(statement, 'stock', `excluded by ${pattern}`)
          : new StatementShape(statement, 'new', 'not seen before')
    this.#shapes.set(statement.id, shape)
    return shape
  }
}

const shared = new Set(['SELECT', 'VALUES', 'TABLE', 'INSERT', 'UPDATE', 'DELETE', 'MERGE', 'SHOW'])

/** Why a statement must not share a connection, whatever its time. */
function whyStock(statement: Statement): string | undefined {
  if (statement.isMulti) return 'several statements in one text'
  if (statement.transaction !== undefined) return 'begins or ends a transaction'
  if (statement.sessionEffects !== 0) return 'leaves something in the session'
  if (!shared.has(statement.verb)) return `${statement.verb} is no query`
  // SELECT … INTO makes a table, and FOR UPDATE or a function that writes is for a transaction.
  const reads = statement.verb === 'SELECT' || statement.verb === 'VALUES'
  return reads && !statement.isRead
    ? 'writes or locks by a query that looks like a read'
    : undefined
}
