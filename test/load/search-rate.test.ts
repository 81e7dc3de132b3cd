import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { autoRate, runSequence, type SearchStep, searchRate } from '#src/load/index.js'

const requests = [{ method: 'GET', path: '/', weight: 1 }]
/** A server with one worker that takes so long for each request holds a hundred a second. */
const serviceMs = 10

test('finds a rate below what the server can do, and shows what failed above it', async () => {
  await using server = await serve(oneAtATime(serviceMs))
  const told: SearchStep[] = []

  const found = await searchRate({
    origin: server.origin,
    requests,
    goal: { ms: 150 },
    startRate: 50,
    stepSeconds: 0.7,
    stepRequests: 30,
    precision: 0.5,
    onStep: (step) => told.push(step),
  })

  assert.deepEqual(told, found.steps)
  assert.equal(found.limit, 'found')
  assert.ok(found.ratePerSecond >= 12 && found.ratePerSecond < 110, `${found.ratePerSecond}/s`)
  for (const step of found.steps) {
    if (step.held) assert.ok(step.latencyMs <= 150 && step.reason === undefined)
    else assert.ok(step.latencyMs > 150 || step.reason !== 'latency', JSON.stringify(step))
  }
  const failed = found.steps.filter(({ held }) => !held).map(({ ratePerSecond }) => ratePerSecond)
  assert.ok(failed.length >= 2, 'a failure is believed when it is repeated')
  assert.ok(Math.max(...failed) > found.ratePerSecond)
  assert.ok((found.load?.latency.quantile(0.95) ?? Number.NaN) <= 150)
})

test('errors fail a step however fast they are', async () => {
  await using server = await serve((_, response) => {
    response.statusCode = 500
    response.end()
  })

  const found = await searchRate({
    origin: server.origin,
    requests,
    goal: { ms: 1000 },
    startRate: 20,
    minRate: 20,
    stepSeconds: 0.5,
    stepRequests: 1,
    settleMs: 100,
  })

  assert.equal(found.ratePerSecond, 0)
  assert.equal(found.limit, 'min-rate')
  assert.deepEqual(
    found.steps.map(({ reason }) => reason),
    ['errors', 'errors'],
  )
})

test('stops at the highest rate that was allowed, and when the time is over', async () => {
  await using server = await serve((_, response) => response.end())
  const options = {
    origin: server.origin,
    requests,
    goal: { ms: 5000 },
    stepSeconds: 0.5,
    stepRequests: 1,
  }

  const allowed = await searchRate({ ...options, startRate: 20, maxRate: 30 })
  assert.deepEqual([allowed.ratePerSecond, allowed.limit], [30, 'max-rate'])

  const short = await searchRate({ ...options, startRate: 20, budgetSeconds: 0.9 })
  assert.deepEqual([short.ratePerSecond, short.limit, short.steps.length], [0, 'budget', 0])
})

test('an abort ends the search with the best until then', async () => {
  await using server = await serve((_, response) => response.end())
  const leaving = new AbortController()

  const found = await searchRate({
    origin: server.origin,
    requests,
    goal: { ms: 5000 },
    startRate: 20,
    stepSeconds: 0.5,
    stepRequests: 1,
    signal: leaving.signal,
    onStep: () => leaving.abort(),
  })

  assert.deepEqual([found.ratePerSecond, found.limit, found.steps.length], [20, 'aborted', 1])
})

test('without a goal, a rate at which the server is busy and keeps up', async () => {
  await using server = await serve(oneAtATime(serviceMs))
  const { origin } = server
  const solo = await runSequence(Array(5).fill(requests[0]), { origin })

  const auto = await autoRate({ origin, requests, solo, budgetSeconds: 12 })

  assert.equal(auto.keepsUp, true)
  assert.ok(auto.ratePerSecond >= 4 && auto.ratePerSecond < 100, `${auto.ratePerSecond}/s`)
  assert.equal(auto.ratePerSecond, auto.search.ratePerSecond * 0.8)
  assert.ok(auto.search.goal.ms >= serviceMs * 0.9 + 50)
})

for (const [goal, says] of [
  [{ ms: 0 }, /goal\.ms must be a finite number above 0/],
  [{ ms: 10, quantile: 95 }, /goal\.quantile must be between 0 and 1, got 95/],
  [{ ms: 10, maxErrorShare: 2 }, /goal\.maxErrorShare must be 0 to 1, got 2/],
] as const) {
  test(`refuses the goal ${JSON.stringify(goal)}`, async () => {
    const options = { origin: 'http://127.0.0.1:1', requests, goal }
    await assert.rejects(searchRate(options), { code: 'OPTION_INVALID', message: says })
  })
}

/** Answers in turn, as a server with one worker does. */
function oneAtATime(ms: number): RequestListener {
  const waiting: ServerResponse[] = []
  let isBusy = false
  const next = () => {
    const response = waiting.shift()
    isBusy = response !== undefined
    if (response === undefined) return
    setTimeout(() => {
      response.end()
      next()
    }, ms)
  }
  return (_, response) => {
    waiting.push(response)
    if (!isBusy) next()
  }
}

async function serve(listener: RequestListener) {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
    },
  }
}
