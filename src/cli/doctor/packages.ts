/**
 * Packages: what an application stands on, by its package.json. It decides how a remedy is worded,
 * never whether something is found: an application that has Drizzle wants to read Drizzle.
 *
 * Read is the nearest package.json from the working folder upwards; what it names for development
 * alone does not count. One that is missing, too large or none says nothing.
 */
import { readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'

const MAX_BYTES = 1_000_000
const MAX_NAMES = 2_000

export function dependenciesOf(folder: string): string[] {
  for (let at = folder; ; at = dirname(at)) {
    const file = join(at, 'package.json')
    const names = read(file)
    if (names !== undefined) return names
    if (dirname(at) === at) return []
  }
}

/** Undefined where there is no such file. */
function read(file: string): string[] | undefined {
  let text: string
  try {
    if (statSync(file).size > MAX_BYTES) return []
    text = readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
  try {
    const { dependencies } = JSON.parse(text) as { dependencies?: unknown }
    if (typeof dependencies !== 'object' || dependencies === null) return []
    return Object.keys(dependencies).slice(0, MAX_NAMES)
  } catch {
    return []
  }
}
