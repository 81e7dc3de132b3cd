/**
 * Slow query: one statement takes long by itself, asked alone.
 *
 * Slow is a mean of `minMs`, or of `minShareMs` where the statement takes `minShare` of its route, or
 * of those of its requests that run it. The
 * time is that of requests sent one at a time: under load a statement also waits for processors, and
 * that is not its fault. Rows cost time to send and to parse, so `perRowMs` is allowed for each.
 *
 * The plan tells why: a sequential scan with its filter, a scan repeated in a nested loop, a large
 * sort. Without a plan the statement is still slow, and the finding says that the reason is unknown.
 *
 * Measured slowness accuses only where the plan explains it: by a selective sequential scan, or by a
 * cost of `HEAVY_COST`. What is slow for no reason that the planner knows is `possible`.
 *
 * Not accused: statements that are slow on purpose (`pg_sleep`, advisory locks), that wait for others
 * (row locks), transaction statements, COPY; many rows at their normal price (large-response).
 *
 * Saving, for each call: of the part that is a selective sequential scan, by its share of the plan's
 * cost, four fifths, because an index scan is not free. Where no such part is known, half of the
 * statement's time, and the evidence says that this is a round figure.
 */
import type { Candidate } from './candidate.ts'
import { amount, covered, figure, median, per, percent } from './measure.ts'
import { type PlanReading, indexColumnsOf, readPlan, type SequentialScan } from './plan-reading.ts'
import { type RouteView, type Situation, usesOf } from './situation.ts'

export interface SlowQueryThresholds {
  /** A statement with its index takes well below 1 ms; 20 ms are felt. */
  readonly minMs: number
  readonly minShare: number
  readonly minShareMs: number
  /** `pg` parses some 200,000 rows of a few columns per second. */
  readonly perRowMs: number
}

export const slowQueryThresholds: SlowQueryThresholds = {
  minMs: 20,
  minShare: 0.3,
  minShareMs: 10,
  perRowMs: 0.005,
}

const INDEX_SAVES = 0.8
const ROUND_FIGURE = 0.5
/** The planner reckons it much work itself: as much as 5,000 pages, 40 MB, read in sequence. */
const HEAVY_COST = 5000
/** What the planner reckons this little and takes less than `NOISE_MS` met a busy machine. */
const LIGHT_COST = 500
const NOISE_MS = 100
/** Of a plan's cost, from which on a scan is named. */
const TOLD_SHARE = 0.05
/** Rows that explain time by themselves: to be found, sent and read. */
const MANY_ROWS = 1000
/** Calls from which on a mean is one. */
const MIN_CALLS = 3

export function slowQuery(situation: Situation, thresholds: SlowQueryThresholds): Candidate[] {
  return situation.routes.flatMap((route) =>
    usesOf(route).flatMap((use) => {
      const facts = route.solo ?? route.load
      const calls = amount(use.calls)
      if (facts === undefined || calls === 0 || amount(use.errors) * 2 > calls) return []
      const shape = situation.statement(use.statement)
      if (shape.isControl || shape.isVolatile || shape.verb === 'COPY') return []
      const isLocking = !shape.isRead && /^(?:SELECT|WITH)$/.test(shape.verb)
      if (shape.text === '' || isLocking) return []

      const ownMs = meanOf(route, use.statement, per(use.totalMs, calls))
      const rowsMs = per(use.rows, calls) * thresholds.perRowMs
      const callsPerRequest = per(calls, facts.requests)
      const share =
        shareWhereRun(route, use.statement) ??
        Math.min(1, per(ownMs * callsPerRequest, per(facts.totalMs, facts.requests)))
      const slowMs = ownMs - rowsMs
      const isSlow =
        slowMs >= thresholds.minMs ||
        (slowMs >= thresholds.minShareMs && share >= thresholds.minShare)
      if (!isSlow || (slowMs < NOISE_MS && isLight(situation, use.statement))) return []
      return [
        candidateOf(situation, route, use.statement, {
          ownMs,
          slowMs,
          callsPerRequest,
          share,
          calls,
          rows: per(use.rows, calls),
        }),
      ]
    }),
  )
}

/**
 * Of the requests that ran it, where some did not: one route may answer requests of several kinds
 * (`/classes/:name`), and those of the others say nothing about this one. The middle one, so that a
 * single odd request does not decide.
 */
function shareWhereRun({ soloRequests }: RouteView, statement: string): number | undefined {
  const shares = soloRequests.flatMap(({ facts, queries }) => {
    const own = queries.filter((span) => span.statement === statement)
    return own.length === 0 ? [] : [Math.min(1, per(covered(own), facts.durationMs))]
  })
  return shares.length === 0 || shares.length === soloRequests.length ? undefined : median(shares)
}

function isLight(situation: Situation, statement: string): boolean {
  const plan = situation.planOf(statement)?.plan
  return plan !== undefined && plan !== null && readPlan(plan).cost < LIGHT_COST
}

interface Measured {
  readonly ownMs: number
  readonly slowMs: number
  readonly callsPerRequest: number
  readonly share: number
  readonly calls: number
  /** Per call. */
  readonly rows: number
}

/** The first call may find cold pages: the median of the calls that were seen one by one, where it is less. */
function meanOf(route: RouteView, statement: string, mean: number): number {
  const durations = route.soloRequests.flatMap(({ queries }) =>
    queries.filter((span) => span.statement === statement).map(({ durationMs }) => durationMs),
  )
  return durations.length >= MIN_CALLS ? Math.min(mean, median(durations)) : mean
}

