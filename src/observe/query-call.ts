/**
 * QueryCall: one statement on its way, from the user's call to the database's answer.
 *
 *   user calls ──▶ waits for its client ──▶ sent ──▶ answered, or failed
 *      scope          span pool-wait            span query
 *
 * The scope is taken where the user calls and never looked up again: all that happens later runs in
 * the context of whoever opened the socket. Time in the client's own queue is waiting, not the
 * database's. A statement that never left (refused client, values that cannot be sent) makes no query
 * span; one whose scope is no request is counted as background.
 *
 * Hooks of other drivers use it too; what is theirs (transactions, bytes) they write on the span.
 */
import { timing, type Span } from '../timing/index.ts'
import { agentSeam, type SeamClient } from './agent-seam.ts'
import type { Scope } from './context.ts'
import { hookFailed } from './guard.ts'
import type { PgConnection } from './pg-connection.ts'
import { hashesOfInputs, hashesOfRows } from './pg-values.ts'
import { type Statement, statementOf } from '../core/statement.ts'

export class QueryCall {
  readonly scope: Scope | undefined
  /** Of pg, where it is known before the statement is sent. */
  readonly connection: PgConnection | undefined
  statement: Statement | undefined
  /** No code of the application's runs when it is answered, so that no context has to be entered. */
  isQuiet = false
  /** While it runs in the database; none for background. */
  span: Span | undefined
  #wait: Span | undefined
  #startMs = Number.NaN
  #isOver = false

  constructor(scope: Scope | undefined, connection?: PgConnection) {
    this.scope = scope
    this.connection = connection
  }

  get isSent(): boolean {
    return this.statement !== undefined
  }

  get isOver(): boolean {
    return this.#isOver
  }

  get isDeep(): boolean {
    return this.scope?.timeline.deep === true
  }

  /** Its client or pool is busy. */
  waits(name: string, connection: number | undefined): void {
    this.#wait = this.scope?.open('pool-wait', name)
    if (this.#wait !== undefined) this.#wait.connection = connection
  }

  /** It is being written to its connection, since `startMs`. */
  sent(
    text: string,
    values: readonly unknown[] | undefined,
    client: SeamClient,
    startMs: number,
  ): Statement {
    const statement = statementOf(text)
    this.statement = statement
    this.#startMs = startMs
    this.#wait?.end()
    const { scope } = this
    if (scope !== undefined) {
      const span = scope.open('query', statement.name, startMs)
      span.statement = statement.id
      this.span = span
    }
    if (this.isDeep) this.#hash(text, values)
    agentSeam.statement?.(statement, text, values, client)
    return statement
  }

  /** Values may be objects of the application's own, whose getters throw. */
  #hash(text: string, values: readonly unknown[] | undefined): void {
    try {
      if (this.span !== undefined) this.span.inputs = hashesOfInputs(text, values)
    } catch (error) {
      hookFailed(error)
    }
  }

  answered(rowCount: number, rows: readonly unknown[] | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    const { span } = this
    if (span !== undefined) {
      span.rows = rowCount
      if (rows !== undefined && this.isDeep) {
        try {
          span.outputs = hashesOfRows(rows)
        } catch (error) {
          hookFailed(error)
        }
      }
      span.end()
    } else if (this.isSent) timing.background('query', timing.now() - this.#startMs)
  }

  failed(error: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#wait?.end(error)
    if (this.span !== undefined) this.span.end(error)
    else if (this.isSent) timing.background('query', timing.now() - this.#startMs)
  }
}
