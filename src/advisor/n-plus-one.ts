/**
 * N+1: a list is read, and then one statement for each of its rows.
 *
 * Judged by shape and count, one request at a time: the same read, at least `minCalls` times, with
 * other values each time, in at least `minShare` of the sampled requests. Whether the calls ran one
 * after another or side by side does not matter: PostgreSQL answers each of them.
 *
 * Stronger with each of: the count follows the number of rows of an earlier statement from request to
 * request; the values sent are values that an earlier statement brought.
 *
 * Only `possible`: where no values were hashed (the calls may repeat the same ones); where all values
 * came with the request (a loop over given ids can be combined as well, yet nobody caused it by reading
 * a list); where a single request was seen.
 *
 * Not accused: writes; lists fetched in chunks; pages that continue one another, and walks along a
 * chain (see `statement-run.ts`); polling and repetition (the same values: duplicate-query); retries.
 *
 * Saving: the combined statement has one fixed part (a round trip, parse, plan) and all of the work
 * for the rows. What all calls have in common, their lower quartile `f`, is taken for the fixed part,
 * so that of the wall-clock time `W` that the `n` calls cover, the work `Σt − nf` remains, and one `f`:
 *
 *   W · nf / Σt − f          one after another (W = Σt): (n − 1) · f
 *
 * Connections opened within the loop are not counted here: connection-per-request counts them.
 */
import type { Candidate } from './candidate.ts'
import { combinedOf } from './combined-statement.ts'
import { covered, figure, median, per, quantile, sum } from './measure.ts'
import {
  type RequestView,
  type RouteView,
  type Situation,
  type SpanView,
  usesOf,
} from './situation.ts'
import { runsOf, type StatementRun } from './statement-run.ts'

export interface NPlusOneThresholds {
  /** Sentry's rule, and what a page with a handful of parts may have for good reasons stays below. */
  readonly minCalls: number
  /** Of the sampled requests: a loop that runs now and then is not what makes the route slow. */
  readonly minShare: number
}

export const nPlusOneThresholds: NPlusOneThresholds = { minCalls: 5, minShare: 0.5 }

interface Seen {
  readonly request: RequestView
  readonly run: StatementRun
}

export function nPlusOne(situation: Situation, thresholds: NPlusOneThresholds): Candidate[] {
  return situation.routes.flatMap((route) => {
    const { requests } = route
    const byStatement = new Map<string, Seen[]>()
    for (const request of requests) {
      for (const run of runsOf(request, situation, thresholds.minCalls)) {
        if ((run.distinct ?? thresholds.minCalls) < thresholds.minCalls) continue
        const list = byStatement.get(run.statement)
        if (list === undefined) byStatement.set(run.statement, [{ request, run }])
        else list.push({ request, run })
      }
    }
    return [...byStatement.values()].flatMap((seen) => {
      const judged = judgedBy(requests, seen)
      if (seen.length < thresholds.minShare * judged) return []
      return candidateOf(situation, route, seen, judged)
    })
  })
}

/**
 * How many requests can have such a run. `IN ($1)`, as object mappers ask for a single key, is told
 * from a list only by its values: requests whose values were not hashed say neither yes nor no.
 */
function judgedBy(requests: readonly RequestView[], seen: readonly Seen[]): number {
  const needsValues = seen.some(({ run }) => run.shape.hasList)
  return needsValues ? requests.filter(({ facts }) => facts.deep).length : requests.length
}

/** Statements that a loop of the route repeats: no waterfall, and no duplicate beside it. */
export function loopStatements(request: RequestView, situation: Situation): Set<string> {
  const runs = runsOf(request, situation, nPlusOneThresholds.minCalls)
  const loops = runs.filter(
    ({ distinct }) => distinct !== undefined && distinct * 2 > nPlusOneThresholds.minCalls,
  )
  return new Set(loops.map(({ statement }) => statement))
}

function candidateOf(
  situation: Situation,
  route: RouteView,
  seen: readonly Seen[],
  judged: number,
): Candidate[] {
  const deep = seen.filter(({ run }) => run.distinct !== undefined)
  // Where values are known in some requests, they decide; the others cannot speak against them.
  const deepRequests = route.requests.filter(({ facts }) => facts.deep)
  if (deepRequests.length > 0 && deep.length * 2 < deepRequests.length) return []
  const { run } = (deep[0] ?? seen[0]) as Seen
  const { statement, shape } = run
  const calls = median(seen.map((each) => each.run.calls.length))
  const source = sourceOf(seen)
  const provenance = provenanceOf(deep)
  const isFromRequest = deep.length > 0 && deep.every((each) => each.run.isFromRequest)
  const isSure = deep.length > 0 && seen.length > 1 && !isFromRequest
  const saved = median(seen.map((each) => savingOf(each.run)))
  const isParallel = median(seen.map((each) => overlapOf(each.run))) > 1.5
  const use = usesOf(route).find((each) => each.statement === statement)
  const { relations } = shape
  const table = relations[0] ?? 'a table'

  const evidence = [
    `${figure(calls)} times in one request (median), in ${seen.length} of ${judged} sampled requests: ${shape.text || 'statement of unknown text'}`,
  ]
  if (source !== undefined) evidence.push(source.sentence(situation))
  if (provenance !== undefined) {
    evidence.push(
      `The values that differ from call to call are values that an earlier statement on ${situation.statement(provenance).relations.join(', ') || 'another table'} brought.`,
    )
  }
  if (use !== undefined) {
    const facts = route.solo ?? route.load
    evidence.push(
      `Counted exactly: ${figure(per(use.calls, facts?.requests ?? 0))} calls and ${figure(per(use.totalMs, facts?.requests ?? 0))} ms of database time per request.`,
    )
  }
  evidence.push(
    isParallel
      ? 'The calls run side by side, which hides part of the time and takes connections from others.'
      : 'The calls run one after another, so that each adds its round trip.',
  )
  if (deep.length === 0)
    evidence.push('No values were compared: the calls may repeat the same ones.')
  if (isFromRequest) evidence.push('The values all came with the request itself.')

  return [
    {
      kind: 'n-plus-one',
      subject: statement,
      route,
      title: `${figure(calls)} statements on ${table} where one would do`,
      evidence,
      confidence: isSure ? 'likely' : 'possible',
      remedy: remedyOf(run),
      claims: [{ resource: `query:${statement}`, ms: saved }],
      statements: [statement],
    },
  ]
}

