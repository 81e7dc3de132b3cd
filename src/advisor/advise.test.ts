import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Observation, Phase, RequestFacts, RouteFacts, SpanFacts } from '../core/facts.ts'
import { type Finding, findingKinds } from '../core/finding.ts'
import { advise } from './advise.ts'
import type { AdviseOptions } from './advise-options.ts'
import { amount } from './measure.ts'
import { ObservationBuilder } from './observation-builder.test.support.ts'

test('an observation of nothing has no findings', () => {
  assert.deepEqual(advise(new ObservationBuilder().observation()), [])
})

test('findings are ordered by what they save per second, the possible ones last', () => {
  const app = new ObservationBuilder()
  app.route('GET /rare', (request) => request.connect(20), { total: 10 })
  app.route('GET /often', (request) => request.connect(10), { total: 1000 })
  app.route(
    'GET /unknown',
    (request) => {
      for (let k = 0; k < 50; k++) request.query('SELECT n FROM a WHERE id = $1', { ms: 3 })
    },
    { total: 5000, deep: false },
  )

  const findings = advise(app.observation())

  assert.deepEqual(
    findings.map(({ kind, route, confidence }) => [kind, route, confidence]),
    [
      ['connection-per-request', 'GET /often', 'likely'],
      ['n-plus-one', 'GET /unknown', 'possible'],
    ],
  )
  assert.deepEqual(findings[0]?.routes, ['GET /often', 'GET /rare'])
})

test('a slow statement in a loop is two findings that share its time', () => {
  const text = 'SELECT n FROM reviews WHERE product_id = $1'
  const app = new ObservationBuilder()
  app.route('GET /page', (request, i) => {
    for (let k = 0; k < 10; k++) request.query(text, { ms: 30, sends: [`product ${i} ${k}`] })
  })
  const scan = { 'Node Type': 'Seq Scan', 'Relation Name': 'reviews', Filter: '(product_id = $1)' }
  app.plans = [
    { statement: app.statement(text), plan: { ...scan, 'Total Cost': 9000, 'Plan Rows': 3 } },
  ]

  const findings = advise(app.observation())

  assert.deepEqual(
    findings.map(({ kind }) => kind),
    ['n-plus-one', 'slow-query'],
  )
  const [loop, slow] = findings
  assert.ok(Math.abs((loop?.savesMsPerRequest ?? 0) - 270) < 1)
  assert.ok((slow?.savesMsPerRequest ?? 0) <= 31)
  assert.ok(slow?.evidence.some((line) => line.startsWith('Alone it would save 240 ms')))
})

test('the id holds no measure: another run, other figures, the same id', () => {
  const run = (ms: number, calls: number) => {
    const app = new ObservationBuilder()
    app.route('GET /page', (request, i) => {
      for (let k = 0; k < calls; k++) {
        request.query('SELECT n FROM a WHERE id = $1', { ms, sends: [`${i} ${k}`] })
      }
    })
    return advise(app.observation())[0]?.id
  }

  assert.match(run(1, 10) ?? '', /^n-plus-one-[0-9a-f]{10}$/)
  assert.equal(run(1, 10), run(7, 33))
})

const badOptions: [AdviseOptions, RegExp][] = [
  [{ nPlusOn: {} } as AdviseOptions, /"nPlusOn"/],
  [{ nPlusOne: { minCall: 3 } } as AdviseOptions, /"minCall"/],
  [{ nPlusOne: { minShare: 1.5 } }, /nPlusOne\.minShare/],
  [{ slowQuery: { minMs: Number.NaN } }, /slowQuery\.minMs/],
  [{ slowQuery: { minMs: -1 } }, /slowQuery\.minMs/],
]
for (const [options, message] of badOptions) {
  test(`refuses ${JSON.stringify(options)}`, () => {
    const nothing = new ObservationBuilder().observation()
    assert.throws(() => advise(nothing, options), { code: 'OPTION_INVALID', message })
  })
}

// Whatever facts say, as long as they are facts.

const texts = [
  'SELECT a FROM t WHERE id = $1',
  'SELECT b FROM users WHERE id = $1',
  'SELECT count(*) FROM t',
  'UPDATE t SET a = $1',
  'BEGIN',
  'COMMIT',
  'SELECT pg_sleep($1)',
  '',
  '(((',
]
const statements = texts.map((text, i) => ({ id: `s${i}`, text }))
const figure = fc.oneof(
  { weight: 8, arbitrary: fc.double({ min: 0, max: 500, noNaN: true }) },
  fc.constantFrom(0, -1, Number.NaN, Number.POSITIVE_INFINITY, -1e9, 1e300),
)
const routes = ['/', '/a', '/b/:id']
const route = fc.constantFrom(...routes)
const hashes = fc.option(fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 4 }), {
  nil: undefined,
})

