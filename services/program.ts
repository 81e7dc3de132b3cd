/**
 * A program of somebody else's: from the PATH, else unpacked from Debian.
 */
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { debianPackage } from './debian-package.ts'

export interface Program {
  readonly path: string
  /** Beside whatever else it gets. */
  readonly env: Readonly<Record<string, string>>
}

export interface ProgramSource {
  /** Any of these on the PATH will do. */
  readonly names: readonly string[]
  readonly packages: readonly [string, ...string[]]
  /** Inside the package. */
  readonly path: string
}

export async function findProgram(
  { names, packages, path }: ProgramSource,
  onProgress?: (what: string) => void,
): Promise<Program> {
  const here = names.map(onPath).find((found) => found !== undefined)
  if (here !== undefined) return { path: here, env: {} }
  const { root, env } = await debianPackage(packages, onProgress)
  return { path: join(root, path), env }
}

export function onPath(name: string): string | undefined {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      if (folder !== '' && statSync(path).isFile()) return path
    } catch {
      // Not in this one.
    }
  }
  return undefined
}
