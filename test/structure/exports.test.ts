/** A folder that is a part has a subpath, a docs page, and both lead to it. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from './sources.ts'

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, string>
  bin: Record<string, string>
}

/** Used by the command line alone: nobody can rely on what no subpath shows. */
const inner = ['core', 'cli', 'dashboard', 'load', 'report', 'compare', 'adapters']

test('each part has its subpath, and each subpath its part', () => {
  const folders = readdirSync(join(root, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !inner.includes(entry.name))
    .map((entry) => entry.name)
  const subpaths = Object.entries(manifest.exports)
    .filter(([, target]) => /^\.\/dist\/[^/]+\/index\.js$/.test(target))
    .map(([subpath]) => subpath.replace('./', ''))

  assert.deepEqual(new Set(subpaths), new Set(folders))
})

test('what is exported and what is run comes from a source', () => {
  const targets = [...Object.values(manifest.exports), ...Object.values(manifest.bin)]
  const without = targets.filter((target) => {
    const source = target.replace(/^(\.\/)?dist\//, 'src/').replace(/\.js$/, '.ts')
    return !existsSync(join(root, source))
  })

  assert.deepEqual(without, [])
})

test('each subpath and each command has its page', () => {
  const commands = ['doctor', 'compare'].filter((name) =>
    existsSync(join(root, 'src', 'cli', `${name}.ts`)),
  )
  const parts = Object.keys(manifest.exports)
    .filter((subpath) => /^\.\/[a-z]+$/.test(subpath))
    .map((subpath) => subpath.slice(2))
  const without = [...parts, ...commands].filter(
    (name) => !existsSync(join(root, 'docs', `${name}.md`)),
  )

  assert.deepEqual(without, [])
})
