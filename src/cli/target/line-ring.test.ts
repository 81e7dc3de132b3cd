import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LineRing } from './line-ring.ts'

test('the last lines are kept, and how many were forgotten', () => {
  const seen: string[] = []
  const ring = new LineRing(2, (line) => seen.push(line))

  ring.write(Buffer.from('one\ntwo\r\nthr'))
  ring.write(Buffer.from('ee\nfour'))
  assert.deepEqual(ring.last(), ['two', 'three'])
  ring.end()

  assert.deepEqual(ring.last(), ['three', 'four'])
  assert.deepEqual(ring.last(1), ['four'])
  assert.equal(ring.forgotten, 2)
  assert.deepEqual(seen, ['one', 'two', 'three', 'four'])
})

test('a character that is cut in two comes out whole', () => {
  const ring = new LineRing(5)
  const bytes = Buffer.from('größer\n')

  for (const byte of bytes) ring.write(Buffer.from([byte]))

  assert.deepEqual(ring.last(), ['größer'])
})

test('a line without end is cut, and what follows it is not', () => {
  const ring = new LineRing(5)

  for (let i = 0; i < 100; i++) ring.write(Buffer.alloc(10_000, 'x'))
  ring.write(Buffer.from('\nnext\n'))

  const [long, next] = ring.last()
  assert.equal(long?.length, 4_097)
  assert.equal(next, 'next')
})
