import assert from 'node:assert/strict'
import { mock, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { ConnectGate, type ConnectGateOptions, type Passage } from './connect-gate.ts'

const never = new AbortController().signal

test('the first goes alone, each success doubles, up to the bound', async (t) => {
  const { gate, entered, enter } = gateOf(t, { maxConcurrent: 3 })
  for (let i = 0; i < 10; i++) enter()

  await settled()
  assert.equal(entered.length, 1)
  gate.leave(taken(entered), 'connected')
  await settled()
  assert.equal(gate.underWay, 2)
  gate.leave(taken(entered), 'connected')
  await settled()
  assert.equal(gate.underWay, 3)
  gate.leave(taken(entered), 'connected')
  await settled()
  assert.equal(gate.underWay, 3)
  assert.equal(gate.waiting, 4)
})

test('after a failure one probes, after a random part of a bound that doubles up to the most', async (t) => {
  const { gate, entered, enter, advance } = gateOf(t, { random: () => 0.5 })
  for (let i = 0; i < 6; i++) enter()
  const waits: number[] = []

  for (let i = 0; i < 5; i++) {
    await settled()
    assert.equal(gate.underWay, 1)
    gate.leave(taken(entered), 'transient')
    waits.push(gate.shutMs)
    advance(gate.shutMs - 1)
    await settled()
    assert.equal(gate.underWay, 0)
    advance(1)
  }

  assert.deepEqual(waits, [5, 10, 20, 40, 50])
  assert.equal(gate.failures, 5)
})

test('attempts that fail together count once, and a success from before counts for nothing', async (t) => {
  const { gate, entered, enter } = gateOf(t, { maxConcurrent: 4, random: () => 0 })
  enter()
  await settled()
  gate.leave(taken(entered), 'connected')
  enter()
  enter()
  await settled()
  const [one, two] = [taken(entered), taken(entered)]

  gate.leave(one, 'transient')
  gate.leave(two, 'transient')
  assert.equal(gate.failures, 1)

  enter()
  enter()
  await settled()
  assert.equal(gate.underWay, 1)
})

test('success opens the gate again', async (t) => {
  const { gate, entered, enter, advance } = gateOf(t, { random: () => 0.9 })
  enter()
  await settled()
  gate.leave(taken(entered), 'transient')
  enter()
  advance(gate.shutMs)
  await settled()
  gate.leave(taken(entered), 'connected')

  assert.equal(gate.failures, 0)
  assert.equal(gate.shutMs, 0)
})

test('what waiting does not mend is the answer for the whole line', async (t) => {
  const { gate, entered, answer } = gateOf(t)
  const others = [answer(), answer(), answer()]
  await settled()

  const wrong = new Error('wrong password')
  gate.leave(taken(entered), 'permanent', wrong)

  assert.deepEqual(await Promise.allSettled(others.slice(1)), [
    { status: 'rejected', reason: wrong },
    { status: 'rejected', reason: wrong },
  ])
  assert.equal(gate.waiting, 0)
})

test('one that waits and is aborted leaves the line, its timer and its listener', async (t) => {
  const { gate, entered, enter, advance } = gateOf(t, { random: () => 0.9 })
  enter()
  await settled()
  gate.leave(taken(entered), 'transient')
  const abort = new AbortController()
  const waiting = gate.enter(abort.signal)

  abort.abort(new Error('enough'))

  await assert.rejects(waiting, { message: 'enough' })
  assert.equal(gate.waiting, 0)
  advance(1000)
  await settled()
  assert.equal(gate.underWay, 0)
})

test('one that was given up says nothing: the next goes at once', async (t) => {
  const { gate, entered, enter } = gateOf(t)
  enter()
  enter()
  await settled()
  gate.leave(taken(entered), 'given up')
  await settled()

  assert.equal(gate.failures, 0)
  assert.equal(entered.length, 1)
})

test('one without an answer stops nobody for longer than its patience', async (t) => {
  const { gate, enter, advance } = gateOf(t, { maxConcurrent: 3 })
  for (let i = 0; i < 5; i++) enter()
  await settled()
  assert.equal(gate.underWay, 1)

  advance(499)
  await settled()
  assert.equal(gate.underWay, 1)
  advance(1)
  await settled()
  assert.equal(gate.underWay, 2)
  advance(5000)
  await settled()
  assert.equal(gate.underWay, 3)
  advance(50_000)
  await settled()
  assert.equal(gate.underWay, 3)
})

test('whatever happens, no more than the bound is under way and everybody gets an answer', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.constantFrom('connected', 'transient', 'permanent', 'given up', 'enter', 'time'),
        {
          maxLength: 60,
        },
      ),
      fc.integer({ min: 1, max: 5 }),
      async (steps, maxConcurrent) => {
        const { gate, entered, answer, advance } = gateOf(t, { maxConcurrent })
        const all: Promise<unknown>[] = []
        for (const step of steps) {
          if (step === 'enter') all.push(answer())
          else if (step === 'time') advance(20)
          else if (entered.length > 0) gate.leave(taken(entered), step, new Error('no'))
          await settled()
          assert.ok(gate.underWay <= maxConcurrent)
        }
        for (let i = 0; i < 200 && (gate.waiting > 0 || entered.length > 0); i++) {
          if (entered.length > 0) gate.leave(taken(entered), 'connected')
          advance(60)
          await settled()
        }
        assert.equal(gate.waiting + gate.underWay, 0)
        await Promise.allSettled(all)
        mock.timers.reset()
      },
    ),
    { numRuns: 200 },
  )
})

function gateOf(t: TestContext, options: Partial<ConnectGateOptions> = {}) {
  mock.timers.reset()
  mock.timers.enable({ apis: ['setTimeout'] })
  t.after(() => {
    mock.timers.reset()
  })
  let now = 0
  const gate = new ConnectGate({
    maxConcurrent: 4,
    backoffFirstMs: 10,
    backoffMaxMs: 100,
    random: () => 0.5,
    clock: { now: () => now },
    ...options,
  })
  const entered: Passage[] = []
  const answer = (): Promise<Passage> => {
    const entering = gate.enter(never)
    entering.then((passage) => entered.push(passage)).catch(() => {})
    return entering
  }
  return {
    gate,
    entered,
    enter() {
      void answer()
    },
    answer,
    advance(ms: number) {
      now += ms
      mock.timers.tick(Math.ceil(ms))
    },
  }
}

function taken(entered: Passage[]): Passage {
  const passage = entered.shift()
  assert.ok(passage)
  return passage
}

/** Everything that follows from what was done, without time. */
async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await Promise.resolve()
}
