import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Timing, type TimingOptions } from './index.ts'

test('the sample is fair: no request has a better chance for when it came', () => {
  // 5 of 40, 8,000 times: each is expected 1,000 times, with a standard deviation of 30.
  const counts = drawOften({ samplePerRoute: 5 }, 40, 8000)
  for (const [i, count] of counts.entries()) {
    assert.ok(Math.abs(count - 1000) < 4.5 * 30, `request ${i}: ${count} of 1,000`)
  }
  // A small drift hides in single counts, not in the sum over the earlier half.
  const earlier = counts.slice(0, 20).reduce((sum, count) => sum + count, 0)
  assert.ok(Math.abs(earlier - 20_000) < 4.5 * 95, `${earlier} of 40,000 in the earlier half`)
})

test('a sample that had to shrink is as fair', () => {
  // Room for three requests without spans: the list gives up some, and goes on being drawn.
  const counts = drawOften({ samplePerRoute: 8, maxKeptBytes: 1800 }, 40, 8000)
  const expected = counts.reduce((sum, count) => sum + count, 0) / 40
  assert.ok(expected > 300, `only ${expected} of each were kept`)
  for (const [i, count] of counts.entries()) {
    assert.ok(Math.abs(count - expected) < 5 * Math.sqrt(expected), `${i}: ${count} of ${expected}`)
  }
})

test('a route with few requests keeps them all', () => {
  const timing = new Timing({ samplePerRoute: 5 })
  serve(timing, '/', [1, 2, 3, 4, 5])
  assert.equal(timing.sample().length, 5)
})

test('each route keeps its slowest, and all together theirs', () => {
  const times = fc.array(
    fc.tuple(fc.constantFrom('/a', '/b', '/c'), fc.integer({ min: 0, max: 1000 })),
    { maxLength: 80 },
  )
  fc.assert(
    fc.property(times, (requests) => {
      const timing = new Timing({ slowest: 5, slowestPerRoute: 2, samplePerRoute: 0, clock })
      for (const [path, ms] of requests) serve(timing, path, [ms])

      const expected = new Set<string>()
      const descending = requests
        .map(([path, ms], i) => ({ path, ms, id: i + 1 }))
        .sort((a, b) => b.ms - a.ms || a.id - b.id)
      for (const { id } of descending.slice(0, 5)) expected.add(`${id}`)
      for (const route of ['/a', '/b', '/c']) {
        const ofRoute = descending.filter(({ path }) => path === route)
        for (const { id } of ofRoute.slice(0, 2)) expected.add(`${id}`)
      }
      const kept = timing.slowest()
      assert.deepEqual(new Set(kept.map(({ id }) => `${id}`)), expected)
      for (let i = 1; i < kept.length; i++) {
        assert.ok((kept[i - 1]?.durationMs as number) >= (kept[i]?.durationMs as number))
      }
    }),
  )
})

test('what is kept stays within its bytes, whatever comes', () => {
  const request = fc.record({
    path: fc.nat({ max: 30 }).map((route) => `/route${'abcdefghijklmnopqrstuvwxyzABCDE'[route]}`),
    ms: fc.nat({ max: 1000 }),
    spans: fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: 200 })),
  })
  fc.assert(
    fc.property(fc.array(request, { maxLength: 200 }), (requests) => {
      const maxKeptBytes = 100_000
      const timing = new Timing({ clock, maxKeptBytes })
      for (const { path, ms, spans } of requests) {
        const timeline = timing.begin('GET', path)
        for (let i = 0; i < spans; i++) timeline.open('query', 'q').end()
        now += ms
        timing.finish(timeline, 200, false)
      }
      const kept = new Map([...timing.slowest(), ...timing.sample()].map((each) => [each.id, each]))
      let bytes = 0
      for (const { spans } of kept.values()) bytes += 500 + 350 * spans.length
      assert.ok(bytes <= maxKeptBytes, `${bytes}`)
    }),
  )
})

test('a route with huge requests gives up before one with small ones', () => {
  const timing = new Timing({ clock, maxKeptBytes: 400_000, slowest: 0 })
  serve(timing, '/small', [1, 2, 3, 4, 5])
  for (let i = 0; i < 20; i++) {
    const timeline = timing.begin('GET', '/huge')
    for (let span = 0; span < 500; span++) timeline.open('query', 'q').end()
    now += 10 + i
    timing.finish(timeline, 200, false)
  }
  const small = timing.sample().filter(({ route }) => route === '/small')
  assert.equal(small.length, 5)
  const [slowest] = timing.slowest()
  assert.deepEqual([slowest?.route, slowest?.durationMs], ['/huge', 29])
})

let now = 0
const clock = { now: () => now }

function serve(timing: Timing, path: string, times: readonly number[]): void {
  for (const ms of times) {
    const timeline = timing.begin('GET', path)
    now += ms
    timing.finish(timeline, 200, false)
  }
}

/** How often each of `requests` was in the sample, over many rounds. Seeded: the same every time. */
function drawOften(options: TimingOptions, requests: number, rounds: number): number[] {
  const random = seeded(42)
  const counts = Array.from({ length: requests }, () => 0)
  const timing = new Timing({ clock, random, slowest: 0, slowestPerRoute: 0, ...options })
  for (let round = 0; round < rounds; round++) {
    const first = timing.begin('GET', '/').id + 1
    timing.reset()
    serve(timing, '/', counts)
    for (const { id } of timing.sample()) (counts[id - first] as number) += 1
  }
  return counts
}

function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