const span: fc.Arbitrary<SpanFacts> = fc
  .record({
    kind: fc.constantFrom(
      'query',
      'query',
      'query',
      'http',
      'connect',
      'pool-wait',
      'custom',
      'cache',
    ),
    name: fc.constantFrom('SELECT t', 'GET a/b/:id', 'GET c/d', 'pg.checkout', '', 'x'),
    startMs: figure,
    durationMs: figure,
    parent: fc.option(fc.integer({ min: -1, max: 50 }), { nil: undefined }),
    error: fc.option(fc.constant('40001'), { nil: undefined, freq: 9 }),
    statement: fc.option(fc.constantFrom('s0', 's1', 's2', 's3', 's4', 's7', 'unknown'), {
      nil: undefined,
    }),
    rows: fc.option(figure, { nil: undefined }),
    connection: fc.option(fc.integer({ min: 0, max: 2 }), { nil: undefined }),
    transaction: fc.option(fc.integer({ min: 0, max: 2 }), { nil: undefined, freq: 2 }),
    method: fc.option(fc.constantFrom('GET', 'POST'), { nil: undefined }),
    inputs: hashes,
    outputs: hashes,
  })
  .map((each) => defined(each) as unknown as SpanFacts)

const request: fc.Arbitrary<RequestFacts> = fc
  .record({
    ...{ id: fc.nat(), pid: fc.nat(3), method: fc.constant('GET'), route },
    ...{
      status: fc.constantFrom(200, 200, 200, 404, 0),
      aborted: fc.constantFrom(false, false, true),
    },
    ...{ startedAt: figure, durationMs: figure, concurrency: fc.nat(4) },
    responseBytes: fc.option(fc.constantFrom(0, 600_000, 5e7, Number.NaN), { nil: undefined }),
    loopActiveMs: fc.option(figure, { nil: undefined }),
    deep: fc.constantFrom(true, true, false),
    inputs: hashes,
    spans: fc.array(span, { maxLength: 25 }),
    droppedSpans: fc.nat(9),
  })
  .map((each) => defined(each) as unknown as RequestFacts)

const routeFacts: fc.Arbitrary<RouteFacts> = fc.record({
  ...{ method: fc.constant('GET'), route, requests: figure, errors: figure, queries: figure },
  ...{ connects: figure, totalMs: figure, dbMs: figure, poolWaitMs: figure, connectMs: figure },
  ...{ httpMs: figure, p50Ms: figure, p95Ms: figure, p99Ms: figure },
  responseBytes: fc.oneof(figure, fc.constant(1e9)),
  statements: fc.uniqueArray(
    fc.record({
      statement: fc.constantFrom('s0', 's1', 's2', 's5', 'other', 'unknown'),
      ...{ calls: figure, totalMs: figure, rows: fc.oneof(figure, fc.constant(1e6)) },
      ...{ bytes: figure, errors: figure },
    }),
    { maxLength: 4, selector: (each) => each.statement },
  ),
})

const phase: fc.Arbitrary<Phase> = fc.record({
  seconds: fc.oneof(fc.constant(10), figure),
  routes: fc.uniqueArray(routeFacts, { maxLength: 3, selector: (each) => each.route }),
  requests: fc.uniqueArray(request, { maxLength: 12, selector: ({ pid, id }) => `${pid} ${id}` }),
  pools: fc.array(
    fc.record({
      ...{ pid: fc.nat(2), pool: fc.nat(99), library: fc.constant('pg'), max: figure },
      ...{ total: figure, idle: figure, waiting: figure, waitingMax: figure },
    }),
    { maxLength: 2 },
  ),
  processes: fc.array(
    fc.record({
      ...{ pid: fc.nat(2), node: fc.constant('v20'), cpuMs: figure, maxRssMb: figure },
      ...{ loopUtilisation: figure, loopDelayP99Ms: figure, loopDelayMaxMs: figure },
      background: fc.record({ queries: figure, dbMs: figure }),
    }),
    { maxLength: 2 },
  ),
})

const observation: fc.Arbitrary<Observation> = fc.record({
  solo: phase,
  load: phase,
  statements: fc.constant(statements),
  blocks: fc.array(
    fc.record({
      ...{ method: fc.constant('GET'), route, function: fc.constantFrom('f', '', 'xSync') },
      ...{ file: fc.constantFrom('a.js', ''), line: fc.nat(), ms: figure, seen: figure },
      requests: figure,
      inside: fc.array(
        fc.record({
          function: fc.constant('stringify'),
          file: fc.constant(''),
          line: fc.nat(),
          ms: figure,
        }),
        { maxLength: 2 },
      ),
    }),
    { maxLength: 3 },
  ),
  plans: fc.array(fc.record({ statement: fc.constantFrom('s0', 's1'), plan: fc.anything() }), {
    maxLength: 2,
  }),
})