function savingOf({ calls }: StatementRun): number {
  const durations = calls.map(({ durationMs }) => durationMs)
  const total = sum(durations)
  if (total <= 0) return 0
  const wall = covered(calls)
  const fixed = quantile(durations, 0.25)
  const shared = Math.min(1, (calls.length * fixed) / total)
  return Math.max(0, Math.min(wall, wall * shared - fixed))
}

/** How many ran at once. */
function overlapOf({ calls }: StatementRun): number {
  const wall = covered(calls)
  return wall > 0 ? sum(calls.map(({ durationMs }) => durationMs)) / wall : 1
}

/** The earlier statement whose number of rows the calls follow. */
function sourceOf(seen: readonly Seen[]) {
  let possible: Set<string> | undefined
  const counts = new Set<number>()
  for (const { request, run } of seen) {
    const begin = run.calls[0]?.startMs ?? 0
    counts.add(run.calls.length)
    const here = new Set(
      request.queries
        .filter((span) => span.statement !== undefined && span.statement !== run.statement)
        .filter((span) => span.endMs <= begin && span.rows === run.calls.length)
        .map((span) => span.statement as string),
    )
    const before: Set<string> = possible ?? here
    possible = new Set([...before].filter((statement) => here.has(statement)))
  }
  const statement = [...(possible ?? [])].sort()[0]
  if (statement === undefined) return undefined
  const [least, most] = [Math.min(...counts), Math.max(...counts)]
  return {
    sentence: (situation: Situation): string => {
      const relation = situation.statement(statement).relations[0] ?? 'an earlier statement'
      return least === most
        ? `One call for each of the ${least} rows that were read from ${relation} before.`
        : `The number of calls follows the number of rows read from ${relation} before: ${least} to ${most}.`
    },
  }
}

/** The earlier statement that brought what the calls send. */
function provenanceOf(deep: readonly Seen[]): string | undefined {
  let possible: Set<string> | undefined
  for (const { request, run } of deep) {
    if (run.varying === undefined) return undefined
    const here = sourcesOf(request, run, run.varying)
    const before: Set<string> = possible ?? here
    possible = new Set([...before].filter((statement) => here.has(statement)))
  }
  return [...(possible ?? [])].sort()[0]
}

/** Statements that had brought, when each call was sent, what it sends. */
function sourcesOf(request: RequestView, run: StatementRun, varying: number): Set<string> {
  const unknown = new Map<string, Set<SpanView>>()
  for (const { statement, outputs } of request.queries) {
    if (statement !== undefined && statement !== run.statement && outputs !== undefined) {
      unknown.set(statement, new Set(run.calls))
    }
  }
  for (const call of run.calls) {
    const value = call.inputs?.[varying]
    for (const { statement, outputs, endMs } of request.queries) {
      if (statement === undefined || value === undefined || endMs > call.startMs) continue
      if (outputs?.includes(value) === true) unknown.get(statement)?.delete(call)
    }
  }
  return new Set([...unknown].filter(([, calls]) => calls.size === 0).map(([each]) => each))
}

function remedyOf(run: StatementRun): Candidate['remedy'] {
  const parameters = new Set(
    run.shape.tokens.filter(({ text }) => /^\$\d+$/.test(text)).map(({ text }) => text),
  )
  const inputs = run.calls[0]?.inputs?.length
  const isNumbered = run.varying !== undefined && inputs === parameters.size
  const parameter = isNumbered ? (run.varying as number) + 1 : undefined
  const combined = combinedOf(run.shape, parameter)
  if (combined === undefined) {
    return {
      note: `Collect the keys, ask for all of them in one statement (\`= ANY($1)\` with an array, or a join with the statement that reads the list), and hand the rows out by key.`,
    }
  }
  const { sql, column, note } = combined
  const others = parameters.size > 1 ? ' The other parameters stay as they are.' : ''
  return {
    sql,
    code: [
      `const { rows } = await pool.query(sql, [keys]) // keys: one array, the values the loop went over`,
      `const byKey = new Map(keys.map((key) => [String(key), []]))`,
      `for (const row of rows) byKey.get(String(row.${/^\w+$/.test(column) ? column : 'key'}))?.push(row)`,
    ].join('\n'),
    note: `One statement for the whole list; then each turn of the loop takes its rows from \`byKey\`.${others}${note === undefined ? '' : ` ${note}`}`,
  }
}
