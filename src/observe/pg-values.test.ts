import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hashesOfInputs, hashesOfRows } from './pg-values.ts'

test('a value is the same however it travels', () => {
  const [id, date] = ['0189c0de-0000-7000-8000-000000000001', new Date('2026-01-02T03:04:05Z')]
  const rows = [{ id, n: 42, big: 42n, at: date, bytes: Buffer.from('cafe', 'hex') }]

  assert.deepEqual(
    hashesOfRows(rows),
    hashesOfInputs('select $1', [id, '42', 42, date.toISOString(), 'cafe']),
  )
})

test('literals in the text count as inputs, behind the parameters', () => {
  assert.deepEqual(
    hashesOfInputs("select * from t where a = $1 and b = 'it''s' and c = -7", [1]),
    hashesOfInputs('select $1', [1, "it's", -7]),
  )
})

test('arrays and JSON are taken apart, what says nothing is left out', () => {
  assert.deepEqual(
    hashesOfRows([
      { a: [1, [2]], b: { c: 'x' }, d: null, e: true, f: '', g: new Date(Number.NaN) },
    ]),
    hashesOfInputs('select $1', [1, 2, 'x']),
  )
})

test('bounds: 64 rows, 512 values, 8 levels', () => {
  const circle: unknown[] = [1]
  circle.push(circle)

  assert.equal(hashesOfRows(Array.from({ length: 1_000 }, () => ({ a: 1 }))).length, 64)
  assert.equal(hashesOfRows([Array(1_000).fill(1)]).length, 512)
  assert.equal(hashesOfInputs('select $1', Array(1_000).fill(1)).length, 512)
  assert.ok(hashesOfRows([circle]).length < 10)
})
