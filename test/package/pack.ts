/** The package as npm would publish it. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root } from '../structure/sources.ts'

export const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly name: string
  readonly version: string
  readonly exports: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
}

/** `hasten/timing` and so on, without data files. */
export const subpaths: readonly string[] = Object.entries(manifest.exports)
  .filter(([, target]) => target.endsWith('.js'))
  .map(([subpath]) => `${manifest.name}${subpath.slice(1)}`)

export interface Packed {
  readonly tarball: string
  /** Paths inside. */
  readonly files: readonly string[]
  readonly bytes: number
}

export async function pack(folder: string): Promise<Packed> {
  const said = await npm(['pack', '--json', '--ignore-scripts', '--pack-destination', folder], root)
  // npm 12 gives an object by name, earlier ones a list.
  const [packed] = Object.values(JSON.parse(said) as Record<string, PackedJson>)
  if (packed === undefined) throw new Error(`npm pack said ${said}`)
  const { filename, files, size } = packed
  return { tarball: join(folder, filename), files: files.map(({ path }) => path), bytes: size }
}

interface PackedJson {
  readonly filename: string
  readonly size: number
  readonly files: readonly { readonly path: string }[]
}

export async function npm(args: readonly string[], cwd: string): Promise<string> {
  const isWindows = process.platform === 'win32'
  const { stdout } = await promisify(execFile)(isWindows ? 'npm.cmd' : 'npm', args, {
    cwd,
    shell: isWindows,
    maxBuffer: 2 ** 24,
    timeout: 240_000,
  })
  return stdout
}
