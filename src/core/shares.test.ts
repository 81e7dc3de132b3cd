import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { RequestFacts, SpanFacts, SpanKind } from './facts.ts'
import { meanShares, type Shares, shares } from './shares.ts'

test('queries that run side by side are counted once', () => {
  const parts = shares(request(20, [span('query', 0, 10), span('query', 5, 10)]))
  assert.equal(parts.db, 0.75)
  assert.equal(parts.other, 0.25)
})

test('a call is charged only where no query runs', () => {
  const parts = shares(request(20, [span('query', 0, 10), span('http', 5, 10)]))
  assert.deepEqual([parts.db, parts.http, parts.other], [0.5, 0.25, 0.25])
})

test('waiting for a connection while an own query runs is the time of the query', () => {
  const parts = shares(request(10, [span('query', 0, 6), span('pool-wait', 0, 10)]))
  assert.deepEqual([parts.db, parts.poolWait], [0.6, 0.4])
})

test('a span that was open at the end lasts until the end', () => {
  assert.equal(shares(request(10, [span('http', 4, -1)])).http, 0.6)
})

test('time outside of the request is nobody’s', () => {
  assert.equal(shares(request(10, [span('query', -5, 100)])).db, 1)
})

test('a span of one’s own takes nothing from what it encloses', () => {
  const parts = shares(request(10, [span('custom', 0, 10), span('query', 2, 4)]))
  assert.deepEqual([parts.db, parts.other], [0.4, 0.6])
})

test('idle time is computing as long as the event loop was busy', () => {
  const facts = { ...request(10, [span('query', 0, 4)]), loopActiveMs: 5 }
  assert.deepEqual([shares(facts).cpu, shares(facts).other], [0.5, 0.1])
})

test('a busy event loop does not take time from the database', () => {
  const facts = { ...request(10, [span('query', 0, 4)]), loopActiveMs: 10 }
  assert.deepEqual([shares(facts).db, shares(facts).cpu], [0.4, 0.6])
})

test('a request without duration is other', () => {
  assert.equal(shares(request(0, [span('query', 0, 0)])).other, 1)
  assert.equal(meanShares([]).other, 1)
})

test('of several requests the long one weighs more', () => {
  const parts = meanShares([request(30, [span('query', 0, 30)]), request(10, [])])
  assert.deepEqual([parts.db, parts.other], [0.75, 0.25])
})

test('the parts of any request are between 0 and 1 and together 1', () => {
  fc.assert(
    fc.property(requests(), (facts) => {
      const parts = Object.values(shares(facts))
      for (const part of parts) assert.ok(part >= 0 && part <= 1, `${part}`)
      const sum = parts.reduce((total, part) => total + part, 0)
      assert.ok(Math.abs(sum - 1) < 1e-9, `${sum}`)
    }),
  )
})

test('agrees with a clock that looks once in each millisecond', () => {
  fc.assert(
    fc.property(requests(), (facts) => {
      const parts = shares(facts)
      for (const [part, share] of Object.entries(ticks(facts))) {
        assert.ok(Math.abs(parts[part as keyof Shares] - share) < 1e-9, part)
      }
    }),
  )
})

/** The slow judge: times are whole milliseconds, so looking at the middle of each tells all. */
function ticks({ spans, durationMs, loopActiveMs = 0 }: RequestFacts): Record<string, number> {
  const order: [SpanKind, keyof Shares][] = [
    ['serialise', 'serialise'],
    ['cpu', 'cpu'],
    ['query', 'db'],
    ['connect', 'connect'],
    ['http', 'http'],
    ['cache', 'cache'],
    ['pool-wait', 'poolWait'],
  ]
  const counts: Record<string, number> = { cpu: 0, serialise: 0, idle: 0 }
  for (let tick = 0.5; tick < durationMs; tick++) {
    const isOpen = (kind: SpanKind): boolean =>
      spans.some((span) => {
        const end = span.durationMs === -1 ? durationMs : span.startMs + span.durationMs
        return span.kind === kind && span.startMs < tick && tick < end
      })
    const part = order.find(([kind]) => isOpen(kind))?.[1] ?? 'idle'
    counts[part] = (counts[part] ?? 0) + 1
  }
  const { idle = 0, cpu = 0, serialise = 0, ...rest } = counts
  const busy = Math.min(idle, Math.max(0, loopActiveMs - cpu - serialise))
  const all = { ...rest, serialise, cpu: cpu + busy, other: idle - busy }
  return Object.fromEntries(Object.entries(all).map(([part, ms]) => [part, ms / durationMs]))
}

function requests(): fc.Arbitrary<RequestFacts> {
  const kind = fc.constantFrom<SpanKind>(
    'query',
    'pool-wait',
    'connect',
    'cache',
    'http',
    'cpu',
    'serialise',
    'custom',
  )
  const spans = fc.array(
    fc.record({
      kind,
      name: fc.constant('x'),
      startMs: fc.integer({ min: -5, max: 60 }),
      durationMs: fc.integer({ min: -1, max: 60 }),
    }),
    { maxLength: 12 },
  )
  return fc
    .tuple(fc.integer({ min: 1, max: 50 }), spans, fc.option(fc.integer({ min: 0, max: 60 })))
    .map(([durationMs, list, loopActiveMs]) => ({
      ...request(durationMs, list),
      ...(loopActiveMs !== null && { loopActiveMs }),
    }))
}

function span(kind: SpanKind, startMs: number, durationMs: number): SpanFacts {
  return { kind, name: kind, startMs, durationMs }
}

function request(durationMs: number, spans: readonly SpanFacts[]): RequestFacts {
  return {
    ...{ id: 1, pid: 1, method: 'GET', route: '/', status: 200, aborted: false, startedAt: 0 },
    ...{ durationMs, concurrency: 1, deep: false, spans, droppedSpans: 0 },
  }
}
