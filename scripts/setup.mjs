/**
 * Set-up for a fresh clone: dependencies where they are missing or other than the lock file's, and a
 * build where it is older than the sources. Needs Node and npm alone, and says what it does on
 * stderr, so that stdout stays the caller's.
 *
 * Install scripts may be forbidden (`--ignore-scripts`, npm 12): nothing here relies on them.
 */
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`hasten needs Node 20.19 or newer, this is ${process.version}\n`)
  process.exit(1)
}

/**
 * By what the lock file says, not by its age: git gives every file the time of the checkout. A
 * `node_modules` that is a link belongs to another checkout, and `npm ci` would empty it there.
 *
 * @param {{ folder?: string }} [options] folder with a package.json of its own
 */
export function install({ folder = root } = {}) {
  const modules = join(folder, 'node_modules')
  if (lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink()) return
  if (isInstalled(folder)) return
  run('npm', ['ci', '--include=dev', '--prefer-offline', '--no-audit', '--no-fund'], folder)
}

/** npm writes down what it installed: the lock file, less what is for other platforms. */
function isInstalled(folder) {
  const installed = packagesOf(join(folder, 'node_modules', '.package-lock.json'))
  const wanted = packagesOf(join(folder, 'package-lock.json'))
  if (installed === undefined || wanted === undefined) return false
  return Object.entries(wanted).every(([path, { version, optional, devOptional, peer }]) => {
    const isOptional = optional || devOptional || peer
    return (
      path === '' || (installed[path]?.version ?? (isOptional ? version : undefined)) === version
    )
  })
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages
  } catch {
    return undefined
  }
}

/**
 * What was built from sources that are gone is removed with them. A build that fails leaves no mark,
 * so that the next call tries again.
 *
 * @param {{ projects?: string[], folders?: string[], name?: string }} [options]
 */
export function build({
  projects = ['tsconfig.json', 'tsconfig.test.json'],
  folders = ['src', 'test', 'services'],
  name = '.built',
} = {}) {
  const mark = join(root, 'build', name)
  if (existsSync(mark) && newest([...folders, ...projects]) <= statSync(mark).mtimeMs) return
  const started = new Date()
  rmSync(mark, { force: true })
  for (const project of projects) {
    run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', project])
  }
  for (const folder of folders) removeOrphans(folder)
  mkdirSync(dirname(mark), { recursive: true })
  writeFileSync(mark, '')
  // What was saved while the compiler ran is newer than the build.
  utimesSync(mark, started, started)
}

export function setUp() {
  install()
  build()
}

/** Output to stderr; ends the process with the command's code where it fails. */
export function run(command, args, cwd = root) {
  const said = command === process.execPath ? ['node', ...args] : [command, ...args]
  process.stderr.write(`> ${said.join(' ').replaceAll(root, '')}\n`)
  const { status, error } = spawnSync(command, args, {
    cwd,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32' && command === 'npm',
  })
  if (error !== undefined) throw error
  if (status !== 0) process.exit(status ?? 1)
}

/** Every file below a folder of the checkout, but for what was installed there. */
export function filesBelow(folder) {
  const path = join(root, folder)
  if (!existsSync(path)) return []
  if (statSync(path).isFile()) return [path]
  return readdirSync(path, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules') return []
    const below = join(folder, entry.name)
    return entry.isDirectory() ? filesBelow(below) : [join(root, below)]
  })
}

function newest(folders) {
  const files = folders.flatMap(filesBelow)
  // A folder's own time tells of files that were removed.
  const all = [join(root, 'package-lock.json'), ...files, ...files.map((file) => dirname(file))]
  return Math.max(...[...new Set(all)].map((file) => statSync(file).mtimeMs))
}

function removeOrphans(folder) {
  const [from, into] = folder === 'src' ? ['src', 'dist'] : [folder, join('build', folder)]
  const compiled = /\.(js|d\.ts)(\.map)?$/
  for (const file of filesBelow(into).filter((each) => compiled.test(each))) {
    const stem = file.slice(join(root, into).length).replace(compiled, '')
    if (!existsSync(join(root, from, `${stem}.ts`))) rmSync(file)
  }
}
