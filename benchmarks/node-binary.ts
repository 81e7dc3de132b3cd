/**
 * Node of another line, from npm, in the cache folder: the same place that `scripts/matrix.mjs` uses.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder } from '#services/cache-folder.js'

const run = promisify(execFile)

/** `version` is a major; the running Node is taken where it is of that line. */
export async function nodeBinary(version: string): Promise<string> {
  if (process.versions.node.startsWith(`${version}.`)) return process.execPath
  const folder = cacheFolder('node', version)
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
  const node = join(folder, 'node_modules', name, 'bin', 'node')
  if (existsSync(node)) return node
  // Made beside it and renamed, so that what is there is whole.
  const half = mkdtempSync(`${folder}.`)
  writeFileSync(join(half, 'package.json'), '{ "private": true }\n')
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', `${name}@${version}`]
  await run('npm', args, { cwd: half })
  rmSync(folder, { recursive: true, force: true })
  renameSync(half, folder)
  return node
}
