/** The sources of the package, each with what it imports. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root: string = fileURLToPath(new URL('../../../', import.meta.url))

export interface Source {
  /** As in the repository: `src/timing/span.ts`. */
  readonly path: string
  /** `timing`; of a file right below src its name: `index.ts`. */
  readonly folder: string
  readonly text: string
  /** Paths as `path` where relative, else as written. */
  readonly imports: readonly string[]
}

export function sources(): Source[] {
  return readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((file) => relative(root, file).split(sep).join('/'))
    .map((path) => {
      const text = readFileSync(join(root, path), 'utf8')
      return { path, folder: folderOf(path), text, imports: importsOf(path, text) }
    })
}

export function folderOf(path: string): string {
  return path.split('/')[1] ?? path
}

function importsOf(path: string, text: string): string[] {
  const isImport =
    /^\s*(?:import|export)\s[^'"`]*?from\s+'([^']+)'|^\s*import\s+'([^']+)'|\bimport\(\s*'([^']+)'/gm
  return [...text.matchAll(isImport)]
    .map((match) => match[1] ?? match[2] ?? match[3] ?? '')
    .map((name) => (name.startsWith('.') ? posix.join(dirname(path), name) : name))
}
