/**
 * Explain: asks the planner, beside the application, how it runs a statement.
 *
 *   sample of the statement ──▶ own connection ──▶ BEGIN READ ONLY
 *                                                  SET LOCAL statement_timeout …
 *                                                  EXPLAIN (FORMAT JSON) <text>, bound to its values
 *                                                  ROLLBACK
 *
 * Rules:
 *   1. Never ANALYZE: the statement is planned, not run. The transaction is read-only and short all
 *      the same, because planning may call functions that are declared immutable and are not.
 *   2. Only the extended protocol, where a text is one statement: a text that is two is refused by
 *      the server, and not run by us.
 *   3. Only what can be explained, by its first word.
 *   4. The application's own copy of pg with the connection's own parameters reaches what the
 *      application reaches. The connection is marked, so that no hook counts it.
 *   5. What leaves is stripped of literals: conditions go through the lexer, and a string that is
 *      not known to be a name counts as a condition.
 */
import type { PlanFacts } from '../../core/facts.ts'
import type { ConnectionParameters, StatementSample } from './statement-samples.ts'

export interface ExplainClient {
  connect(): Promise<unknown>
  query(config: object | string): Promise<{ rows: Record<string, unknown>[] }>
  end(): Promise<void>
  on(event: 'error', listener: () => void): unknown
}

export interface ExplainOptions {
  readonly sampleOf: (statement: string) => StatementSample | undefined
  /** A client that no hook counts, not yet connected. */
  readonly connectTo: (parameters: ConnectionParameters) => ExplainClient | undefined
  /** Removes literals and comments from SQL. */
  readonly strip: (text: string) => string
}

const TIMEOUT_MS = 2_000
const explainable = /^[\s(]*(?:SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|VALUES)\b/i

/** Strings in a plan that are words of PostgreSQL's or names of the schema's. */
const names = new Set([
  'Node Type',
  'Parent Relationship',
  'Relation Name',
  'Schema',
  'Alias',
  'Index Name',
  'Join Type',
  'Strategy',
  'Scan Direction',
  'Operation',
  'Command',
  'Partial Mode',
  'Subplan Name',
  'CTE Name',
  'Function Name',
  'Table Function Name',
  'Tuplestore Name',
  'Custom Plan Provider',
  'Conflict Resolution',
  'Conflict Arbiter Indexes',
  'Cache Mode',
])

export async function explainAll(
  statements: readonly string[],
  options: ExplainOptions,
): Promise<PlanFacts[]> {
  const plans = new Map<string, PlanFacts>()
  const byDatabase = new Map<ConnectionParameters, [string, StatementSample][]>()
  const alike = new Map<string, ConnectionParameters>()
  for (const statement of statements) {
    const sample = options.sampleOf(statement)
    if (sample === undefined) {
      plans.set(statement, { statement, error: 'no call of it was kept: too large, or too many' })
    } else if (!explainable.test(options.strip(sample.text))) {
      plans.set(statement, { statement, error: 'a statement of this kind has no plan' })
    } else {
      const { host, port, database, user } = sample.parameters
      const key = [host, port, database, user].join('\0')
      const parameters = alike.get(key) ?? sample.parameters
      alike.set(key, parameters)
      const group = byDatabase.get(parameters)
      if (group === undefined) byDatabase.set(parameters, [[statement, sample]])
      else group.push([statement, sample])
    }
  }
  for (const [parameters, group] of byDatabase) {
    for (const plan of await explainThere(parameters, group, options)) {
      plans.set(plan.statement, plan)
    }
  }
  return statements.map((statement) => plans.get(statement) ?? { statement, error: 'not asked' })
}

async function explainThere(
  parameters: ConnectionParameters,
  group: readonly (readonly [string, StatementSample])[],
  options: ExplainOptions,
): Promise<PlanFacts[]> {
  const failed = (error: unknown) =>
    group.map(([statement]) => ({ statement, error: reasonOf(error) }))
  let client: ExplainClient | undefined
  try {
    client = options.connectTo(parameters)
    if (client === undefined) return failed('its driver cannot be used for EXPLAIN')
    // The connection may break at any time; what waits on it is rejected besides.
    client.on('error', () => {})
    await client.connect()
    const plans: PlanFacts[] = []
    for (const [statement, sample] of group) {
      plans.push(await explainOne(client, statement, sample, options))
    }
    return plans
  } catch (error) {
    return failed(error)
  } finally {
    await client?.end().catch(() => {})
  }
}

async function explainOne(
  client: ExplainClient,
  statement: string,
  { text, values }: StatementSample,
  { strip }: ExplainOptions,
): Promise<PlanFacts> {
  try {
    await client.query('BEGIN READ ONLY')
    await client.query(`SET LOCAL statement_timeout = ${TIMEOUT_MS}`)
    const { rows } = await client.query({
      // A name makes every version of pg use the extended protocol, also without values.
      name: `hasten_explain_${statement}`,
      text: `EXPLAIN (FORMAT JSON) ${text}`,
      values,
    })
    const document = Object.values(rows[0] ?? {})[0]
    const parsed = (typeof document === 'string' ? JSON.parse(document) : document) as unknown
    const { Plan } = ((Array.isArray(parsed) ? parsed[0] : parsed) ?? {}) as { Plan?: unknown }
    if (Plan === undefined) return { statement, error: 'the server answered without a plan' }
    return { statement, plan: stripped(Plan, strip) }
  } catch (error) {
    return { statement, error: reasonOf(error) }
  } finally {
    await client.query('ROLLBACK').catch(() => {})
  }
}

/** The plan without literals. */
export function stripped(
  value: unknown,
  strip: (text: string) => string,
  isName: boolean = false,
): unknown {
  if (typeof value === 'string') return isName ? value : strip(value)
  if (Array.isArray(value)) return value.map((each) => stripped(each, strip, isName))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, stripped(each, strip, names.has(key))]),
  )
}

/** A server's message may quote a value; its code and our own words may not. */
function reasonOf(error: unknown): string {
  if (typeof error === 'string') return error
  const { code, name } = error as { code?: string; name?: string }
  return `the server or its driver said ${code ?? name ?? 'no'}`
}