test('whatever the facts: findings of the right form, that save no more than there is', () => {
  fc.assert(
    fc.property(observation, (facts) => {
      const findings = advise(facts)

      assert.equal(new Set(findings.map(({ id }) => id)).size, findings.length)
      for (const finding of findings) assertForm(finding, findings)
      for (const each of routes) {
        const own = findings.filter((finding) => finding.route === `GET ${each}`)
        const saved = own.reduce((all, finding) => all + finding.savesMsPerRequest, 0)
        const mean = meanOf(facts.load, each) ?? meanOf(facts.solo, each) ?? 0
        assert.ok(saved <= mean * (1 + 1e-9), `${saved} ms of ${mean} on ${each}`)
      }
    }),
    { numRuns: 300 },
  )
})

test('the order of the facts decides nothing', () => {
  fc.assert(
    fc.property(observation, fc.infiniteStream(fc.nat()), (facts, random) => {
      const mixed: Observation = {
        solo: mix(facts.solo, random),
        load: mix(facts.load, random),
        statements: shuffle(facts.statements, random),
        blocks: shuffle(facts.blocks, random),
        plans: facts.plans,
      }

      assert.deepEqual(advise(mixed), advise(facts))
    }),
    { numRuns: 300 },
  )
})

test('a planted fault is found among any noise, with the same id', () => {
  const app = new ObservationBuilder()
  app.route('GET /planted', (each, i) => {
    for (let k = 0; k < 9; k++) {
      each.query('SELECT n FROM planted WHERE id = $1', { sends: [`${i} ${k}`] })
    }
  })
  const planted = app.observation()
  const [expected] = advise(planted)
  assert.ok(expected)

  fc.assert(
    fc.property(observation, (noise) => {
      const both: Observation = {
        ...noise,
        statements: [...noise.statements, ...planted.statements],
        solo: {
          ...noise.solo,
          routes: [...noise.solo.routes, ...planted.solo.routes],
          requests: [...noise.solo.requests, ...planted.solo.requests],
        },
        load: {
          ...noise.load,
          routes: [...noise.load.routes, ...planted.load.routes],
          requests: [...noise.load.requests, ...planted.load.requests],
        },
      }
      const found = advise(both).find(({ id }) => id === expected.id)
      assert.equal(found?.route, 'GET /planted')
      assert.equal(found?.confidence, 'likely')
    }),
    { numRuns: 100 },
  )
})

function assertForm(finding: Finding, all: readonly Finding[]): void {
  assert.ok(findingKinds.includes(finding.kind))
  assert.ok(finding.routes.includes(finding.route))
  assert.equal(new Set(finding.routes).size, finding.routes.length)
  assert.ok(finding.cause === null || all.some(({ id }) => id === finding.cause))
  assert.notEqual(finding.cause, finding.id)
  for (const figureOf of ['savesMsPerRequest', 'savesMsPerSecond', 'savesShare'] as const) {
    assert.ok(
      finding[figureOf] >= 0 && Number.isFinite(finding[figureOf]),
      `${figureOf} ${finding[figureOf]}`,
    )
  }
  assert.ok(finding.savesShare <= 1 + 1e-9)
  const { sql, code, note } = finding.remedy
  assert.ok((sql ?? code ?? note ?? '') !== '')
  for (const line of [finding.title, ...finding.evidence]) {
    assert.ok(!/NaN|undefined|Infinity/.test(line), line)
  }
}

function meanOf({ routes: all }: Phase, name: string): number | undefined {
  const facts = all.find((each) => each.route === name)
  if (facts === undefined || amount(facts.requests) === 0) return undefined
  return amount(facts.totalMs) / facts.requests
}

function mix(each: Phase, random: fc.Stream<number>): Phase {
  const byRoute = each.routes.map((facts) => ({
    ...facts,
    statements: shuffle(facts.statements, random),
  }))
  return {
    ...each,
    routes: shuffle(byRoute, random),
    requests: shuffle(each.requests, random),
    pools: shuffle(each.pools, random),
    processes: shuffle(each.processes, random),
  }
}

function shuffle<T>(list: readonly T[], random: fc.Stream<number>): T[] {
  return list
    .map((item) => ({ item, at: random.next().value ?? 0 }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)
}

function defined<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(value).filter(([, each]) => each !== undefined),
  ) as Partial<T>
}
