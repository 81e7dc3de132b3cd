/**
 * Large response: many rows are collected, turned into one text, and only then sent.
 *
 * Accused is a route that sends `minBytes` on average (and in the median of the sampled requests), and
 * reads `minRows` for it, where after the last of these rows at least `minTailMs` pass until the
 * response is out. In a response that is streamed the query ends with the response: its rows are read
 * as they are sent.
 *
 * One route may give a page or everything, as its query string says: looked at are the sampled requests
 * in which the statement with the most rows ran, and what is saved counts by how often it runs.
 *
 * Not accused: files and what comes from other services (no rows); streams by cursor; few, large rows.
 * Only `possible` where no request was sampled, and where the response ends cannot be seen.
 *
 * Saving: half of the time between the last row and the end of the response. A page of it would save
 * nearly all, a stream what can be written while rows still come. Memory, which is the other gain, is
 * not counted in milliseconds.
 */
import type { Candidate } from './candidate.ts'
import { amount, figure, median, per, percent, sum } from './measure.ts'
import { pageOf } from './page-statement.ts'
import { type RequestView, type RouteView, type Situation, usesOf } from './situation.ts'
import type { StatementText } from './statement-text.ts'

export interface LargeResponseThresholds {
  /** Nobody reads half a megabyte on a screen; it takes milliseconds to write as JSON. */
  readonly minBytes: number
  readonly minRows: number
  /** A stream is done within a turn or two of the loop. */
  readonly minTailMs: number
}

export const largeResponseThresholds: LargeResponseThresholds = {
  minBytes: 500_000,
  minRows: 1000,
  minTailMs: 5,
}

const SAVED = 0.5

export function largeResponse(
  situation: Situation,
  thresholds: LargeResponseThresholds,
): Candidate[] {
  return situation.routes.flatMap((route) => {
    const facts = route.solo ?? route.load
    const use = usesOf(route).toSorted(
      (a, b) => amount(b.rows) - amount(a.rows) || (a.statement < b.statement ? -1 : 1),
    )[0]
    if (facts === undefined || use === undefined) return []
    const sampled = (route.soloRequests.length > 0 ? route.soloRequests : route.requests).filter(
      ({ facts: request, queries }) =>
        request.responseBytes !== undefined &&
        queries.some(({ statement }) => statement === use.statement),
    )
    const sizes = sampled.map(({ facts: request }) => amount(request.responseBytes))
    const isSeen = sizes.length > 0
    const bytes = isSeen ? per(sum(sizes), sizes.length) : per(facts.responseBytes, facts.requests)
    const rows = per(use.rows, isSeen ? Math.min(use.calls, facts.requests) : facts.requests)
    if (bytes < thresholds.minBytes || rows < thresholds.minRows) return []
    if (isSeen && median(sizes) < thresholds.minBytes) return []
    const tails = sampled.flatMap((request) => tailOf(request, use.statement))
    const tailMs = median(tails)
    if (tails.length > 0 && tailMs < thresholds.minTailMs) return []
    const share = shareOf(route, use.statement)
    return [
      candidateOf(situation, route, use.statement, {
        bytes,
        rows,
        tailMs,
        seen: tails.length,
        share,
      }),
    ]
  })
}

/** Of the route's requests, those that run the statement: under load, whose mix is the real one. */
function shareOf({ solo, load }: RouteView, statement: string): number {
  const shares = [load, solo].flatMap((facts) => {
    const use = facts?.statements.find((each) => each.statement === statement)
    return facts === undefined || use === undefined ? [] : per(use.calls, facts.requests)
  })
  return Math.min(1, shares[0] ?? 1)
}

/** From the last row to the end of the response. */
function tailOf({ facts, queries }: RequestView, statement: string): number[] {
  const ends = queries.filter((span) => span.statement === statement).map(({ endMs }) => endMs)
  return ends.length === 0 ? [] : [Math.max(0, facts.durationMs - Math.max(...ends))]
}

interface Measured {
  readonly bytes: number
  readonly rows: number
  readonly tailMs: number
  /** Requests of which the end was seen. */
  readonly seen: number
  readonly share: number
}

function candidateOf(
  situation: Situation,
  route: RouteView,
  statement: string,
  { bytes, rows, tailMs, seen, share }: Measured,
): Candidate {
  const shape = situation.statement(statement)
  const megabytes = bytes / 1e6
  return {
    kind: 'large-response',
    subject: route.key,
    route,
    title: `${figure(megabytes)} MB from ${figure(rows)} rows are collected before anything is sent`,
    evidence: [
      `${figure(megabytes)} MB per response, made of ${figure(rows)} rows: ${shape.text || 'statement of unknown text'}`,
      ...(seen > 0
        ? [
            `After the last row ${figure(tailMs)} ms pass until the response is out: rows are collected, then written.`,
          ]
        : [
            'When the response was out after the last row could not be seen, so it may be a stream.',
          ]),
      ...(share < 0.95 ? [`It runs in ${percent(share)} of the route's requests.`] : []),
      'All of it is in memory at once, for every such request at the same time.',
    ],
    confidence: seen > 1 ? 'likely' : 'possible',
    remedy: remedyOf(shape),
    claims: [{ resource: 'response', ms: tailMs * SAVED * share }],
    statements: [statement],
  }
}

function remedyOf(shape: StatementText): Candidate['remedy'] {
  const page = pageOf(shape)
  const text = shape.text === '' ? 'SELECT …' : shape.text
  return {
    ...(page !== undefined && { sql: page.sql }),
    code: [
      `import QueryStream from 'pg-query-stream'`,
      `import { Transform } from 'node:stream'`,
      '',
      'const client = await pool.connect()',
      `const rows = client.query(new QueryStream(\`${text.replaceAll('`', '\\`')}\`, values))`,
      `const lines = new Transform({`,
      '  writableObjectMode: true,',
      '  transform: (row, _, done) => done(null, `${JSON.stringify(row)}\\n`),',
      '})',
      `rows.on('close', () => client.release()).pipe(lines)`,
      `reply.type('application/x-ndjson').send(lines) // Express: lines.pipe(response)`,
    ].join('\n'),
    note: `For exports, a stream in constant memory (the code); destroy \`rows\` when the client goes away. For people, pages${page === undefined ? ' that continue at the last key instead of an offset.' : `: the SQL continues after the last ${page.column} of the page before, if that is unique.`}`,
  }
}
