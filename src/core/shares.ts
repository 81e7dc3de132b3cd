/**
 * Shares: where the time of a request went, as parts of 1.
 *
 *   query  ████████░░░░            12 ms of queries overlap by 4:
 *   query      ░░░░████████        they share 16 ms of the clock, not 24
 *   http                ██████     and the call is charged only where no query runs
 *          └────────┬───────┘└┬┘
 *                  db       http
 *
 * The spans are swept from start to end, and each moment belongs to one part, so that the parts add
 * up to the whole. Where several are under way the first of this list has it:
 *
 *   1. `serialise`, `cpu`      the process computes: whatever else is open, it does not wait
 *   2. `db`                    a statement runs
 *   3. `connect`, `http`, `cache`
 *   4. `poolWait`              waiting for one's own other statements is the statements' time
 *
 * Where no span is open the process computes for this request, or for others while this one is in
 * line, or the request waits for something that nobody saw (a timer, a file). As long as the event
 * loop was busy (`loopActiveMs`) it is `cpu`, the rest is `other`. Spans of one's own enclose others
 * and take no time of theirs. A span that was still open at the end lasts until the end.
 */
import type { RequestFacts, SpanKind } from './facts.ts'

/** Each 0 to 1, together 1. */
export interface Shares {
  readonly db: number
  readonly poolWait: number
  readonly connect: number
  readonly cache: number
  readonly http: number
  readonly cpu: number
  readonly serialise: number
  readonly other: number
}

type Part = keyof Shares
type Edge = [ms: number, part: number, change: 1 | -1]

/** First come, first charged. */
const priority: readonly Part[] = ['serialise', 'cpu', 'db', 'connect', 'http', 'cache', 'poolWait']

const partOf: Readonly<Record<SpanKind, Part | undefined>> = {
  query: 'db',
  'pool-wait': 'poolWait',
  connect: 'connect',
  cache: 'cache',
  http: 'http',
  cpu: 'cpu',
  serialise: 'serialise',
  custom: undefined,
}

/** Of one request. One without duration is `other` altogether. */
export function shares(facts: RequestFacts): Shares {
  return partsOf(millisecondsOf(facts))
}

/** Of the mean request: long ones weigh by their length. */
export function meanShares(requests: readonly RequestFacts[]): Shares {
  const sums = nothing()
  for (const request of requests) {
    const parts = millisecondsOf(request)
    for (const part of Object.keys(sums) as Part[]) sums[part] += parts[part]
  }
  return partsOf(sums)
}

function millisecondsOf(facts: RequestFacts): Record<Part, number> {
  const { durationMs } = facts
  const parts = nothing()
  if (!(durationMs > 0)) return parts

  const open = priority.map(() => 0)
  let lastMs = 0
  let covered = 0
  for (const [ms, part, change] of edgesOf(facts)) {
    const running = open.findIndex((count) => count > 0)
    if (running !== -1) {
      parts[priority[running] as Part] += ms - lastMs
      covered += ms - lastMs
    }
    open[part] = (open[part] as number) + change
    lastMs = ms
  }

  const idle = Math.max(0, durationMs - covered)
  const busy = Math.max(0, (facts.loopActiveMs ?? 0) - parts.cpu - parts.serialise)
  parts.cpu += Math.min(idle, busy)
  parts.other = Math.max(0, idle - busy)
  return parts
}

function edgesOf({ spans, durationMs }: RequestFacts): Edge[] {
  const edges: Edge[] = []
  for (const span of spans) {
    const name = partOf[span.kind]
    if (name === undefined) continue
    const part = priority.indexOf(name)
    const start = Math.min(durationMs, Math.max(0, span.startMs))
    const end = span.durationMs < 0 ? durationMs : span.startMs + span.durationMs
    const stop = Math.min(durationMs, end)
    if (stop > start) edges.push([start, part, 1], [stop, part, -1])
  }
  return edges.sort((a, b) => a[0] - b[0])
}

function partsOf(milliseconds: Readonly<Record<Part, number>>): Shares {
  const total = Object.values(milliseconds).reduce((sum, ms) => sum + ms, 0)
  if (total === 0) return { ...nothing(), other: 1 }
  const parts = { ...milliseconds }
  for (const part of Object.keys(parts) as Part[]) parts[part] /= total
  return parts
}

function nothing(): Record<Part, number> {
  return { db: 0, poolWait: 0, connect: 0, cache: 0, http: 0, cpu: 0, serialise: 0, other: 0 }
}
