/**
 * pgbench, PostgreSQL's own load generator in C: the most that a client can get out of the server.
 *
 * From the PATH, from where Debian keeps the versions of PostgreSQL, or unpacked from Debian
 * (debian-package.ts); the binaries from npm have none. Any version speaks to any server.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { debianPackage } from './debian-package.ts'
import { MissingService } from './missing-service.ts'
import { onPath, type Program } from './program.ts'

export interface PgbenchOptions {
  readonly program: Program
  /** Of a server that asks for a password or trusts. */
  readonly url: string
  /** Statements and `\set` lines of one transaction. */
  readonly script: string
  /** Connections, each with one transaction under way. */
  readonly clients: number
  /** @default 1 */
  readonly threads?: number
  /** Of each client. */
  readonly transactions: number
}

export interface Pgbench {
  readonly perSecond: number
  readonly meanMs: number
  readonly failed: number
}

const VERSIONS = 'usr/lib/postgresql'

/** @throws MissingService */
export async function pgbenchProgram(onProgress?: (what: string) => void): Promise<Program> {
  // What Debian has on the PATH is a Perl script that looks for the right version each time.
  const here = newest('/') ?? onPath('pgbench')
  if (here !== undefined) return { path: here, env: {} }
  const { root, env } = await debianPackage(['postgresql'], onProgress)
  const path = newest(root)
  if (path === undefined) {
    throw new MissingService('pgbench', 'it is not in the package postgresql', 'Install it')
  }
  return { path, env }
}

/** Prepared statements (`-M prepared`), no vacuum. */
export async function pgbench(options: PgbenchOptions): Promise<Pgbench> {
  const { program, url, script, clients, threads = 1, transactions } = options
  const { hostname, port, username, password, pathname } = new URL(url)
  const folder = mkdtempSync(join(tmpdir(), 'pgbench-'))
  try {
    const file = join(folder, 'script.sql')
    writeFileSync(file, script)
    const args = [
      ['-n', '-M', 'prepared', '-f', file, '-h', hostname, '-p', port, '-U', username],
      ['-c', clients, '-j', threads, '-t', transactions, pathname.slice(1)],
    ].flat()
    const { stdout } = await promisify(execFile)(program.path, args.map(String), {
      env: { ...program.env, PATH: process.env['PATH'], PGPASSWORD: password, LC_ALL: 'C' },
    })
    return {
      // Without the time that it takes to connect.
      perSecond: figure(stdout, /^tps = ([\d.]+)/m),
      meanMs: figure(stdout, /^latency average = ([\d.]+) ms/m),
      failed: figure(stdout, /^number of failed transactions: (\d+)/m),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function newest(root: string): string | undefined {
  const folder = join(root, VERSIONS)
  if (!existsSync(folder)) return undefined
  return readdirSync(folder)
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(folder, version, 'bin', 'pgbench'))
    .find((path) => existsSync(path))
}

function figure(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1]
  if (found === undefined) throw new Error(`pgbench says no ${pattern.source} in:\n${text}`)
  return Number(found)
}
