/** What is in the tarball, and whether it is put together as tools expect. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { root } from '../structure/sources.ts'
import { manifest, type Packed, pack } from './pack.ts'

const folder = mkdtempSync(join(tmpdir(), 'hasten-pack-'))
let packed: Packed

before(async () => {
  packed = await pack(folder)
})
after(() => rmSync(folder, { recursive: true, force: true }))

test('the tarball holds each export with its types, licence, changelog and readme', () => {
  const targets = Object.values(manifest.exports).map((target) => target.replace('./', ''))
  const types = targets
    .filter((target) => target.endsWith('.js'))
    .map((target) => target.replace(/\.js$/, '.d.ts'))
  const expected = [...targets, ...types, 'LICENSE', 'CHANGELOG.md', 'README.md']

  assert.deepEqual(
    expected.filter((path) => !packed.files.includes(path)),
    [],
  )
})

test('the tarball holds nothing that only we need', () => {
  const ours = packed.files.filter((path) =>
    /\.test\.|\.map$|\.tsbuildinfo$|^(src|test|services|benchmarks|build|scripts|examples)\//.test(
      path,
    ),
  )

  assert.deepEqual(ours, [])
  assert.ok(packed.bytes < 1_000_000, `${packed.bytes} bytes`)
})

test('publint finds nothing', async () => {
  const { messages, pkg } = await publint({ pkgDir: root, strict: true, pack: 'npm' })

  assert.deepEqual(
    messages.map((message) => formatMessage(message, pkg)),
    [],
  )
})

test('types resolve for those who import ES modules', async () => {
  const require = createRequire(import.meta.url)
  const attw = join(dirname(require.resolve('@arethetypeswrong/cli/package.json')), 'dist/index.js')
  const said = await promisify(execFile)(
    process.execPath,
    [attw, packed.tarball, '--profile', 'esm-only', '--format', 'json'],
    { maxBuffer: 2 ** 24 },
  ).catch((error: unknown) => error as { stdout: string })
  const { analysis } = JSON.parse(said.stdout) as { analysis: Analysis }

  assert.deepEqual(
    analysis.problems.filter(({ resolutionKind }) => resolutionKind === 'node16-esm'),
    [],
  )
  assert.equal(analysis.packageName, manifest.name)
})

interface Analysis {
  readonly packageName: string
  readonly problems: readonly { readonly kind: string; readonly resolutionKind?: string }[]
}
