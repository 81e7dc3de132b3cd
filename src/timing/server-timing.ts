/**
 * The value of a `Server-Timing` header: what a browser's network panel shows.
 *
 *   db;dur=12.4;desc="3 queries", wait;dur=1.2, app;dur=8.1;desc="render", total;dur=21.9
 *
 * Descriptions are quoted strings: backslash and quote are escaped, and what a header may not carry
 * (control characters, anything beyond ASCII) becomes `?`. At most 20 entries and 2 kB, since
 * proxies refuse long headers. Durations are milliseconds.
 *
 * Source: https://www.w3.org/TR/server-timing/
 */
import type { Timeline } from './timeline.ts'

const MAX_ENTRIES = 20
const MAX_LENGTH = 2000

export function serverTimingValue(timeline: Timeline): string {
  const kinds = new Map<string, { ms: number; calls: number }>()
  const own: string[] = []
  const now = timeline.ended ? timeline.endMs : timeline.clock.now()
  for (const span of timeline.spans) {
    const ms = (span.isOpen ? now : Math.min(now, span.endMs)) - span.startMs
    if (span.kind === 'custom') {
      if (!span.name.startsWith('pg.')) own.push(entry('app', ms, span.name))
      continue
    }
    const name = names[span.kind]
    const sum = kinds.get(name) ?? { ms: 0, calls: 0 }
    sum.ms += ms
    sum.calls += 1
    kinds.set(name, sum)
  }
  const sums = [...kinds].map(([name, { ms, calls }]) => entry(name, ms, `${calls}`))
  const entries = [...sums, ...own].slice(0, MAX_ENTRIES - 1)
  const total = entry('total', now - timeline.startMs)
  let value = ''
  for (const each of entries) {
    if (value.length + each.length + total.length + 4 > MAX_LENGTH) break
    value += `${each}, `
  }
  return value + total
}

const names = {
  query: 'db',
  'pool-wait': 'wait',
  connect: 'connect',
  cache: 'cache',
  http: 'http',
  cpu: 'cpu',
  serialise: 'serialise',
} as const

function entry(name: string, ms: number, description?: string): string {
  const timed = `${name};dur=${ms.toFixed(1)}`
  if (description === undefined) return timed
  const safe = description.slice(0, 80).replace(/[^\x20-\x7e]/g, '?')
  return `${timed};desc="${safe.replace(/["\\]/g, '\\$&')}"`
}
