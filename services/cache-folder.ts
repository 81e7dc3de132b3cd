/**
 * Cache folder: where binaries are staged and data kept for the next run, outside of the checkout.
 *
 * PostgreSQL refuses to run as root, and an unprivileged user cannot enter a checkout of mode 0700
 * or `/root`. So for root the folder lies where everybody may read it; for others it is their own.
 */
import { chmodSync, mkdirSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'

export const isRoot: boolean = process.getuid?.() === 0

/** Who runs servers that refuse to be root: `nobody`. */
export const unprivileged = 65_534

export function cacheFolder(...parts: string[]): string {
  const base = process.env['HASTEN_CACHE'] ?? ownBase()
  mkdirSync(base, { recursive: true })
  if (isRoot) chmodSync(base, 0o755)
  const folder = join(base, ...parts)
  mkdirSync(folder, { recursive: true })
  return folder
}

function ownBase(): string {
  if (isRoot) return join('/var/tmp', 'hasten-cache')
  const home = process.env['XDG_CACHE_HOME'] ?? (homedir() === '' ? '' : join(homedir(), '.cache'))
  return home === ''
    ? join(tmpdir(), `hasten-cache-${process.getuid?.() ?? ''}`)
    : join(home, 'hasten')
}
