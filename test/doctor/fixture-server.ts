/** Fixture server: a small real server of test/doctor/fixtures under observation, stopped after. */
import { readFileSync } from 'node:fs'
import http from 'node:http'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Target, type TargetOptions } from '#src/cli/target/index.js'

// Compiled tests lie in build/test/doctor; fixtures run where they were written.
const folder = fileURLToPath(new URL('../../../test/doctor/fixtures/', import.meta.url))

export function fixture(name: string): string {
  return `${folder}${name}`
}

/** `node <fixture> …`, observed until the test is over. */
export async function observe(
  t: TestContext,
  [name, ...args]: readonly [string, ...string[]],
  options: TargetOptions = {},
): Promise<Target> {
  return observeCommand(t, [process.execPath, fixture(name), ...args], options)
}

export async function observeCommand(
  t: TestContext,
  command: readonly string[],
  options: TargetOptions = {},
): Promise<Target> {
  const target = await Target.start(command, { readyTimeoutMs: 20_000, graceMs: 2_000, ...options })
  t.after(() => target.stop())
  return target
}

export interface Reply {
  readonly status: number
  readonly body: string
}

/** One request on a connection of its own; rejects when the server goes away. */
export function get(
  target: Target,
  path: string,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const [server] = target.listening
  return new Promise((resolve, reject) => {
    const request = http.get(
      { host: server?.host, port: server?.port, path, headers, agent: false, timeout: 20_000 },
      (response) => {
        let body = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          body += chunk
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
        response.on('error', reject)
      },
    )
    request.on('error', reject)
    request.on('timeout', () => request.destroy(new Error('no answer within 20 s')))
  })
}

/** Waits for a fact, with patience; fails with what was seen instead. */
export async function until<T>(what: string, look: () => T | undefined | false): Promise<T> {
  const deadline = performance.now() + 120_000
  for (;;) {
    const seen = look()
    if (seen !== undefined && seen !== false) return seen
    if (performance.now() > deadline) throw new Error(`not within 120 s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Running, and not a zombie that nobody has collected. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  if (process.platform !== 'linux') return true
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z'
  } catch {
    return false
  }
}
