/**
 * `npm run bench -- <part> [--quick]`: runs `benchmarks/<part>.bench.ts`, whose arguments are what
 * follows. Competitors are dependencies of `benchmarks/package.json`, installed when first asked
 * for. Without a part it says which there are; `--check` only compiles them.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, lstatSync, readdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { build, install, root, setUp } from './setup.mjs'

const folder = join(root, 'benchmarks')
const suffix = '.bench.ts'
const parts = readdirSync(folder)
  .filter((name) => name.endsWith(suffix))
  .map((name) => name.slice(0, -suffix.length))

const [part, ...rest] = process.argv.slice(2)
if (part !== '--check' && !parts.includes(part)) {
  const said = part === undefined ? '' : `there is no benchmark ${JSON.stringify(part)}\n`
  process.stderr.write(`${said}usage: npm run bench -- <${parts.join(' | ')}> [--quick]\n`)
  process.exit(part === undefined ? 0 : 1)
}

setUp()
install({ folder })
build({ projects: ['tsconfig.bench.json'], folders: ['benchmarks'], name: '.built-benchmarks' })
linkDependencies()
if (part !== '--check') {
  const file = join(root, 'build', 'benchmarks', `${part}.bench.js`)
  const child = spawn(process.execPath, ['--enable-source-maps', file, ...rest], {
    cwd: root,
    stdio: 'inherit',
  })
  // Ctrl-C reaches the benchmark by itself, which stops what it started.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  const [code] = await once(child, 'exit')
  process.exitCode = code ?? 1
}

/** Compiled files lie in `build/`, and Node looks for packages from where a file lies. */
function linkDependencies() {
  const link = join(root, 'build', 'benchmarks', 'node_modules')
  if (existsSync(link) || lstatSync(link, { throwIfNoEntry: false }) !== undefined) return
  symlinkSync(join('..', '..', 'benchmarks', 'node_modules'), link, 'junction')
}
