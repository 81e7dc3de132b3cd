/** The package as its user has it: packed, installed in an empty folder, loaded by this Node. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import { manifest, npm, pack, subpaths } from './pack.ts'

const folder = mkdtempSync(join(tmpdir(), 'hasten-install-'))
/** A part that keeps the process alive by being loaded would never let a script end. */
const END_MS = 30_000

/** Parts that stand on a driver of the application's, and which. */
const peerOf: Readonly<Record<string, string>> = { 'hasten/pool': 'pg' }

before(async () => {
  const { tarball } = await pack(folder)
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  await install(tarball)
})
after(() => rmSync(folder, { recursive: true, force: true }))

for (const [subpath, peer] of Object.entries(peerOf)) {
  test(`without ${peer}, ${subpath} says what is missing, and the other parts load`, async () => {
    await assert.rejects(node(['--input-type=module', '-e', `import '${subpath}'`]), {
      message: new RegExp(`Cannot find package '${peer}'`),
    })
    for (const other of subpaths.filter((name) => peerOf[name] === undefined)) {
      await node(['--input-type=module', '-e', `import '${other}'`])
    }

    await install(`${peer}@${manifest.peerDependencies[peer]}`)
  })
}

for (const subpath of subpaths) {
  test(`${subpath} is imported`, async () => {
    const code = `import * as part from '${subpath}'; console.log(Object.keys(part).join())`

    const imported = await node(['--input-type=module', '-e', code])

    // What is imported for what it does need not export anything.
    if (!subpath.endsWith('/observe')) assert.match(imported.stdout, /\w/)
    assert.equal(imported.stderr, '')
  })

  test(`${subpath} is required`, async () => {
    const named = await node([
      '--input-type=module',
      '-e',
      `import * as part from '${subpath}'; console.log(Object.keys(part).sort().join())`,
    ])

    const required = await node([
      '--input-type=commonjs',
      '-e',
      `console.log(Object.keys(require('${subpath}')).filter((key) => key !== '__esModule').sort().join())`,
    ])

    assert.equal(required.stdout, named.stdout)
  })
}

test('hasten/observe goes before the application by --import, and lets it end', async () => {
  const { stdout } = await node(['--import', 'hasten/observe', '-e', 'console.log("the app")'])

  assert.equal(stdout, 'the app\n')
})

test('npx hasten tells its commands, each command its options', async () => {
  const help = await npm(['exec', '--offline', '--', 'hasten', '--help'], folder)
  const doctor = await npm(['exec', '--offline', '--', 'hasten', 'doctor', '--help'], folder)
  const version = await npm(['exec', '--offline', '--', 'hasten', '--version'], folder)

  assert.match(help, /doctor/)
  assert.match(doctor, /--json/)
  assert.match(version, new RegExp(manifest.version.replaceAll('.', '\\.')))
})

async function install(what: string): Promise<void> {
  await npm(
    ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', what],
    folder,
  )
}

async function node(args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  return promisify(execFile)(process.execPath, args, { cwd: folder, timeout: END_MS })
}
