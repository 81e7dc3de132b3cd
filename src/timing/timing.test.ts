import assert from 'node:assert/strict'
import { channel, subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { type Scope, Timing, type TimingOptions, timing as ofProcess } from './index.ts'
import type { Timeline } from './timeline.ts'

test('a request has its spans, in milliseconds from its start', () => {
  const { clock, timing } = fakeTiming()

  const timeline = timing.begin('GET', '/users/42?token=secret')
  clock.advance(2)
  const wait = timeline.open('pool-wait', 'pool')
  clock.advance(3)
  wait.end()
  const query = timeline.open('query', 'SELECT users')
  Object.assign(query, { statement: 'abc', rows: 1, bytes: 90, connection: 1 })
  clock.advance(4)
  query.end()
  timeline.responseBytes = 500
  clock.advance(1)
  timing.finish(timeline, 200, false)

  const [facts] = timing.slowest()
  assert.deepEqual(facts, {
    id: 1,
    pid: process.pid,
    method: 'GET',
    route: '/users/:id',
    status: 200,
    aborted: false,
    startedAt: facts?.startedAt,
    durationMs: 10,
    concurrency: 1,
    responseBytes: 500,
    deep: false,
    spans: [
      { kind: 'pool-wait', name: 'pool', startMs: 2, durationMs: 3 },
      {
        ...{ kind: 'query', name: 'SELECT users', startMs: 5, durationMs: 4 },
        ...{ statement: 'abc', rows: 1, bytes: 90, connection: 1 },
      },
    ],
    droppedSpans: 0,
  })
  assert.doesNotMatch(JSON.stringify(facts), /secret/)
})

test('startedAt is the time of day', () => {
  const before = Date.now()
  const timeline = new Timing().begin('GET', '/')
  // The two clocks may be apart by what is tolerated, and by a tick of each.
  assert.ok(Math.abs(timeline.startedAt - before) < 1000, `${timeline.startedAt} against ${before}`)
})

test('the totals of a route are exact', () => {
  const { clock, timing } = fakeTiming()
  for (const status of [200, 404, 500]) {
    request(timing, { status, route: '/orders' }, (timeline) => {
      for (const kind of ['connect', 'pool-wait', 'query', 'query', 'http', 'cache'] as const) {
        const span = timeline.open(kind, kind)
        if (kind === 'query') Object.assign(span, { statement: 's', rows: 10, bytes: 100 })
        clock.advance(2)
        span.end(kind === 'query' && status === 500 ? new Error('gone') : undefined)
      }
      timeline.responseBytes = 7
    })
  }
  const [facts] = timing.routes()
  const { p50Ms, p95Ms, p99Ms, ...exact } = facts ?? assert.fail('no route')
  assert.deepEqual(exact, {
    ...{ method: 'GET', route: '/orders', requests: 3, errors: 1, queries: 6, connects: 3 },
    ...{ totalMs: 36, dbMs: 12, poolWaitMs: 6, connectMs: 6, httpMs: 6, responseBytes: 21 },
    statements: [{ statement: 's', calls: 6, totalMs: 12, rows: 60, bytes: 600, errors: 2 }],
  })
  assert.deepEqual([p50Ms, p95Ms, p99Ms], [12, 12, 12])
})

test('an aborted request is an error', () => {
  const { timing } = fakeTiming()
  timing.finish(timing.begin('GET', '/'), 200, true)
  assert.equal(timing.routes()[0]?.errors, 1)
  assert.equal(timing.slowest()[0]?.aborted, true)
})

test('methods of one path are routes of their own', () => {
  const { timing } = fakeTiming()
  for (const method of ['GET', 'POST', 'GET', 'DELETE']) {
    timing.finish(timing.begin(method, '/users'), 200, false)
  }
  const counts = timing.routes().map(({ method, requests }) => `${method} ${requests}`)
  assert.deepEqual(counts.sort(), ['DELETE 1', 'GET 2', 'POST 1'])
})

test('a request finishes once', () => {
  const { timing } = fakeTiming()
  const timeline = timing.begin('GET', '/')
  timing.finish(timeline, 200, false)
  timing.finish(timeline, 500, true)
  assert.equal(timing.inFlight, 0)
  assert.deepEqual([timing.routes()[0]?.requests, timing.routes()[0]?.errors], [1, 0])
})

test('concurrency counts the requests in flight, itself included', () => {
  const { timing } = fakeTiming()
  const [a, b] = [timing.begin('GET', '/a'), timing.begin('GET', '/b')]
  timing.finish(a, 200, false)
  const c = timing.begin('GET', '/c')
  assert.deepEqual([a.concurrency, b.concurrency, c.concurrency], [1, 2, 2])
})

test('a span ends once', () => {
  const { clock, timing } = fakeTiming()
  request(timing, {}, (timeline) => {
    const span = timeline.open('query', 'q')
    clock.advance(1)
    span.end()
    clock.advance(1)
    span.end(new Error('again'))
    assert.equal(span.error, undefined)
  })
  assert.deepEqual([timing.routes()[0]?.queries, timing.routes()[0]?.dbMs], [1, 1])
})

for (const [error, name] of [
  [Object.assign(new Error('x'), { code: '23505' }), '23505'],
  [new TypeError('x'), 'TypeError'],
  ['text', 'Error'],
  [null, 'Error'],
  [0, 'Error'],
] as const) {
  test(`a span that failed with ${String(error)} says ${name}`, () => {
    const { timing } = fakeTiming()
    const span = timing.begin('GET', '/').open('query', 'q')
    span.end(error)
    assert.equal(span.error, name)
  })
}

test('a span that ends after the request is in the totals, and has no duration in the facts', () => {
  const { clock, timing } = fakeTiming()
  const timeline = timing.begin('GET', '/')
  const span = timeline.open('query', 'UPDATE visits')
  clock.advance(1)
  timing.finish(timeline, 200, false)
  assert.equal(timing.routes()[0]?.queries, 0)
  clock.advance(9)
  span.end()

  assert.deepEqual([timing.routes()[0]?.queries, timing.routes()[0]?.dbMs], [1, 10])
  assert.equal(timing.table.used[0]?.named().late, 1)
  assert.equal(timing.slowest()[0]?.spans[0]?.durationMs, -1)
  assert.equal(timing.slowest()[0]?.durationMs, 1)
})

test('work that begins after the response belongs to no request', () => {
  const { clock, timing } = fakeTiming()
  const timeline = request(timing, {})
  const span = timeline.open('query', 'SELECT 1')
  clock.advance(2)
  span.end()
  assert.equal(timing.routes()[0]?.queries, 0)
  assert.deepEqual(timing.process().background, { queries: 1, dbMs: 2 })
})

test('the handler of a client that went away still works for its route, for a minute', () => {
  const { clock, timing } = fakeTiming()
  const timeline = request(timing, { aborted: true })
  timeline.open('query', 'SELECT 1').end()
  clock.advance(60_001)
  timeline.open('query', 'SELECT 2').end()
  assert.equal(timing.routes()[0]?.queries, 1)
  assert.equal(timing.process().background.queries, 1)
})

test('background work is counted', () => {
  const { timing } = fakeTiming()
  timing.background('query', 5)
  timing.background('http', 7)
  assert.deepEqual(timing.process().background, { queries: 1, dbMs: 5 })
})

test('spans above the limit are dropped from the request and kept in the totals', () => {
  const { timing } = fakeTiming({ maxSpans: 3 })
  const late = timing.begin('GET', '/late')
  const open = Array.from({ length: 5 }, () => late.open('query', 'q'))
  timing.finish(late, 200, false)
  for (const span of open) span.end()
  request(timing, { route: '/early' }, (timeline) => {
    for (let i = 0; i < 10; i++) {
      const span = timeline.open('query', 'q')
      span.statement = 's'
      span.end()
    }
  })

  const facts = timing.slowest().find(({ route }) => route === '/early')
  assert.equal(facts?.spans.length, 3)
  assert.equal(facts?.droppedSpans, 7)
  const queries = Object.fromEntries(timing.routes().map((each) => [each.route, each.queries]))
  assert.deepEqual(queries, { '/early': 10, '/late': 5 })
  const early = timing.routes().find(({ route }) => route === '/early')
  assert.equal(early?.statements[0]?.calls, 10)
})

test('statements above the limit of a route share one line, and the sums stay exact', () => {
  const { timing } = fakeTiming()
  request(timing, {}, (timeline) => {
    for (let i = 0; i < 500; i++) {
      const span = timeline.open('query', 'q')
      span.statement = `s${i}`
      span.end()
    }
  })
  const { statements = [] } = timing.routes()[0] ?? {}
  assert.equal(statements.length, 201)
  assert.equal(statements.find(({ statement }) => statement === 'other')?.calls, 300)
})

test('routes above the limit are one', () => {
  const { timing } = fakeTiming({ maxRoutes: 3 })
  for (const path of ['/a', '/b', '/c', '/d', '/e', '/a', '/d']) {
    timing.finish(timing.begin('GET', path), 200, false)
  }
  const counts = timing
    .routes()
    .map(({ method, route, requests }) => `${method} ${route} ${requests}`)
  assert.deepEqual(counts.sort(), ['* (other) 3', 'GET /a 2', 'GET /b 1', 'GET /c 1'])
})

test('current() is the timeline of the request for which this runs', async () => {
  const timing = new Timing()
  assert.equal(timing.current(), undefined)
  const seen = await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      const timeline = timing.begin('GET', `/${i}`)
      return timing.storage.run(timeline, async () => {
        for (let turn = 0; turn <= i % 7; turn++) await setImmediate()
        return timing.current() === timeline
      })
    }),
  )
  assert.ok(seen.every(Boolean))
})

