/**
 * A standby of a PostgreSQL that `startPostgres` made: streams from it, refuses writes, and becomes a
 * primary by `pg_promote()`.
 *
 *   pg_backup_start ─▶ copy data/ ─▶ pg_backup_stop ─▶ backup_label ─▶ start with standby.signal
 *
 * That is the low-level way to take a base backup; the binaries from npm have no `pg_basebackup`.
 */
import {
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { cacheFolder, isRoot, unprivileged } from './cache-folder.ts'
import { type Postgres, startPostgres } from './postgres.ts'

export interface StandbyOptions {
  /** Lines of postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>
}

export async function startStandby(
  primary: Postgres,
  options: StandbyOptions = {},
): Promise<Postgres> {
  const folder = mkdtempSync(join(cacheFolder('run'), 'standby-'))
  try {
    await copyRunning(primary, folder)
    const { host, port, user, password } = primary
    const standby = await startPostgres({
      dataDir: folder,
      settings: {
        ...options.settings,
        primary_conninfo: `host=${host} port=${port} user=${user} password=${password}`,
      },
    })
    const follower: Postgres = {
      host: standby.host,
      user: standby.user,
      password: standby.password,
      dataDir: standby.dataDir,
      port: standby.port,
      url: (database) => standby.url(database),
      restart: (mode) => standby.restart(mode),
      async stop() {
        await standby.stop()
        rmSync(folder, { recursive: true, force: true })
      },
      async [Symbol.asyncDispose]() {
        await follower.stop()
      },
    }
    return follower
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
}

async function copyRunning(primary: Postgres, folder: string): Promise<void> {
  const data = join(folder, 'data')
  const client = new pg.Client({ connectionString: primary.url() })
  await client.connect()
  try {
    await client.query(`SELECT pg_backup_start('standby', true)`)
    copyTree(primary.dataDir, data)
    // The same session: the server ends a backup whose session ends.
    const { rows } = await client.query<{ labelfile: string }>(
      'SELECT labelfile FROM pg_backup_stop(false)',
    )
    write(join(data, 'backup_label'), rows[0]?.labelfile ?? '')
    write(join(data, 'standby.signal'), '')
    copyFileSync(join(dirname(primary.dataDir), 'secret'), join(folder, 'secret'))
    own(join(folder, 'secret'))
  } finally {
    await client.end()
  }
}

/** File by file: a running server removes some of them meanwhile. */
function copyTree(from: string, to: string): void {
  mkdirSync(to, { mode: 0o700 })
  own(to)
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (entry.name === 'postmaster.pid' || entry.name === 'postmaster.opts') continue
    const source = join(from, entry.name)
    const target = join(to, entry.name)
    if (entry.isDirectory()) copyTree(source, target)
    else if (existsSync(source)) {
      try {
        copyFileSync(source, target)
        own(target)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      }
    }
  }
}

function write(file: string, text: string): void {
  writeFileSync(file, text, { mode: 0o600 })
  own(file)
}

function own(path: string): void {
  if (isRoot) chownSync(path, unprivileged, unprivileged)
}
