/** The codes in src/core/errors.ts and the sections of docs/errors.md are one list. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root, sources } from './sources.ts'

const errors = readFileSync(join(root, 'src/core/errors.ts'), 'utf8')
const page = readFileSync(join(root, 'docs/errors.md'), 'utf8')

const union = /export type ErrorCode =([^]*?)\n\n/.exec(errors)?.[1] ?? ''
const codes = [...union.matchAll(/'([A-Z_]+)'/g)].map((match) => match[1] ?? '')
const sections = [...page.matchAll(/^## ([A-Z_]+)$/gm)].map((match) => match[1] ?? '')

test('each code has its section, and each section its code', () => {
  assert.ok(codes.length > 0, 'no codes were found in src/core/errors.ts')
  assert.equal(sections.length, codes.length)
  assert.deepEqual(new Set(sections), new Set(codes))
})

test('each section says something', () => {
  const empty = page
    .split(/^## /m)
    .slice(1)
    .filter((section) => section.split('\n').slice(1).join('').trim() === '')

  assert.deepEqual(empty, [])
})

test('each code is thrown somewhere', () => {
  const text = sources()
    .filter(({ path }) => path !== 'src/core/errors.ts' && !path.endsWith('.test.ts'))
    .map((source) => source.text)
    .join('\n')
  const idle = codes.filter((code) => !text.includes(`'${code}'`))

  assert.deepEqual(idle, [])
})