test('span() returns what its function returns, and nests', async () => {
  const timing = new Timing()
  await inRequest(timing, async () => {
    const value = timing.span('outer', () => timing.span('inner', () => 7))
    assert.equal(value, 7)
    assert.equal(await timing.span('async', async () => (await setImmediate(), 8)), 8)
  })
  assert.deepEqual(tree(timing), ['outer', 'outer > inner', 'async'])
})

test('parents are right under Promise.all, also of spans that hooks open', async () => {
  const timing = new Timing()
  await inRequest(timing, async () => {
    await Promise.all(
      ['a', 'b', 'c'].map((name) =>
        timing.span(name, async () => {
          await setImmediate()
          const hook = timing.scope()?.open('query', `${name}1`)
          await setImmediate()
          hook?.end()
          timing.current()?.open('query', `${name}2`).end()
          await timing.span(`${name}3`, async () => {
            await setImmediate()
            timing.current()?.open('query', `${name}4`).end()
          })
        }),
      ),
    )
    timing.current()?.open('query', 'last').end()
  })
  const expected = ['a', 'b', 'c'].flatMap((name) => [
    ...[name, `${name} > ${name}1`, `${name} > ${name}2`, `${name} > ${name}3`],
    `${name} > ${name}3 > ${name}4`,
  ])
  assert.deepEqual(tree(timing).sort(), [...expected, 'last'].sort())
})

