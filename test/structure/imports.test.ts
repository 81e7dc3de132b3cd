/** Imports go downward only, and into another folder only through its index.ts. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { folderOf, type Source, sources } from './sources.ts'

const parts = ['timing', 'batch', 'limiter', 'predictor', 'edge', 'pool', 'cache', 'stream']
const all = [
  ...parts,
  'exporters',
  'regions',
  'observe',
  'advisor',
  'load',
  'report',
  'compare',
  'core',
]

/** Below whom a folder stands. Nobody imports `cli` and `dashboard`. */
const mayImport: Record<string, readonly string[]> = {
  core: [],
  timing: ['core'],
  batch: ['core'],
  limiter: ['core'],
  predictor: ['core'],
  edge: ['core'],
  pool: ['core'],
  cache: ['batch', 'core'],
  stream: ['pool', 'core'],
  regions: ['pool', 'core'],
  exporters: ['timing', 'core'],
  observe: ['exporters', 'timing', 'core'],
  advisor: ['core'],
  load: ['core'],
  report: ['core'],
  compare: ['core'],
  adapters: all,
  dashboard: [...all, 'adapters'],
  cli: [...all, 'adapters', 'dashboard'],
  'index.ts': [...all, 'adapters'],
}

/** An application that imports these loads nothing else. */
const withoutPackages = [
  'core',
  'timing',
  'exporters',
  'batch',
  'limiter',
  'predictor',
  'advisor',
  'index.ts',
]

test('imports go downward only', () => {
  const wrong = crossings().filter(
    ({ from, to }) => !(mayImport[from.folder] ?? []).includes(folderOf(to)),
  )

  assert.deepEqual(wrong.map(tell), [])
})

test('a folder is entered through its index.ts; the core has none, each of its files is a noun', () => {
  const wrong = crossings().filter(({ to }) => folderOf(to) !== 'core' && !isIndex(to))

  assert.deepEqual(wrong.map(tell), [])
})

test('the parts that every application loads import nothing but Node and each other', () => {
  const wrong = sources()
    .filter(({ folder, path }) => withoutPackages.includes(folder) && !path.includes('.test.'))
    .flatMap((from) => from.imports.map((to) => ({ from, to })))
    .filter(({ to }) => !to.startsWith('src/') && !to.startsWith('node:'))

  assert.deepEqual(wrong.map(tell), [])
})

test('the rules name every folder that there is, so that a new one gets a place', () => {
  const folders = new Set(sources().map(({ folder }) => folder))

  assert.deepEqual(
    [...folders].filter((folder) => mayImport[folder] === undefined),
    [],
  )
  assert.ok(folders.size > 5, `only ${[...folders].join(', ')} were found`)
})

interface Crossing {
  readonly from: Source
  readonly to: string
}

function crossings(): Crossing[] {
  return sources().flatMap((from) =>
    from.imports
      .filter((to) => to.startsWith('src/') && folderOf(to) !== from.folder)
      .map((to) => ({ from, to })),
  )
}

function isIndex(path: string): boolean {
  return /^src\/[^/]+\/index\.ts$/.test(path) || path === 'src/index.ts'
}

function tell({ from, to }: Crossing): string {
  return `${from.path} imports ${to}`
}
