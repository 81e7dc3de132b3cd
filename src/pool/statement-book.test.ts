import assert from 'node:assert/strict'
import { test } from 'node:test'
import { StatementBook, type StatementShape } from './statement-book.ts'

const MAX_MS = 10

test('a statement is new, and shares when its first run was fast', () => {
  const shape = shapeOf('SELECT a FROM b WHERE c = $1')
  assert.equal(shape.lane, 'new')

  run(shape, 0.5)

  assert.equal(shape.lane, 'express')
})

test('a slow one has a connection alone, and says why', () => {
  const shape = shapeOf('SELECT a FROM slow')

  run(shape, 100)

  assert.equal(shape.lane, 'alone')
  assert.match(shape.why, /took 100\.0 ms/)
})

test('one hiccup moves nobody; getting slow does', () => {
  const shape = shapeOf('SELECT a FROM hiccup')
  for (let i = 0; i < 50; i++) run(shape, 0.2)

  run(shape, 15)
  assert.equal(shape.lane, 'express')

  for (let i = 0; i < 5; i++) run(shape, 15)
  assert.equal(shape.lane, 'alone')
})

test('a large result counts as slow', () => {
  const shape = shapeOf('SELECT a FROM large')

  shape.ran(1, 5_000, 10, 0, MAX_MS)

  assert.equal(shape.lane, 'alone')
})

test('whoever held others up leaves at once, and comes back after fast runs in a row', () => {
  const shape = shapeOf('SELECT a FROM offender')
  run(shape, 0.2)

  shape.heldUp(50)
  assert.equal(shape.lane, 'alone')

  for (let i = 0; i < 20; i++) run(shape, 0.2)
  assert.equal(shape.lane, 'express')
})

test('who offends in one of a hundred runs stays away for long', () => {
  const shape = shapeOf('SELECT a FROM bimodal')
  let shared = 0
  for (let i = 0; i < 10_000; i++) {
    if (shape.lane === 'express' && i % 100 === 0) shape.heldUp(100)
    if (shape.lane === 'express') shared += 1
    run(shape, i % 100 === 0 && shape.lane === 'alone' ? 100 : 0.2)
  }

  assert.ok(shared < 5_000, `shared ${shared} times of 10,000`)
})

test('what must not share is told with its reason', () => {
  const expected: readonly (readonly [sql: string, why: RegExp])[] = [
    ['BEGIN', /transaction/],
    ['SELECT 1; SELECT 2', /several statements/],
    ['SET search_path = a', /session/],
    ['LISTEN a', /session/],
    ['CREATE TEMP TABLE a (b int)', /session/],
    ['COPY a FROM STDIN', /COPY/],
    ['CREATE TABLE a (b int)', /CREATE/],
    ['SELECT 1 FROM a FOR UPDATE', /locks/],
    ['SELECT pg_advisory_lock(1)', /session/],
    ['DO $$ BEGIN END $$', /session/],
  ]

  for (const [sql, why] of expected) {
    const shape = shapeOf(sql)
    assert.equal(shape.lane, 'stock', sql)
    assert.match(shape.why, why, sql)
  }
})

test('values pasted into the text share what is known of their shape, and are not prepared', () => {
  const book = new StatementBook([])
  run(book.of('SELECT a FROM b WHERE c = 1').shape, 0.2)

  const other = book.of('SELECT a FROM b WHERE c = 2')

  assert.equal(other.shape.lane, 'express')
  assert.equal(other.isRepeated, false)
  assert.equal(book.of('SELECT a FROM b WHERE c = 2').isRepeated, true)
})

test('an excluded text never shares', () => {
  const book = new StatementBook([/set_tenant/g])

  assert.equal(book.of('SELECT set_tenant(1)').shape.lane, 'stock')
  assert.equal(book.of('SELECT set_tenant(1), 2').shape.lane, 'stock')
})

test('what gets slow with a generic plan is not prepared any more', () => {
  const shape = shapeOf('SELECT a FROM skewed WHERE b = $1')

  for (let use = 1; use <= 5; use++) shape.ran(0.5, 1, 10, use, MAX_MS)
  for (let use = 6; use <= 12; use++) shape.ran(9, 1, 10, use, MAX_MS)

  assert.equal(shape.isPrepared, false)
  assert.match(shape.why, /prepared it took/)
})

test('a book of a million texts keeps a few thousand', () => {
  const book = new StatementBook([])
  for (let i = 0; i < 100_000; i++) book.of(`SELECT a FROM b WHERE c = ${i}`)

  assert.ok(book.size < 15_000, `${book.size} entries`)
})

function shapeOf(sql: string): StatementShape {
  return new StatementBook([]).of(sql).shape
}

function run(shape: StatementShape, ms: number): void {
  shape.ran(ms, 1, 10, 0, MAX_MS)
}
