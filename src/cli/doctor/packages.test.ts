import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { dependenciesOf } from './packages.ts'

test('the nearest package.json tells, without what is for development alone', (t) => {
  const folder = folderWith(t, {
    dependencies: { pg: '^8.0.0', 'drizzle-orm': '*' },
    devDependencies: { knex: '*' },
  })
  const below = join(folder, 'packages', 'api')
  mkdirSync(below, { recursive: true })

  assert.deepEqual(dependenciesOf(below), ['pg', 'drizzle-orm'])
})

test('one without dependencies hides what lies above it', (t) => {
  const folder = folderWith(t, { dependencies: { kysely: '*' } })
  const below = join(folder, 'api')
  mkdirSync(below)
  writeFileSync(join(below, 'package.json'), '{"type":"module"}')

  assert.deepEqual(dependenciesOf(below), [])
})

for (const text of ['', '{', 'null', '[]', '{"dependencies":7}', '{"dependencies":null}']) {
  test(`a package.json of ${JSON.stringify(text)} says nothing`, (t) => {
    assert.deepEqual(dependenciesOf(folderWith(t, text)), [])
  })
}

function folderWith(t: { after(work: () => void): void }, content: unknown): string {
  const folder = mkdtempSync(join(tmpdir(), 'hasten-packages-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const text = typeof content === 'string' ? content : JSON.stringify(content)
  writeFileSync(join(folder, 'package.json'), text)
  return folder
}
