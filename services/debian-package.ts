/**
 * Debian packages without installing them: what is not on this machine is downloaded and unpacked
 * into the cache folder, with the libraries that it needs and the system lacks. Nothing of the
 * user's system is touched, no service is started, and it needs no root.
 *
 *   <cache>/debian/<release>-<arch>/<package>/usr/bin/…       complete, by a rename at the end
 *   <cache>/debian/<release>-<arch>/lists/                    apt's, where the system has none
 *
 * apt itself says what is missing (`install --simulate`) and fetches it (`download`), so that
 * mirrors, proxies and signatures are as the machine has them. Its lists are the system's own; a
 * fresh container has none and an old one's point at files that are gone: then we fetch our own.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { arch, platform } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder } from './cache-folder.ts'
import { MissingService } from './missing-service.ts'

export interface DebianPackage {
  /** Stands for `/` in the package's own paths. */
  readonly root: string
  /** What a program in it needs to find its libraries. */
  readonly env: Readonly<Record<string, string>>
}

const COMMAND_MS = 300_000

/**
 * @param names the package first, then others that go with it
 * @throws MissingService where there is no apt, no such package, or no network
 */
export async function debianPackage(
  names: readonly [string, ...string[]],
  onProgress?: (what: string) => void,
): Promise<DebianPackage> {
  const [name] = names
  const home = cacheFolder('debian', `${release(name)}-${arch()}`)
  const root = join(home, name)
  if (!existsSync(root)) {
    onProgress?.(`fetching ${name} from Debian`)
    try {
      await unpack(names, root, [])
    } catch {
      try {
        await unpack(names, root, await ownLists(home))
      } catch (error) {
        throw missing(name, lastWords(error))
      }
    }
  }
  const folders = ['usr/lib', 'lib'].flatMap((lib) => [
    join(root, lib, multiarch()),
    join(root, lib),
  ])
  return { root, env: { LD_LIBRARY_PATH: folders.join(':') } }
}

async function unpack(
  names: readonly string[],
  root: string,
  options: readonly string[],
): Promise<void> {
  const simulated = await runApt(
    [...options, '--simulate', '--no-install-recommends', 'install', ...names],
    dirname(root),
  )
  const missingHere = [...simulated.matchAll(/^Inst (\S+) .*?\((\S+) /gm)]
  const wanted = missingHere
    // A C library other than the one that the system's loader belongs to would not even start.
    .filter(([, each]) => !/^libc(6|-bin)$/.test(each ?? ''))
    .map(([, each, version]) => `${each}=${version}`)
  // What is installed already is not "to be installed"; a program outside of the PATH may be.
  await unpackInto(root, wanted.length > 0 ? wanted : names, options)
}

/**
 * Exactly these packages.
 *
 * @param complete makes what else belongs to them, before the folder has its name
 */
export async function unpackInto(
  root: string,
  packages: readonly string[],
  options: readonly string[],
  complete?: (half: string) => void,
): Promise<void> {
  const debs = mkdtempSync(`${root}.debs-`)
  const half = mkdtempSync(`${root}.half-`)
  try {
    await runApt([...options, 'download', ...packages], debs)
    await run('sh', ['-c', 'for deb in *.deb; do dpkg -x "$deb" "$0" || exit; done', half], debs)
    complete?.(half)
    await run('chmod', ['-R', 'a+rX', half], debs)
    try {
      renameSync(half, root)
    } catch (error) {
      // Somebody else was faster.
      if (!existsSync(root)) throw error
    }
  } finally {
    rmSync(debs, { recursive: true, force: true })
    rmSync(half, { recursive: true, force: true })
  }
}

async function ownLists(home: string): Promise<string[]> {
  const options = listsIn(home)
  await runApt([...options, 'update'], home)
  return options
}

/** apt's options that make it keep its lists and what it fetches in `folder`, and `more` of them. */
export function listsIn(folder: string, more: readonly string[] = []): string[] {
  const [lists, archives] = [join(folder, 'lists'), join(folder, 'archives')]
  for (const each of [lists, archives]) mkdirSync(join(each, 'partial'), { recursive: true })
  return [
    `Dir::State::lists=${lists}`,
    `Dir::Cache=${archives}`,
    `Dir::Cache::archives=${archives}`,
    // apt reads as `_apt` what only we may read.
    'APT::Sandbox::User=',
    ...more,
  ].flatMap((option) => ['-o', option])
}

export function runApt(args: readonly string[], cwd: string): Promise<string> {
  return run('apt-get', args, cwd)
}

async function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  const { stdout } = await promisify(execFile)(command, args, {
    cwd,
    env: { ...process.env, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
    timeout: COMMAND_MS,
    maxBuffer: 2 ** 24,
  })
  return stdout
}

function release(name: string): string {
  return `${osRelease(name, 'ID')}-${osRelease(name, 'VERSION_ID')}`
}

/** `bookworm`; throws where this is no Debian to get `name` from. */
export function codename(name: string): string {
  return osRelease(name, 'VERSION_CODENAME')
}

function osRelease(name: string, key: string): string {
  if (platform() !== 'linux' || !existsSync('/usr/bin/apt-get') || !existsSync('/usr/bin/dpkg')) {
    throw missing(name, 'it is not on the PATH, and this is no Debian to get it from')
  }
  const text = readFileSync('/etc/os-release', 'utf8')
  return new RegExp(`^${key}="?([\\w.-]+)`, 'm').exec(text)?.[1] ?? 'unknown'
}

export function multiarch(): string {
  const names: Record<string, string> = { x64: 'x86_64', arm64: 'aarch64' }
  return `${names[arch()] ?? arch()}-linux-gnu`
}

export function missing(name: string, reason: string): MissingService {
  return new MissingService(name, reason, `Install it, on Debian by: apt-get install ${name}`)
}

/** What a command that failed said at the end. */
export function lastWords(error: unknown): string {
  const { stderr = '', message } = error as { stderr?: string; message: string }
  return stderr.trim().split('\n').at(-1) || message
}
