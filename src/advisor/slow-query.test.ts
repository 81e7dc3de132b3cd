import assert from 'node:assert/strict'
import { test } from 'node:test'
import { advise } from './advise.ts'
import { ObservationBuilder } from './observation-builder.test.support.ts'
import { indexColumnsOf, readPlan } from './plan-reading.ts'

const track = 'SELECT id, status FROM orders WHERE tracking_code = $1'

test('names the sequential scan, its filter, and the index that would serve it', () => {
  const [finding] = advise(tracked(scan('(tracking_code = $1)', 1)).observation())

  assert.equal(finding?.kind, 'slow-query')
  assert.equal(finding?.confidence, 'likely')
  assert.equal(finding?.remedy.sql, 'CREATE INDEX CONCURRENTLY ON orders (tracking_code);')
  assert.match(finding?.remedy.note ?? '', /Not proved/)
  assert.ok(finding?.evidence.some((line) => line.includes('(tracking_code = $1)')))
  assert.ok(Math.abs((finding?.savesMsPerRequest ?? 0) - 45 * 0.8) < 0.5)
})

test('where a route answers requests of several kinds, those that run the statement count', () => {
  const app = new ObservationBuilder().route(
    'GET /classes/:name',
    (request, i) => {
      if (i % 3 === 0) request.query(track, { ms: 15, rows: 1 })
      else request.http('archive.test/search', { ms: 80 })
    },
    { solo: 9, load: 9 },
  )
  app.plans = [{ statement: app.statement(track), plan: scan('(tracking_code = $1)', 1) }]

  const finding = advise(app.observation()).find(({ kind }) => kind === 'slow-query')

  assert.equal(finding?.confidence, 'likely')
  assert.match(finding.evidence[0] ?? '', /9\d % of the requests that run it/)
  // Per request of the route, of which a third runs it.
  assert.ok(Math.abs(finding.savesMsPerRequest - (15 * 0.8) / 3) < 0.5)
})

test('an aggregate over everything is slow, and no index is named for it', () => {
  const [finding] = advise(
    tracked({
      'Node Type': 'Aggregate',
      'Total Cost': 11_000,
      Plans: [scan(undefined, 500_000)],
    }).observation(),
  )

  assert.equal(finding?.kind, 'slow-query')
  assert.equal(finding.remedy.sql, undefined)
  assert.match(finding.remedy.note ?? '', /less often/)
  assert.ok(finding.evidence.some((line) => line.includes('round figure')))
})

test('without a plan the statement is slow all the same, and the reason unknown', () => {
  const app = tracked(undefined)
  app.plans = [{ statement: app.statement(track), error: 'permission denied' }]

  const [finding] = advise(app.observation())

  assert.equal(finding?.kind, 'slow-query')
  assert.equal(finding.confidence, 'possible')
  assert.ok(finding.evidence.some((line) => line.includes('permission denied')))
})

test('what is slow for no reason that the planner knows is only possible', () => {
  const plan = { 'Node Type': 'Index Scan', 'Total Cost': 840, 'Plan Rows': 100 }
  const [finding] = advise(tracked(plan).observation())

  assert.equal(finding?.confidence, 'possible')
})

test('what the planner reckons next to nothing met a busy machine: no word', () => {
  const plan = { 'Node Type': 'Index Scan', 'Total Cost': 8.4, 'Plan Rows': 1 }

  assert.deepEqual(advise(tracked(plan).observation()), [])
})

test('the first call may be cold: the middle one counts', () => {
  const app = new ObservationBuilder()
  app.route('GET /x', (request, i) => {
    request.query(track, { ms: i === 0 ? 300 : 1, sends: [i] })
    request.idle(200)
  })

  assert.deepEqual(advise(app.observation()), [])
})

test('columns for an index: equalities first, one range, and nothing else', () => {
  const cases: [string, string[] | undefined][] = [
    ['(tracking_code = $1)', ['tracking_code']],
    ['((status)::text = $1)', ['status']],
    ['((created_at >= $1) AND (created_at < $2) AND (user_id = $3))', ['user_id', 'created_at']],
    ['((o.a = $1) AND (b > $2) AND (c < $3))', ['a', 'b']],
    ['((level = $1) AND (score = $2) AND ((x IS NULL) OR (x = $3)))', ['level', 'score']],
    ['((a > $1) AND (lower(b) = $2))', undefined],
    ['((a = $1) OR (b = $2)) AND (c = $3)', ['c']],
    ['(lower(name) = $1)', undefined],
    ['((a = $1) OR (b = $2))', undefined],
    ['(name ~~ $1)', undefined],
    ['(a <> $1)', undefined],
    ['(NOT deleted)', undefined],
    ['(id = ANY ($1))', undefined],
  ]
  for (const [filter, columns] of cases) assert.deepEqual(indexColumnsOf(filter), columns, filter)
})

test('a scan inside of a nested loop costs again for each row', () => {
  const reading = readPlan({
    'Node Type': 'Nested Loop',
    'Total Cost': 100_000,
    Plans: [
      { 'Node Type': 'Index Scan', 'Plan Rows': 50, 'Total Cost': 10 },
      scan('(a = $1)', 1, 1800),
    ],
  })

  assert.equal(reading.scans[0]?.isRepeated, true)
  assert.ok(Math.abs((reading.scans[0]?.costShare ?? 0) - 0.9) < 0.01)
})

test('whatever a plan is not, is read as nothing', () => {
  for (const plan of [undefined, null, 7, 'Seq Scan', [], {}, { Plans: [null, { Plans: 3 }] }]) {
    assert.deepEqual(readPlan(plan), { cost: 0, scans: [], others: [] })
  }
})

function tracked(plan: unknown): ObservationBuilder {
  const app = new ObservationBuilder()
  app.route('GET /track/:code', (request, i) => {
    request.given(`code ${i}`)
    request.query(track, { ms: 45, sends: [`code ${i}`], brings: [i] })
  })
  if (plan !== undefined) app.plans = [{ statement: app.statement(track), plan }]
  return app
}

function scan(filter: string | undefined, rows: number, cost = 10_000) {
  return {
    ...{ 'Node Type': 'Seq Scan', 'Relation Name': 'orders', 'Plan Rows': rows, 'Plan Width': 20 },
    ...{ 'Total Cost': cost, ...(filter !== undefined && { Filter: filter }) },
  }
}

test('many rows explain time, and a scan of no cost explains nothing', () => {
  const app = new ObservationBuilder()
  const text = 'SELECT * FROM teams LEFT JOIN players ON players.team = teams.id'
  app.route('GET /teams', (request, i) => {
    request.query(text, { ms: 400, rows: 20_000, sends: [i] })
  })
  const scan = { 'Node Type': 'Seq Scan' }
  app.plans = [
    {
      statement: app.statement(text),
      plan: {
        ...{ 'Node Type': 'Hash Join', 'Total Cost': 1700, 'Plan Rows': 60_000 },
        Plans: [
          { ...scan, 'Relation Name': 'players', 'Total Cost': 1500, 'Plan Rows': 60_000 },
          { ...scan, 'Relation Name': 'teams', 'Total Cost': 6, 'Plan Rows': 300 },
        ],
      },
    },
  ]

  const [finding] = advise(app.observation())
  const evidence = finding?.evidence.join('\n') ?? ''

  assert.equal(finding?.kind, 'slow-query')
  assert.match(evidence, /returns 20,000 rows a call/)
  assert.match(evidence, /reads all of players \(sequential scan\) without a filter: 60,000 rows,/)
  assert.doesNotMatch(evidence, /all of teams|reckons it little work/)
})
