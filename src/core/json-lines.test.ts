import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { JsonLines } from './json-lines.ts'

test('documents come out whole, however the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.dictionary(fc.string(), fc.jsonValue()), { maxLength: 8 }),
      fc.array(fc.nat(), { maxLength: 12 }),
      (documents, cuts) => {
        const text = documents.map((each) => `${JSON.stringify(each)}\n`).join('')
        const expected = documents.map((each) => JSON.parse(JSON.stringify(each)) as unknown)

        const { seen } = read(pieces(Buffer.from(text), cuts))

        assert.deepEqual(seen, expected)
      },
    ),
  )
})

test('what is no object is dropped and counted, and the next line is read', () => {
  const { seen, lines } = read([Buffer.from('nonsense\n[1]\n7\nnull\n\n{"a":1}\n{"half')])

  assert.deepEqual(seen, [{ a: 1 }])
  assert.equal(lines.garbage, 5)
})

test('a line that outgrows the limit is dropped, at the limit it is read', () => {
  const limit = 40
  const fits = `{"a":"${'x'.repeat(limit - 8)}"}`

  const { seen, lines } = read([Buffer.from(`${fits} \n${fits}\n`)], limit)

  assert.equal(fits.length, limit)
  assert.equal(seen.length, 1)
  assert.equal(lines.garbage, 1)
})

function read(chunks: readonly Buffer[], maxBytes: number = 1_000_000) {
  const seen: unknown[] = []
  const lines = new JsonLines({ maxBytes, onDocument: (document) => seen.push(document) })
  for (const chunk of chunks) lines.write(chunk)
  return { seen, lines }
}

function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b)
  const edges = [0, ...places, bytes.length]
  return edges.slice(1).map((end, i) => bytes.subarray(edges[i], end))
}
