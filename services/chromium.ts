/**
 * A Chromium for tests that look at pages: from the PATH, else unpacked from Debian. `path`, `args`
 * and `env` are what playwright-core's `launch` takes.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { isRoot } from './cache-folder.ts'
import { debianPackage } from './debian-package.ts'
import { onPath } from './program.ts'

export interface Chromium {
  readonly path: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/** @throws MissingService */
export async function findChromium(onProgress?: (what: string) => void): Promise<Chromium> {
  // Its sandbox refuses root, and wants user namespaces that containers do not give.
  const args = isRoot || existsSync('/.dockerenv') ? ['--no-sandbox'] : []
  const here = onPath('chromium') ?? onPath('chromium-browser') ?? onPath('google-chrome')
  if (here !== undefined) return { path: here, args, env: own() }
  const { root, env } = await debianPackage(['chromium'], onProgress)
  // What `/usr/bin/chromium` starts: that script knows its program by an absolute path. The
  // sandbox's helper must be root's and setuid, which what is unpacked here is not.
  return {
    path: join(root, 'usr/lib/chromium/chromium'),
    args: ['--no-sandbox'],
    env: { ...own(), ...env },
  }
}

function own(): Record<string, string> {
  const entries = Object.entries(process.env).filter((entry) => entry[1] !== undefined)
  return Object.fromEntries(entries) as Record<string, string>
}
