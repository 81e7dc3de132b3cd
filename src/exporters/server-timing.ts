/**
 * Server-Timing: where the time of a request went, as a header that browsers draw.
 *
 *   total;dur=41.8, db;dur=30.2;desc="3x", wait;dur=8.1;desc="1x", http;dur=2.0;desc="1x"
 *
 * By W3C Server Timing [1] a metric's name is an HTTP token and its description a quoted string. The
 * names here are ours. Spans of one's own are given by position (`span1`), with their name as the
 * description: printable ASCII alone, `"` and `\` escaped, so that nothing a name may hold ends the
 * string or the header. At most 1,024 characters: what does not fit is left out.
 *
 * It tells strangers how long the database takes. Therefore no response has it unless
 * somebody asks for it: this function, or `HASTEN_SERVER_TIMING=1` with `hasten/observe`.
 *
 * [1] https://www.w3.org/TR/server-timing/
 */
import type { SpanKind } from '../core/facts.ts'
import type { Span, Timeline } from '../timing/index.ts'

const MAX_LENGTH = 1024
const MAX_DESCRIPTION = 60
const MAX_OWN = 10

const names: Readonly<Partial<Record<SpanKind, string>>> = {
  query: 'db',
  'pool-wait': 'wait',
  connect: 'connect',
  cache: 'cache',
  http: 'http',
  cpu: 'cpu',
  serialise: 'serialise',
}

/** Value of the header: what has ended until now, each kind summed up; it is sent before the request ends. */
export function serverTiming({ durationMs, spans }: Timeline): string {
  const entries = [`total;dur=${durationMs.toFixed(1)}`]
  const ended = spans.filter((span) => !span.isOpen)
  for (const [kind, name] of Object.entries(names)) {
    const ofKind = ended.filter((span) => span.kind === kind)
    if (ofKind.length > 0) entries.push(metric(name, ofKind, `${ofKind.length}x`))
  }
  for (const span of ended.filter(({ kind }) => kind === 'custom').slice(0, MAX_OWN)) {
    entries.push(metric(`span${entries.length}`, [span], quoted(span.name)))
  }
  return joined(entries)
}

function metric(name: string, spans: readonly Span[], description: string): string {
  const ms = spans.reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0)
  return `${name};dur=${ms.toFixed(1)};desc="${description}"`
}

function joined(entries: readonly string[]): string {
  let header = entries[0] as string
  for (const entry of entries.slice(1)) {
    if (header.length + 2 + entry.length > MAX_LENGTH) break
    header += `, ${entry}`
  }
  return header
}

function quoted(text: string): string {
  return text
    .slice(0, MAX_DESCRIPTION)
    .replace(/[^\x20-\x7e]/g, '?')
    .replace(/["\\]/g, '\\$&')
}
