import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Timing } from '../timing/index.ts'
import { merge, snapshot } from './index.ts'

test('merged snapshots are what one process would have counted', () => {
  const step = fc.record({
    path: fc.constantFrom('/a', '/b', '/users/7', '/users/8'),
    method: fc.constantFrom('GET', 'POST'),
    status: fc.constantFrom(200, 404, 500),
    ms: fc.integer({ min: 0, max: 5000 }),
    statement: fc.constantFrom('s1', 's2', 's3'),
    process: fc.integer({ min: 0, max: 2 }),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const one = fakeTiming()
      const many = [fakeTiming(), fakeTiming(), fakeTiming()]
      for (const { path, method, status, ms, statement, process } of steps) {
        for (const { timing, clock } of [one, many[process] ?? assert.fail()]) {
          const timeline = timing.begin(method, path)
          const span = timeline.open('query', 'q')
          Object.assign(span, { statement, rows: ms, bytes: ms * 2 })
          clock.advance(ms)
          span.end(status === 500 ? new Error('gone') : undefined)
          timing.background('query', ms)
          timing.finish(timeline, status, false)
        }
      }
      const sum = new Timing()
      for (const { timing } of many) merge(sum, JSON.parse(JSON.stringify(snapshot(timing))))

      assert.deepEqual(sorted(sum), sorted(one.timing))
      assert.deepEqual(sum.process().background, one.timing.process().background)
    }),
  )
})

test('the shared line of one process lands in the shared line of the sum', () => {
  const small = new Timing({ maxRoutes: 1 })
  for (const path of ['/a', '/b', '/c']) small.finish(small.begin('GET', path), 200, false)
  const sum = new Timing()
  merge(sum, snapshot(small))
  const counts = sum.routes().map(({ route, requests }) => `${route} ${requests}`)
  assert.deepEqual(counts.sort(), ['(other) 2', '/a 1'])
})

for (const [what, change] of [
  ['nothing', null],
  ['text', 'x'],
  ['another version', { version: 99 }],
  ['routes that are no list', { routes: {} }],
  ['figures that are none', { background: ['many'] }],
  ['half of a route', { routes: [{ method: 'GET', route: '/' }] }],
  ['a route that is none', { routes: [null] }],
] as const) {
  test(`merge refuses ${what}, and nothing has been added`, () => {
    const timing = new Timing()
    timing.finish(timing.begin('GET', '/'), 200, false)
    const good = snapshot(timing)
    const bad = typeof change === 'object' && change !== null ? { ...good, ...change } : change
    assert.throws(() => merge(timing, bad), { code: 'SNAPSHOT_INVALID' })
    assert.equal(timing.routes()[0]?.requests, 1)
  })
}

function fakeTiming() {
  let now = 1000
  const clock = {
    now: () => now,
    advance(ms: number) {
      now += ms
    },
  }
  return { clock, timing: new Timing({ clock }) }
}

function sorted(timing: Timing): unknown[] {
  return timing
    .routes()
    .map((route) => ({
      ...route,
      statements: route.statements.toSorted((a, b) => a.statement.localeCompare(b.statement)),
    }))
    .sort((a, b) => `${a.route} ${a.method}`.localeCompare(`${b.route} ${b.method}`))
}
