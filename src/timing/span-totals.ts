/**
 * Span totals: what many spans come to, exactly, without keeping them.
 *
 * A route has one, so has the background of the process, and so has, for a while, a request with
 * more spans than are kept. Each span is added once, when it has ended.
 *
 * Statements are counted one by one up to a limit; those that come later share the line `other`, so
 * that the sums over all lines stay exact.
 */
import type { StatementUse } from '../core/facts.ts'
import type { Span } from './span.ts'

/** Distinct statements of one route. An application that pastes values into its SQL has no end of them. */
const MAX_STATEMENTS = 200
const OTHER = 'other'

class StatementTotals {
  calls = 0
  totalMs = 0
  rows = 0
  bytes = 0
  errors = 0
}

export class SpanTotals {
  queries = 0
  connects = 0
  dbMs = 0
  poolWaitMs = 0
  connectMs = 0
  httpMs = 0
  #statements: Map<string, StatementTotals> | undefined = undefined

  add(span: Span): void {
    const durationMs = span.endMs - span.startMs
    switch (span.kind) {
      case 'query':
        this.queries += 1
        this.dbMs += durationMs
        if (span.statement !== undefined) this.#addStatement(span, span.statement, durationMs)
        break
      case 'pool-wait':
        this.poolWaitMs += durationMs
        break
      case 'connect':
        this.connects += 1
        this.connectMs += durationMs
        break
      case 'http':
        this.httpMs += durationMs
        break
      default:
    }
  }

  merge(other: SpanTotals): void {
    this.queries += other.queries
    this.connects += other.connects
    this.dbMs += other.dbMs
    this.poolWaitMs += other.poolWaitMs
    this.connectMs += other.connectMs
    this.httpMs += other.httpMs
    for (const use of other.statements()) this.mergeStatement(use)
  }

  mergeStatement(use: StatementUse): void {
    const totals = this.#totalsOf(use.statement)
    totals.calls += use.calls
    totals.totalMs += use.totalMs
    totals.rows += use.rows
    totals.bytes += use.bytes
    totals.errors += use.errors
  }

  statements(): StatementUse[] {
    if (this.#statements === undefined) return []
    return [...this.#statements].map(([statement, { calls, totalMs, rows, bytes, errors }]) => ({
      statement,
      calls,
      totalMs,
      rows,
      bytes,
      errors,
    }))
  }

  #addStatement(span: Span, statement: string, durationMs: number): void {
    const totals = this.#totalsOf(statement)
    totals.calls += 1
    totals.totalMs += durationMs
    totals.rows += span.rows ?? 0
    totals.bytes += span.bytes ?? 0
    if (span.error !== undefined) totals.errors += 1
  }

  #totalsOf(statement: string): StatementTotals {
    const statements = (this.#statements ??= new Map())
    const known = statements.get(statement)
    if (known !== undefined) return known
    const isFull = statements.size >= MAX_STATEMENTS && statement !== OTHER
    if (isFull) return this.#totalsOf(OTHER)
    const totals = new StatementTotals()
    statements.set(statement, totals)
    return totals
  }
}