test('work that outlives the span that began it belongs to the next one out', async () => {
  const timing = new Timing()
  await inRequest(timing, async () => {
    await timing.span('outer', async () => {
      let inner: Scope | undefined
      timing.span('inner', () => {
        inner = timing.scope()
      })
      inner?.open('query', 'later').end()
    })
  })
  assert.deepEqual(tree(timing), ['outer', 'outer > inner', 'outer > later'])
})

test('a parent that was dropped hands its children on', () => {
  const timing = new Timing({ maxSpans: 1 })
  const timeline = timing.begin('GET', '/')
  timing.storage.run(timeline, () => {
    timing.span('kept', () => timing.span('dropped', () => timing.span('dropped too', () => 1)))
  })
  timing.finish(timeline, 200, false)
  assert.deepEqual(tree(timing), ['kept'])
  assert.equal(timing.slowest()[0]?.droppedSpans, 2)
})

test('what a span throws comes out as it was, and is noted', async () => {
  const timing = new Timing()
  const error = Object.assign(new Error('no'), { code: 'E_NO' })
  await inRequest(timing, async () => {
    const fail = () => {
      throw error
    }
    assert.throws(() => timing.span('sync', fail), error)
    await assert.rejects(
      timing.span('async', async () => fail()),
      error,
    )
    await assert.rejects(timing.span('undefined', () => Promise.reject(undefined)))
  })
  const errors = timing.slowest()[0]?.spans.map(({ error }) => error)
  assert.deepEqual(errors, ['E_NO', 'E_NO', 'Error'])
})

