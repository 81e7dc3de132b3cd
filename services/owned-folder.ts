/**
 * Owned folder: the folder of one server, and who may use it at the moment.
 *
 *   <cache>/run/<kind>-XXXXXX/     temporary, removed with its server
 *   <cache>/data/<name>[.2 …]/     kept for the next run of that name
 *       owner                      { pid, started } of the Node process that uses it
 *       server                     { pid, started } of the server that runs on it
 *
 * Two checkouts may run at once: a kept folder in use is left alone, and the next number is taken. A
 * process that was killed leaves folder and server behind. Whoever starts next finds an owner that
 * lives no more, ends the server if it is still the one written down, and has the folder for itself.
 * Of the kept folders that nobody uses, the newest few stay.
 */
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { cacheFolder, isRoot, unprivileged } from './cache-folder.ts'
import { processIdentity } from './process-identity.ts'

const MAX_SLOTS = 16
const MAX_KEPT = 6
const YOUNG_MS = 60_000
const LEFT_OVER_MS = 15_000

export class OwnedFolder {
  readonly path: string
  readonly isKept: boolean

  private constructor(path: string, isKept: boolean) {
    this.path = path
    this.isKept = isKept
  }

  static temporary(kind: string): OwnedFolder {
    sweep()
    const path = mkdtempSync(join(cacheFolder('run'), `${kind}-`))
    claim(path)
    return new OwnedFolder(path, false)
  }

  static kept(name: string): OwnedFolder {
    sweep()
    for (let slot = 1; slot <= MAX_SLOTS; slot++) {
      const path = join(cacheFolder('data'), slot === 1 ? name : `${name}.${slot}`)
      mkdirSync(path, { recursive: true, mode: 0o700 })
      if (!claim(path)) continue
      prune()
      return new OwnedFolder(path, true)
    }
    throw new Error(`${MAX_SLOTS} processes use the data of ${name}: end some of them`)
  }

  /** A folder of the caller's own choice; throws where a living process uses it. */
  static at(path: string): OwnedFolder {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    if (!claim(path))
      throw new Error(`${path} is in use by process ${readMark(path, 'owner')?.pid}`)
    return new OwnedFolder(path, true)
  }

  /** To whom the servers belong that are started here. */
  give(path: string = this.path): void {
    if (isRoot) chownSync(path, unprivileged, unprivileged)
    if (path === this.path) chmodSync(path, 0o700)
  }

  noteServer(pid: number): void {
    writeMark(join(this.path, 'server'), pid)
  }

  release(): void {
    rmSync(join(this.path, 'server'), { force: true })
    if (this.isKept) rmSync(join(this.path, 'owner'), { force: true })
    else rmSync(this.path, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 })
  }
}

interface Mark {
  readonly pid: number
  readonly started: string
}

/** Folders of processes that were killed. */
function sweep(): void {
  const run = cacheFolder('run')
  for (const name of readdirSync(run)) {
    const folder = join(run, name)
    try {
      const owner = readMark(folder, 'owner')
      // One that is being made at this moment has no owner yet.
      if (owner === undefined && Date.now() - statSync(folder).mtimeMs < YOUNG_MS) continue
      if (owner !== undefined && lives(owner)) continue
      endServer(folder)
      rmSync(folder, { recursive: true, force: true })
    } catch {
      // Somebody else sweeps it.
    }
  }
}

/** Those that were used least recently: each start and stop changes the folder itself. */
function prune(): void {
  const data = cacheFolder('data')
  const idle = readdirSync(data)
    .map((name) => join(data, name))
    .map((path) => ({ path, at: statSync(path).mtimeMs, owner: readMark(path, 'owner') }))
    .filter(({ owner }) => owner === undefined || !lives(owner))
    .sort((a, b) => b.at - a.at)
  for (const { path } of idle.slice(MAX_KEPT)) {
    if (claim(path)) rmSync(path, { recursive: true, force: true })
  }
}

/**
 * By a hard link, which is made by one of two at the same time. An owner that is dead is taken away
 * by a rename, and looked at once more: another process may have done the same a moment before.
 */
function claim(folder: string): boolean {
  const suffix = `${process.pid}.${randomBytes(4).toString('hex')}`
  const owner = join(folder, 'owner')
  const own = join(folder, `owner.${suffix}`)
  const away = join(folder, `away.${suffix}`)
  writeMark(own, process.pid)
  try {
    for (;;) {
      if (tryTo(() => linkSync(own, owner))) break
      const holder = readMark(folder, 'owner')
      if (holder !== undefined && lives(holder)) return false
      if (!tryTo(() => renameSync(owner, away))) continue
      const taken = readMark(folder, `away.${suffix}`)
      if (taken === undefined || !lives(taken)) continue
      tryTo(() => linkSync(away, owner))
      return false
    }
  } finally {
    rmSync(own, { force: true })
    rmSync(away, { force: true })
  }
  endServer(folder)
  return true
}

function endServer(folder: string): void {
  const server = readMark(folder, 'server')
  if (server === undefined) return
  if (lives(server)) {
    process.kill(server.pid, 'SIGQUIT')
    if (!waitUntilGone(server.pid, LEFT_OVER_MS)) process.kill(server.pid, 'SIGKILL')
  }
  rmSync(join(folder, 'server'), { force: true })
}

/** Blocks the process: for the moment of its end, and for what somebody else left behind. */
export function waitUntilGone(pid: number, limitMs: number): boolean {
  const sleeper = new Int32Array(new SharedArrayBuffer(4))
  const deadline = performance.now() + limitMs
  while (processIdentity(pid) !== undefined) {
    if (performance.now() > deadline) return false
    Atomics.wait(sleeper, 0, 0, 5)
  }
  return true
}

function lives({ pid, started }: Mark): boolean {
  return processIdentity(pid) === started
}

function writeMark(file: string, pid: number): void {
  writeFileSync(file, JSON.stringify({ pid, started: processIdentity(pid) }), { mode: 0o600 })
}

function readMark(folder: string, name: string): Mark | undefined {
  const file = join(folder, name)
  if (!existsSync(file)) return undefined
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Mark
  } catch {
    return undefined
  }
}

function tryTo(action: () => void): boolean {
  try {
    action()
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' || code === 'ENOENT') return false
    throw error
  }
}
