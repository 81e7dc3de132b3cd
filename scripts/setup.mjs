/**
 * Set-up for a fresh clone: dependencies where they are missing or older than the lock file, and a
 * build where it is older than the sources. Needs Node and npm alone, and says what it does on
 * stderr, so that stdout stays the caller's.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

/** @param {{ folder?: string }} [options] folder with a package.json of its own */
export function install({ folder = root } = {}) {
  const mark = join(folder, 'node_modules', '.package-lock.json')
  const lock = join(folder, 'package-lock.json')
  if (existsSync(mark) && statSync(mark).mtimeMs >= statSync(lock).mtimeMs) return
  run('npm', ['ci', '--no-audit', '--no-fund'], folder)
  // npm keeps the mark's time where nothing changed; the next start must not install again.
  if (existsSync(mark)) utimesSync(mark, new Date(), new Date())
}

export function build() {
  const mark = join(root, 'build', '.built')
  if (
    existsSync(mark) &&
    newest(['src', 'test', 'services', 'benchmarks']) <= statSync(mark).mtimeMs
  ) {
    return
  }
  const started = new Date()
  const manifest = createRequire(join(root, 'package.json')).resolve('typescript/package.json')
  const tsc = join(manifest, '..', 'bin', 'tsc')
  run(process.execPath, [tsc, '-p', 'tsconfig.json'])
  run(process.execPath, [tsc, '-p', 'tsconfig.test.json'])
  writeFileSync(mark, '')
  // What was saved while the compiler ran is newer than the build.
  utimesSync(mark, started, started)
}

export function setUp() {
  install()
  build()
}

/** Output to stderr; ends the process with the command's code where it fails. */
function run(command, args, cwd = root) {
  process.stderr.write(
    `> ${command === process.execPath ? 'tsc' : command} ${args.slice(command === process.execPath ? 1 : 0).join(' ')}\n`,
  )
  const { status, error } = spawnSync(command, args, {
    cwd,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  })
  if (error !== undefined) throw error
  if (status !== 0) process.exit(status ?? 1)
}

function newest(folders) {
  let time = statSync(join(root, 'package-lock.json')).mtimeMs
  for (const folder of folders) {
    const path = join(root, folder)
    if (!existsSync(path)) continue
    for (const entry of readdirSync(path, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || entry.parentPath.includes('node_modules')) continue
      time = Math.max(time, statSync(join(entry.parentPath, entry.name)).mtimeMs)
    }
  }
  return time
}
