/**
 * Server-Timing: where the time of a request went, as a header that browsers draw.
 *
 *   total;dur=41.8, db;dur=30.2;desc="3 queries", wait;dur=8.1, http;dur=2.0;desc="1 call"
 *
 * By W3C Server Timing [1] a metric's name is an HTTP token and its description a quoted string. The
 * names here are ours. Spans of one's own are given by position (`span1`), with their name as the
 * description: printable ASCII alone, `"` and `\` escaped, so that nothing a name may hold ends the
 * string or the header. At most 1,024 characters: what does not fit is left out.
 *
 * It tells strangers how long the database takes. Therefore it is off unless it is switched on.
 *
 * [1] https://www.w3.org/TR/server-timing/
 */
import type { SpanKind } from '../core/facts.ts'
import type { Span } from './span.ts'
import type { Timeline } from './timeline.ts'

const MAX_LENGTH = 1024
const MAX_DESCRIPTION = 60
const MAX_OWN = 10

const metrics: readonly [kind: SpanKind, name: string, one: string, many: string][] = [
  ['query', 'db', 'query', 'queries'],
  ['pool-wait', 'wait', 'wait', 'waits'],
  ['connect', 'connect', 'connection', 'connections'],
  ['cache', 'cache', 'call', 'calls'],
  ['http', 'http', 'call', 'calls'],
  ['cpu', 'cpu', 'stretch', 'stretches'],
  ['serialise', 'serialise', 'time', 'times'],
]

/** What has ended until now, each kind summed up; the header is sent before the request ends. */
export function serverTimingOf(timeline: Timeline): string {
  const entries = [`total;dur=${figure(timeline.durationMs)}`]
  for (const [kind, name, one, many] of metrics) {
    let count = 0
    let ms = 0
    for (const span of timeline.spans) {
      if (span.kind !== kind || span.isOpen) continue
      count += 1
      ms += span.endMs - span.startMs
    }
    if (count > 0) {
      entries.push(`${name};dur=${figure(ms)};desc="${count} ${count === 1 ? one : many}"`)
    }
  }
  for (const span of ownSpans(timeline)) {
    const ms = span.endMs - span.startMs
    entries.push(`span${entries.length};dur=${figure(ms)};desc="${quoted(span.name)}"`)
  }
  return joined(entries)
}

function ownSpans(timeline: Timeline): Span[] {
  return timeline.spans.filter((span) => span.kind === 'custom' && !span.isOpen).slice(0, MAX_OWN)
}

function joined(entries: readonly string[]): string {
  let header = entries[0] as string
  for (const entry of entries.slice(1)) {
    if (header.length + 2 + entry.length > MAX_LENGTH) break
    header += `, ${entry}`
  }
  return header
}

function figure(ms: number): string {
  return ms.toFixed(1)
}

function quoted(text: string): string {
  return text
    .slice(0, MAX_DESCRIPTION)
    .replace(/[^\x20-\x7e]/g, '?')
    .replace(/["\\]/g, '\\$&')
}
