import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { JsonBroken, jsonMembers } from './json-members.ts'

test('says where each member stands', () => {
  const text = ' {"a" : [1, {"b":2}], "c":"d" }'

  const found = jsonMembers(text).map(({ key, keyAt, valueAt, valueEnd }) => [
    key,
    keyAt,
    text.slice(valueAt, valueEnd),
  ])

  assert.deepEqual(found, [
    ['a', 2, '[1, {"b":2}]'],
    ['c', 22, '"d"'],
  ])
})

test('takes what JSON.parse takes, and nothing else', () => {
  const valid = fc.dictionary(fc.string(), fc.jsonValue()).map((value) => JSON.stringify(value))
  const edited = fc
    .tuple(
      valid,
      fc.nat(),
      fc.constantFrom('', '"', '{', '}', '[', ']', ',', ':', '0', 'e', '\\', '\t', '-', ' '),
    )
    .map(
      ([text, at, put]) =>
        text.slice(0, at % (text.length + 1)) + put + text.slice((at % (text.length + 1)) + 1),
    )

  fc.assert(
    fc.property(fc.oneof(valid, edited), (text) => {
      assert.equal(
        isTaken(() => jsonMembers(text)),
        isTaken(() => objectOf(text)),
        text,
      )
    }),
    { numRuns: 2000 },
  )
})

test('a body of a million characters is read, one that nests without end is refused', () => {
  const long = `{"a":${JSON.stringify('x\\"'.repeat(500_000))}}`
  assert.equal(jsonMembers(long).length, 1)

  const deep = `{"a":${'['.repeat(100_000)}`
  assert.throws(() => jsonMembers(deep), /at most 500 levels/)
})

function isTaken(read: () => unknown): boolean {
  try {
    read()
    return true
  } catch (error) {
    assert.ok(error instanceof JsonBroken || error instanceof SyntaxError, String(error))
    return false
  }
}

function objectOf(text: string): unknown {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new SyntaxError()
  return value
}
