/**
 * Runs what depends on Node's version on each version we promise: hooks, timing, pool, package. Other
 * Nodes come from npm into the cache folder (374 MB together, so only when asked for).
 *
 *   node scripts/matrix.mjs            22 and 24
 *   node scripts/matrix.mjs 24
 *
 * The package `node` gets its binary by an install script, which may be forbidden; we ask for the
 * package with the binary itself.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { root, run, setUp } from './setup.mjs'

const tested = [
  'src/timing',
  'src/observe',
  'src/pool',
  'test/observe',
  'test/package',
  'test/pool/conformance',
  'test/pool/lanes',
]

setUp()
const { cacheFolder } = await import('../build/services/cache-folder.js')
const asked = process.argv.slice(2)
const versions = asked.length > 0 ? asked : ['22', '24']
const failed = versions.filter((version) => !passes(version))
if (failed.length > 0) {
  process.stderr.write(`failed on Node ${failed.join(' and ')}\n`)
  process.exitCode = 1
}

function passes(version) {
  const node = nodeOf(version)
  const only = tested.flatMap((part) => ['--only', part])
  process.stdout.write(
    `\nNode ${version}: ${spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout}`,
  )
  const { status } = spawnSync(
    process.execPath,
    [join(root, 'scripts', 'test.mjs'), '--node', node, ...only],
    {
      stdio: 'inherit',
      // What a test starts by name (npm, npx, node) is of the same version.
      env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` },
    },
  )
  return status === 0
}

function nodeOf(version) {
  const folder = cacheFolder('node', version)
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  const node = join(folder, 'node_modules', name, 'bin', 'node')
  if (existsSync(node)) return node
  const half = mkdtempSync(`${folder}.`)
  mkdirSync(half, { recursive: true })
  writeFileSync(join(half, 'package.json'), '{ "private": true }\n')
  run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', `${name}@${version}`], half)
  rmSync(folder, { recursive: true, force: true })
  renameSync(half, folder)
  return node
}
