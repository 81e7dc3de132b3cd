/**
 * Cache folder: where binaries are staged and data kept for the next run, outside of the checkout.
 *
 * Servers refuse to run as root, and an unprivileged user cannot enter a checkout of mode 0700 or
 * `/root`. So for root the folder lies where everybody may enter, and belongs to root alone; for
 * others it is their own. `HASTEN_CACHE` names another one.
 */
import { chmodSync, lstatSync, mkdirSync, realpathSync, statSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

export const isRoot: boolean = process.getuid?.() === 0

/** Who runs servers that refuse to be root: `nobody`. */
export const unprivileged = 65_534

let base: string | undefined

export function cacheFolder(...parts: string[]): string {
  base ??= makeBase()
  const folder = join(base, ...parts)
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  return folder
}

function makeBase(): string {
  const given = process.env['HASTEN_CACHE']
  if (given !== undefined && given !== '') {
    const reason = refusal(resolve(given))
    if (reason === undefined) return resolve(given)
    throw new Error(`HASTEN_CACHE is ${given}, which ${reason}; name another folder`)
  }
  const reasons: string[] = []
  for (const candidate of candidates()) {
    const reason = refusal(candidate)
    if (reason === undefined) return candidate
    reasons.push(`${candidate} ${reason}`)
  }
  throw new Error(`no folder to keep binaries in: ${reasons.join('; ')}; name one by HASTEN_CACHE`)
}

function candidates(): string[] {
  const mine = `hasten-cache-${process.getuid?.() ?? 'user'}`
  const shared = [join('/var/tmp', mine), join(tmpdir(), mine)]
  if (isRoot) return shared
  const xdg = process.env['XDG_CACHE_HOME']
  if (xdg !== undefined && xdg !== '') return [join(xdg, 'hasten'), ...shared]
  return [join(homedir(), '.cache', 'hasten'), ...shared]
}

/** Makes the folder; says why it will not do. */
function refusal(folder: string): string | undefined {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o755 })
    const { uid } = lstatSync(folder)
    // In a folder where everybody may write, somebody else may have been there first.
    if (process.getuid !== undefined && uid !== process.getuid()) {
      return `belongs to user ${uid}`
    }
    if (isRoot) chmodSync(folder, 0o755)
    const wall = isRoot ? closedParent(realpathSync(folder)) : undefined
    return wall === undefined ? undefined : `cannot be entered by others (mode of ${wall})`
  } catch (error) {
    return `cannot be made: ${(error as Error).message}`
  }
}

function closedParent(folder: string): string | undefined {
  for (let at = folder; ; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return at
    if (at === dirname(at)) return undefined
  }
}