test('a query builder is started inside of its span', async () => {
  const timing = new Timing()
  const builder = {
    // biome-ignore lint/suspicious/noThenProperty: that is what a query builder has
    then(resolve: (rows: number) => void) {
      timing.current()?.open('query', 'built').end()
      resolve(3)
    },
  }
  await inRequest(timing, async () => {
    assert.equal(await timing.span('report', () => builder as unknown as Promise<number>), 3)
  })
  assert.deepEqual(tree(timing), ['report', 'report > built'])
})

test('outside of a request, and after it, span() just runs', async () => {
  const timing = new Timing()
  assert.equal(
    timing.span('x', () => 1),
    1,
  )
  const timeline = request(timing, {})
  assert.equal(
    timing.storage.run(timeline, () => timing.span('x', () => 2)),
    2,
  )
  assert.deepEqual(timing.slowest()[0]?.spans, [])
})

test('every n-th request of a route is deep, the first among them', () => {
  const timing = new Timing({ deepEvery: 3 })
  const deep = Array.from({ length: 7 }, (_, i) => timing.begin('GET', `/users/${i}`).deep)
  assert.deepEqual(deep, [true, false, false, true, false, false, true])
  assert.equal(timing.begin('POST', '/users/1').deep, true)
  timing.deepEvery = 0
  assert.equal(timing.begin('GET', '/other').deep, false)
})

test('with detail on, a request knows how long the event loop was busy', async () => {
  const timing = new Timing({ detail: true })
  await setImmediate()
  const timeline = timing.begin('GET', '/')
  timing.finish(timeline, 200, false)
  assert.ok((timeline.loopActiveMs as number) >= 0)

  const straddling = new Timing()
  const begun = straddling.begin('GET', '/')
  straddling.configure({ detail: true })
  straddling.finish(begun, 200, false)
  assert.equal(begun.loopActiveMs, undefined)
})

test('reset forgets totals and requests; one under way is counted when it ends', () => {
  const { timing } = fakeTiming()
  request(timing, {})
  timing.background('query', 1)
  const straddling = timing.begin('GET', '/straddling')
  const span = straddling.open('query', 'q')
  timing.reset()
  assert.deepEqual([timing.routes(), timing.slowest(), timing.sample()], [[], [], []])
  assert.equal(timing.process().background.queries, 0)

  span.end()
  timing.finish(straddling, 200, false)
  assert.deepEqual([timing.routes()[0]?.requests, timing.routes()[0]?.queries], [1, 1])
  assert.equal(timing.inFlight, 0)
})

