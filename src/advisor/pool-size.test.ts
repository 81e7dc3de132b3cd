import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ObservationBuilder } from './observation-builder.test.support.ts'
import { type PoolSize, poolSizeOf } from './pool-size.ts'
import { situationOf } from './situation.ts'

test('busy on average is the rate times what each keeps', () => {
  // 500 requests per second × 4 ms.
  const size = sizeOf(app({ perSecond: 500, ms: 4 }))

  assert.equal(size.min, 2)
  assert.match(size.why, /2 connections are busy on average: 500 requests per second × 4 ms/)
})

for (const busy of [0.5, 2, 6, 12]) {
  test(`at ${busy} busy on average it is enough in 999 of 1,000 moments, and one less is not`, () => {
    const { max } = sizeOf(app({ perSecond: 100, ms: busy * 10 }))

    // The judge: arrivals by chance, counted.
    assert.ok(shareWithin(max, busy) >= 0.998, `${max} at ${busy}: ${shareWithin(max, busy)}`)
    if (max > 4) assert.ok(shareWithin(max - 1, busy) < 0.9995)
  })
}

test('time that a borrower keeps one without using it counts', () => {
  const holding = new ObservationBuilder().pool()
  holding.route(
    'GET /orders/:id/shipping',
    (request) => {
      request.checkout(() => {
        request.query('SELECT id FROM orders WHERE id = $1', { ms: 2 })
        request.http('carrier/rates/:id', { ms: 248 })
      })
    },
    { total: 200 },
  )

  assert.match(sizeOf(holding).why, /5 connections are busy on average/)
})

test('several processes share the traffic', () => {
  const observation = app({ perSecond: 500, ms: 4 }).observation()
  const [first] = observation.load.processes
  assert.ok(first)
  const processes = [first, { ...first, pid: 2 }, { ...first, pid: 3 }, { ...first, pid: 4 }]

  const size = poolSizeOf(situationOf({ ...observation, load: { ...observation.load, processes } }))

  assert.equal(size.min, 1)
  assert.match(size.why, /0\.5 connections are busy on average in each process/)
})

test('beyond what a formula may say, it says so', () => {
  const size = sizeOf(app({ perSecond: 1000, ms: 400 }))

  assert.equal(size.max, 50)
  assert.match(size.why, /shorten what keeps them/)
})

test('without a load it is the usual size, and says that nothing was measured', () => {
  const alone = new ObservationBuilder()
  alone.route('GET /users', (request) => request.query('SELECT id FROM users'), { load: 0 })

  const size = sizeOf(alone)

  assert.equal(size.max, 10)
  assert.match(size.why, /was not measured/)
})

function app({ perSecond, ms }: { perSecond: number; ms: number }): ObservationBuilder {
  const builder = new ObservationBuilder().pool()
  builder.route(
    'GET /users/:id',
    (request, i) => request.query('SELECT id FROM users WHERE id = $1', { ms, sends: [i] }),
    { total: perSecond * builder.seconds },
  )
  return builder
}

function sizeOf(builder: ObservationBuilder): PoolSize {
  return poolSizeOf(situationOf(builder.observation()))
}

/** Moments out of 200,000 at which at most `most` of the customers are there, who come by chance. */
function shareWithin(most: number, mean: number): number {
  let state = 1
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return (state + 0.5) / 2 ** 32
  }
  // Customers come at a rate of `mean` and stay for a time of 1: looked at when each comes.
  let now = 0
  let within = 0
  const ends: number[] = []
  for (let i = 0; i < 200_000; i++) {
    now += -Math.log(random()) / mean
    while ((ends[0] ?? Number.POSITIVE_INFINITY) <= now) ends.shift()
    if (ends.length <= most) within += 1
    ends.push(now + 1)
  }
  return within / 200_000
}
