import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readParams } from './params.ts'

test('pairs give values by name, several of one name, and for one route alone', async () => {
  const params = await readParams(['id=1,slug=abc', 'id=2', 'at=1,2', '/users/:id#id=7'])

  assert.deepEqual(params.valuesFor('/a/:id', 'id'), ['1', '2'])
  assert.deepEqual(params.valuesFor('/a/:slug', 'slug'), ['abc'])
  assert.deepEqual(params.valuesFor('/a/:at', 'at'), ['1,2'])
  assert.deepEqual(params.valuesFor('/users/:id', 'id'), ['7'])
  assert.deepEqual(params.valuesFor('/users/:id', 'other'), [])
})

test('a file gives the same', async (t) => {
  const path = await fileWith(t, '{"id": [1, "x"], "/users/:id": {"id": 7}}')
  const params = await readParams([path])

  assert.deepEqual(params.valuesFor('/a/:id', 'id'), ['1', 'x'])
  assert.deepEqual(params.valuesFor('/users/:id', 'id'), ['7'])
})

for (const [text, says] of [
  ['=1', /'=1' is not of the form name=value/],
  ['id=', /'id=' is not of the form name=value/],
  ['/nonexistent', /cannot be read \(ENOENT\); give name=value/],
] as const) {
  test(`refuses ${text}`, async () => {
    await assert.rejects(readParams([text]), { code: 'PARAMS_INVALID', message: says })
  })
}

for (const [text, says] of [
  ['{', /is not JSON/],
  ['[1]', /must hold an object of values by parameter, got \[ 1 \]/],
  ['{"id": {"a": 1}}', /id must be a string or number, got { a: 1 }/],
  ['{"/a/:id": 1}', /\/a\/:id must hold an object of values, got 1/],
] as const) {
  test(`refuses a file with ${text}`, async (t) => {
    const path = await fileWith(t, text)
    await assert.rejects(readParams([path]), { code: 'PARAMS_INVALID', message: says })
  })
}

async function fileWith(
  t: { after(fn: () => Promise<void>): void },
  text: string,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'params-'))
  t.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'params.json')
  await writeFile(path, text)
  return path
}