test('a subscriber that throws is told of once, and the request does not notice', async () => {
  const timing = new Timing()
  const seen: unknown[] = []
  const broken = () => {
    throw new Error('dashboard is broken')
  }
  const sound = (timeline: unknown) => void seen.push(timeline)
  const warned = once(process, 'warning')
  subscribe('hasten:request', broken)
  subscribe('hasten:request', sound)
  try {
    const timelines = [request(timing, {}), request(timing, {})]
    assert.deepEqual(seen, timelines)
    const [warning] = (await warned) as [Error]
    assert.equal(warning.name, 'HastenWarning')
    assert.match(warning.message, /hasten:request threw.*dashboard is broken/s)
    // An uncaught exception would come one tick later and fail this test.
    await setImmediate()
  } finally {
    assert.ok(unsubscribe('hasten:request', broken))
    assert.ok(unsubscribe('hasten:request', sound))
  }
  assert.equal(channel('hasten:request').hasSubscribers, false)
})

test('the raw path is there for a subscriber, and gone after', () => {
  const { timing } = fakeTiming()
  let path: string | undefined
  const see = (message: unknown) => {
    path = (message as Timeline).path
  }
  subscribe('hasten:request', see)
  const timeline = timing.begin('GET', '/a?secret=1')
  timing.finish(timeline, 200, false)
  unsubscribe('hasten:request', see)
  assert.equal(path, '/a?secret=1')
  assert.equal(timeline.path, '')
})

test('two copies of the package share one timing', async () => {
  const copy = (await import(`${import.meta.resolve('./index.js')}?copy`)) as {
    timing: Timing
  }
  assert.equal(copy.timing, ofProcess)
})

for (const options of [
  { maxRoutes: 0 },
  { maxSpans: 1.5 },
  { deepEvery: -1 },
  { detail: 'yes' },
  { clock: {} },
  { random: 7 },
  { maxRoute: 5 },
]) {
  test(`refuses ${JSON.stringify(options)}`, () => {
    const [name] = Object.keys(options)
    assert.throws(() => new Timing(options as TimingOptions), {
      code: 'OPTION_INVALID',
      message: new RegExp(name as string),
    })
  })
}

test('the event loop’s delay and utilisation are seen', async () => {
  const timing = new Timing()
  timing.finish(timing.begin('GET', '/'), 200, false)
  try {
    for (let round = 0; timing.process().loopDelayMaxMs < 20; round++) {
      assert.ok(round < 100, JSON.stringify(timing.process()))
      const until = performance.now() + 60
      while (performance.now() < until);
      await setImmediate()
    }
    const { loopUtilisation, cpuMs, maxRssMb } = timing.process()
    assert.ok(loopUtilisation > 0 && loopUtilisation <= 1, `${loopUtilisation}`)
    // On a busy machine most of those milliseconds may have been somebody else’s.
    assert.ok(cpuMs > 0 && maxRssMb > 10, `${cpuMs} ms, ${maxRssMb} MB`)
  } finally {
    timing.close()
  }
  timing.finish(timing.begin('GET', '/'), 200, false)
  assert.equal(timing.process().loopDelayMaxMs, 0)
})

function fakeTiming(options: TimingOptions = {}) {
  let now = 1000
  const clock = {
    now: () => now,
    advance(ms: number) {
      now += ms
    },
  }
  return { clock, timing: new Timing({ clock, ...options }) }
}

function request(
  timing: Timing,
  { status = 200, route = '/', aborted = false },
  work: (timeline: Timeline) => void = () => {},
): Timeline {
  const timeline = timing.begin('GET', '/')
  timeline.route = route
  work(timeline)
  timing.finish(timeline, status, aborted)
  return timeline
}

async function inRequest(timing: Timing, handler: () => Promise<void>): Promise<void> {
  const timeline = timing.begin('GET', '/')
  await timing.storage.run(timeline, handler)
  timing.finish(timeline, 200, false)
}

/** Each span with those that enclose it: `outer > inner`. */
function tree(timing: Timing): string[] {
  const { spans = [] } = timing.slowest()[0] ?? {}
  const pathOf = (index: number): string => {
    const span = spans[index] ?? assert.fail(`no span ${index}`)
    return span.parent === undefined ? span.name : `${pathOf(span.parent)} > ${span.name}`
  }
  return spans.map((_, index) => pathOf(index))
}
