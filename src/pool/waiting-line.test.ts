import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Waiter, WaitingLine } from './waiting-line.ts'

class Someone implements Waiter {
  readonly priority: number
  readonly caller: number
  readonly name: string
  isSettled = false

  constructor(name: string, caller = 0, priority = 1) {
    this.name = name
    this.caller = caller
    this.priority = priority
  }
}

test('first come, first served among the statements of one caller', () => {
  const line = lineOf(new Someone('a'), new Someone('b'), new Someone('c'))

  assert.deepEqual(drain(line), ['a', 'b', 'c'])
})

test('callers take turns, so that one with many holds up nobody', () => {
  const many = Array.from({ length: 10_000 }, (_, i) => new Someone(`many ${i}`, 1))
  const line = lineOf(...many, new Someone('b', 2), new Someone('c', 3))

  assert.deepEqual(drain(line).slice(0, 5), ['many 0', 'b', 'c', 'many 1', 'many 2'])
})

test('a higher priority goes first', () => {
  const line = lineOf(
    new Someone('background', 1, 2),
    new Someone('default', 2, 1),
    new Someone('critical', 3, 0),
  )

  assert.deepEqual(drain(line), ['critical', 'default', 'background'])
})

test('whoever has given up is stepped over, and does not count', () => {
  const gone = new Someone('gone')
  const line = lineOf(gone, new Someone('here'))
  gone.isSettled = true
  line.left()

  assert.equal(line.size, 1)
  assert.equal(line.peek()?.name, 'here')
  assert.deepEqual(drain(line), ['here'])
  assert.equal(line.size, 0)
})

test('those who gave up are let go while nobody is served', () => {
  const line = new WaitingLine<Someone>()
  for (let i = 0; i < 100_000; i++) {
    const someone = new Someone(`${i}`, i)
    line.push(someone)
    someone.isSettled = true
    line.left()
  }

  assert.equal(line.size, 0)
  assert.ok(line.kept < 5_000, `${line.kept} are kept`)
})

test('a hundred thousand callers are served in the time of as many', () => {
  const line = new WaitingLine<Someone>()
  const count = 100_000
  for (let i = 0; i < count; i++) line.push(new Someone(`${i}`, i))

  for (let i = 0; i < count; i++) assert.equal(line.shift()?.name, `${i}`)

  assert.equal(line.size, 0)
})

test('serves as an obvious line would', () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('push' as const),
      caller: fc.nat(3),
      priority: fc.nat(2),
    }),
    fc.record({ kind: fc.constant('shift' as const) }),
    fc.record({ kind: fc.constant('leave' as const), at: fc.nat(20) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (steps) => {
      const line = new WaitingLine<Someone>()
      const model: Someone[][][] = [[], [], []]
      let names = 0
      for (const taken of steps) {
        if (taken.kind === 'push') {
          const someone = new Someone(`${names++}`, taken.caller, taken.priority)
          line.push(someone)
          const callers = model[taken.priority] as Someone[][]
          const own = callers.find(([first]) => first?.caller === taken.caller)
          if (own === undefined) callers.push([someone])
          else own.push(someone)
        } else if (taken.kind === 'leave') {
          const waiting = model.flat(2).filter(({ isSettled }) => !isSettled)
          const someone = waiting[taken.at]
          if (someone === undefined) continue
          someone.isSettled = true
          line.left()
        } else {
          assert.equal(line.shift()?.name, serve(model)?.name)
        }
        const waiting = model.flat(2).filter(({ isSettled }) => !isSettled)
        assert.equal(line.size, waiting.length)
      }
    }),
  )
})

/** The first caller of the highest priority who still has somebody; he goes to the end. */
function serve(model: Someone[][][]): Someone | undefined {
  for (const callers of model) {
    while (callers.length > 0) {
      const own = callers.shift() as Someone[]
      while (own[0]?.isSettled) own.shift()
      const next = own.shift()
      if (next === undefined) continue
      if (own.length > 0) callers.push(own)
      return next
    }
  }
  return undefined
}

function lineOf(...waiters: Someone[]): WaitingLine<Someone> {
  const line = new WaitingLine<Someone>()
  for (const waiter of waiters) line.push(waiter)
  return line
}

function drain(line: WaitingLine<Someone>): string[] {
  const names: string[] = []
  for (let next = line.shift(); next !== undefined; next = line.shift()) names.push(next.name)
  return names
}
