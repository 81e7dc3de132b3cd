import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { adviceOn } from './advice.ts'
import type { Demand } from './demand.ts'
import { iniText } from './ini.ts'
import type { PoolReading } from './live.ts'
import { type Plan, type PlanOptions, planFor } from './plan.ts'

const story: Demand = { transactionsPerSecond: 2_000, holdMs: 17, source: 'a test', notes: [] }

test('the story’s load wants 50 warm server connections, and a tenth of it nine', () => {
  const whole = planFor(story, given({}))
  const tenth = planFor({ ...story, transactionsPerSecond: 200 }, given({}))

  assert.equal(valueOf(whole, 'default_pool_size'), 50)
  assert.equal(valueOf(whole, 'min_pool_size'), 50)
  assert.equal(valueOf(tenth, 'default_pool_size'), 9)
})

test('what the server does not allow is cut, and said with numbers', () => {
  const plan = planFor(story, given({ maxConnections: 48, keptFree: 8 }))

  assert.equal(valueOf(plan, 'default_pool_size'), 40)
  assert.equal(valueOf(plan, 'reserve_pool_size'), 0)
  assert.match(whyOf(plan, 'default_pool_size'), /50 are wanted.*48 only 40/)
  assert.match(plan.warnings.join('\n'), /40 instead of 50 server connections \d+ %/)
})

test('a demand that no queue can hold is called so', () => {
  const plan = planFor(story, given({ maxConnections: 30, keptFree: 8 }))

  assert.match(plan.warnings.join('\n'), /34 server connections busy and the server allows 22/)
})

test('by session no more clients are let in than there are servers', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.double({ min: 0.01, max: 100, noNaN: true }),
      (processes, holdMs) => {
        const plan = planFor({ ...story, holdMs }, given({ mode: 'session', processes }))

        const servers = valueOf(plan, 'default_pool_size')
        assert.ok(processes * poolValue(plan, 'max') <= servers)
        assert.ok(poolValue(plan, 'min') <= poolValue(plan, 'max'))
      },
    ),
  )
})

test('all connections together never pass what the server allows', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 10, max: 500 }),
      fc.double({ min: 0.01, max: 200, noNaN: true }),
      (maxConnections, holdMs) => {
        const plan = planFor({ ...story, holdMs }, given({ maxConnections, keptFree: 8 }))

        assert.ok(valueOf(plan, 'max_db_connections') <= maxConnections - 8)
        assert.ok(
          valueOf(plan, 'default_pool_size') + valueOf(plan, 'reserve_pool_size') ===
            valueOf(plan, 'max_db_connections'),
        )
      },
    ),
  )
})

test('the worst moment that was seen counts where it is more than chance makes', () => {
  const plan = planFor({ ...story, peakBusy: 80 }, given({}))

  assert.equal(valueOf(plan, 'default_pool_size'), 80)
  assert.match(whyOf(plan, 'default_pool_size'), /80 were busy at the worst moment/)
})

test('prepared statements are kept by those that can', () => {
  const of = (bouncer: [number, number], mode: Plan['mode'] = 'transaction'): boolean =>
    planFor(story, given({ bouncer, mode })).bouncer.some(
      ({ name }) => name === 'max_prepared_statements',
    )

  assert.equal(of([1, 18]), false, 'an older one ends at a line that it does not know')
  assert.equal(of([1, 21]), true)
  assert.equal(of([1, 24]), true)
  assert.equal(of([1, 24], 'session'), false)
})

test('every line has a reason, and the file tells it', () => {
  const plan = planFor(story, given({ bouncer: [1, 24] }))
  const ini = iniText(plan, {
    listen: { host: '127.0.0.1', port: 6432 },
    server: { host: 'db', port: 5432, database: 'shop' },
    user: 'app',
    authFile: '/etc/pgbouncer/userlist.txt',
    source: 'a test',
    version: '0',
  })

  for (const { name, value, why } of [...plan.bouncer, ...plan.pool]) {
    assert.ok(why.length > 20, name)
    if (plan.bouncer.some((each) => each.name === name)) {
      assert.match(ini, new RegExp(`^; .*\\n${name} = ${value}$`, 'm'))
    }
  }
  assert.match(ini, /^shop = host=db port=5432 dbname=shop$/m)
})

test('clients that wait get an advice that fits what is seen', () => {
  const busy = { clientsWaiting: 7, serversActive: 4, serversIdle: 0, longestWaitMs: 2_300 }

  assert.deepEqual(adviceOn([reading({})], 10), [])
  assert.match(adviceOn([reading(busy)], 10)[0] ?? '', /7 clients wait.*2300 ms.*from 4 to 10/)
  assert.match(adviceOn([reading(busy)], 3)[0] ?? '', /left open/)
  assert.match(adviceOn([reading({ ...busy, mode: 'session' })], 10)[0] ?? '', /connect fewer/)
  assert.match(adviceOn([reading({ ...busy, serversIdle: 3 })], 10)[0] ?? '', /a limit|paused/)
  assert.match(adviceOn([reading({ meanWaitMs: 12 })], 10)[0] ?? '', /waited 12 ms on average/)
})

function given(changes: Partial<PlanOptions>): PlanOptions {
  return {
    mode: 'transaction',
    bouncer: [1, 18],
    processes: 4,
    waitChance: 0.01,
    headroom: 1,
    maxConnections: undefined,
    keptFree: 8,
    cores: undefined,
    deadlineMs: 5_000,
    ...changes,
  }
}

function valueOf(plan: Plan, wanted: string): number {
  return Number(plan.bouncer.find(({ name }) => name === wanted)?.value)
}

function whyOf(plan: Plan, wanted: string): string {
  return plan.bouncer.find(({ name }) => name === wanted)?.why ?? ''
}

function poolValue(plan: Plan, wanted: string): number {
  return Number(plan.pool.find(({ name }) => name === wanted)?.value)
}

function reading(changes: Partial<PoolReading>): PoolReading {
  return {
    database: 'shop',
    user: 'app',
    mode: 'transaction',
    clientsActive: 4,
    clientsWaiting: 0,
    serversActive: 2,
    serversIdle: 2,
    longestWaitMs: 0,
    meanWaitMs: 0,
    ...changes,
  }
}
