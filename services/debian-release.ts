/**
 * Packages of a Debian release other than the machine's, for programs that are wanted in a version
 * which this one does not have.
 *
 *   <cache>/debian/<codename>-<arch>/<package>/    the named packages, unpacked
 *       run-<program>                              starts it by the C library it was built for
 *
 * A newer program wants a newer C library than the system's, and a process can have only one: so the
 * release's loader comes along and starts the program with the release's libraries alone. Nothing is
 * installed and no list of the system is touched; mirror and proxy are those that apt has here. The
 * packages are named by the caller, with every library: what a package depends on is more than what
 * its program loads.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { arch } from 'node:os'
import { join } from 'node:path'
import { cacheFolder } from './cache-folder.ts'
import {
  codename,
  lastWords,
  listsIn,
  missing,
  multiarch,
  runApt,
  unpackInto,
} from './debian-package.ts'

export interface ForeignProgram {
  /** `trixie` */
  readonly release: string
  /** The package first, then the C library and each library that its program loads. */
  readonly packages: readonly [string, ...string[]]
  /** Inside the package. */
  readonly path: string
}

/**
 * @returns the path of a script that is the program
 * @throws MissingService where there is no apt, no such release, or no network
 */
export async function foreignProgram(
  { release, packages, path }: ForeignProgram,
  onProgress?: (what: string) => void,
): Promise<string> {
  const [name] = packages
  // Refuses what is no Debian, which has no keys to trust another Debian by.
  codename(name)
  const home = cacheFolder('debian', `${release}-${arch()}`)
  const root = join(home, name)
  const script = join(root, `run-${path.slice(path.lastIndexOf('/') + 1)}`)
  if (existsSync(script)) return script
  onProgress?.(`fetching ${name} from Debian ${release}`)
  // For us alone: apt lets one process at a time write lists, and refuses the second.
  const own = mkdtempSync(join(home, 'apt-'))
  try {
    await unpackInto(root, packages, await lists(release, own), (half) => {
      // Up to Debian 12 the C library lies in /lib, which was not yet a part of /usr.
      const folders = ['usr/lib', 'lib'].map((lib) => join(lib, multiarch()))
      const home = folders.find((lib) => existsSync(join(half, lib, loader())))
      if (home === undefined) throw new Error(`${loader()} is in none of its packages`)
      const libraries = folders.map((lib) => `$here/${lib}`).join(':')
      // `"$(dirname "$0")"`: the folder is moved into its place once it is complete.
      const text = `#!/bin/sh
here="$(dirname "$0")"
exec "$here/${home}/${loader()}" --library-path "${libraries}" "$here/${path}" "$@"
`
      writeFileSync(join(half, script.slice(root.length)), text, { mode: 0o755 })
    })
  } catch (error) {
    throw missing(name, `${release} has it, but ${lastWords(error)}`)
  } finally {
    rmSync(own, { recursive: true, force: true })
  }
  return script
}

/** apt's options that make it see this release alone, as on a machine where nothing is installed. */
async function lists(release: string, folder: string): Promise<string[]> {
  const [sources, status] = [join(folder, 'sources.list'), join(folder, 'status')]
  writeFileSync(sources, `deb ${trust()}${await mirror(folder)} ${release} main\n`)
  writeFileSync(status, '')
  const options = listsIn(folder, [
    `Dir::Etc::sourcelist=${sources}`,
    'Dir::Etc::sourceparts=-',
    `Dir::State::status=${status}`,
  ])
  await runApt([...options, 'update', '--error-on=any'], folder)
  return options
}

/** Where this machine gets its own Debian from. */
async function mirror(cwd: string): Promise<string> {
  const targets = await runApt(['indextargets', '--format', '$(REPO_URI)'], cwd)
  const own = targets.split('\n').find((uri) => /\/debian\/?$/.test(uri))
  return own ?? 'http://deb.debian.org/debian'
}

function trust(): string {
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg'
  return existsSync(keys) ? `[signed-by=${keys}] ` : ''
}

function loader(): string {
  return arch() === 'arm64' ? 'ld-linux-aarch64.so.1' : 'ld-linux-x86-64.so.2'
}