function candidateOf(
  situation: Situation,
  route: RouteView,
  statement: string,
  measured: Measured,
): Candidate {
  const shape = situation.statement(statement)
  const facts = situation.planOf(statement)
  const hasPlan = facts?.plan !== undefined && facts.plan !== null
  const reading: PlanReading = hasPlan ? readPlan(facts?.plan) : { cost: 0, scans: [], others: [] }
  const [scan] = reading.scans
  const selective = reading.scans.filter(({ isSelective }) => isSelective)
  const avoidable = Math.min(
    1,
    selective.reduce((all, each) => all + each.costShare, 0),
  )
  const savedShare = avoidable > 0 ? avoidable * INDEX_SAVES : ROUND_FIGURE
  // A machine that is busy elsewhere makes every statement slow; the planner's figures it leaves alone.
  const isExplained = selective.length > 0 || reading.cost >= HEAVY_COST
  const wasAlone = route.solo !== undefined && measured.calls >= MIN_CALLS

  const evidence = [
    `${figure(measured.ownMs)} ms for one call${wasAlone ? ', asked alone' : ''}, ${percent(measured.share)} of ${measured.callsPerRequest < 1 ? 'the requests that run it' : "the route's time"}: ${shape.text}`,
    ...reading.scans.filter(isTold).slice(0, 3).map(sentenceOf),
    ...reading.others,
  ]
  if (measured.rows >= MANY_ROWS) {
    evidence.push(
      `It returns ${figure(measured.rows)} rows a call, which must be sent and read too, in the event loop.`,
    )
  }
  if (!hasPlan)
    evidence.push(
      `No plan to look at${facts?.error === undefined ? '' : `: ${facts.error}`}. Why it is slow is not known.`,
    )
  else {
    if (scan === undefined) evidence.push('The plan has no sequential scan.')
    if (!isExplained && measured.rows < MANY_ROWS) {
      evidence.push(
        'The planner reckons it little work, so it waits for something, calls a function that takes long, or the machine was busy.',
      )
    }
  }
  evidence.push(
    avoidable > 0
      ? `Counted as saved: four fifths of what the scan takes by the plan's cost (${percent(avoidable)}).`
      : 'Counted as saved: half of its time, a round figure, since the plan does not tell what could be avoided.',
  )
  const table = shape.relations[0] ?? scan?.relation ?? 'the database'
  return {
    kind: 'slow-query',
    subject: statement,
    route,
    title: `One ${shape.verb === 'WITH' ? 'query' : shape.verb} on ${table} takes ${figure(measured.ownMs)} ms`,
    evidence,
    confidence: wasAlone && isExplained ? 'likely' : 'possible',
    remedy: remedyOf(selective, reading, shape.verb),
    claims: [
      {
        resource: `query:${statement}`,
        ms: measured.slowMs * measured.callsPerRequest * savedShare,
      },
    ],
    statements: [statement],
  }
}

/** What takes next to nothing of the plan's cost explains nothing. */
function isTold({ costShare }: SequentialScan): boolean {
  return costShare >= TOLD_SHARE
}

function sentenceOf(scan: SequentialScan): string {
  const filter = scan.filter === undefined ? 'without a filter' : `and filters by ${scan.filter}`
  const kept =
    scan.filter === undefined
      ? `${figure(scan.rowsOut)} rows`
      : `keeps ${figure(scan.rowsOut)} of about ${figure(scan.rowsScanned)} rows`
  const again = scan.isRepeated ? ', again for each row of a nested loop' : ''
  return `The planner reads all of ${scan.relation} (sequential scan) ${filter}${again}: ${kept}, ${percent(scan.costShare)} of the plan's cost.`
}

function remedyOf(
  selective: readonly SequentialScan[],
  reading: PlanReading,
  verb: string,
): Candidate['remedy'] {
  const indexes = selective.flatMap(({ relation, filter }) => {
    const columns = filter === undefined ? undefined : indexColumnsOf(filter)
    return columns === undefined
      ? []
      : [`CREATE INDEX CONCURRENTLY ON ${quoted(relation)} (${columns.join(', ')});`]
  })
  if (indexes.length > 0) {
    return {
      sql: [...new Set(indexes)].join('\n'),
      note: 'Not proved: the index was not tried, neither its use by the planner nor its price for writes. Run EXPLAIN after creating it.',
    }
  }
  if (selective.length > 0) {
    return {
      note: `The filter ${selective[0]?.filter ?? ''} keeps few rows, and no index serves it as it is written. An index on its expression may (for LIKE with a leading %: pg_trgm).`,
    }
  }
  if (reading.scans.some(({ filter }) => filter === undefined) && verb === 'SELECT') {
    return {
      note: 'It needs most rows of the table whatever index there is. Ask for less (a WHERE, a LIMIT by an index), or compute the result less often: a materialised view, a summary table, a cache.',
    }
  }
  return {
    note: 'Look at it with EXPLAIN (ANALYZE, BUFFERS) on a copy of the data: it shows where the time goes.',
  }
}

function quoted(relation: string): string {
  return relation
    .split('.')
    .map((part) => (/^[a-z_][a-z0-9_]*$/.test(part) ? part : `"${part.replaceAll('"', '""')}"`))
    .join('.')
}
