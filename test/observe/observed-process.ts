/** Observed process: an app of test/observe/fixtures under `--import hasten/observe`, and its facts. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import http from 'node:http'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { RequestFacts, RouteFacts } from '#src/core/facts.js'
import type { ModuleInfo } from '#src/observe/modules.js'

// Compiled tests lie in build/test/observe; fixtures run where they were written.
const folder = fileURLToPath(new URL('../../../test/observe/fixtures/', import.meta.url))
const WAIT_MS = 20_000

export interface Facts {
  readonly routes: readonly RouteFacts[]
  readonly requests: readonly RequestFacts[]
  readonly failures: { readonly count: number; readonly first: readonly string[] }
  readonly modules: readonly ModuleInfo[]
}

export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

export interface StartOptions {
  /** @default esm */
  readonly format?: 'esm' | 'cjs'
  readonly libraries?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Before the fixture; replaces the hooks. */
  readonly preload?: readonly string[]
}

export const formats = ['esm', 'cjs'] as const

export function fixture(name: string): string {
  return `${folder}${name}`
}

export class ObservedProcess {
  readonly child: ChildProcess
  port = 0
  stderr = ''
  readonly #waiting: { of: string; resolve(message: unknown): void }[] = []
  readonly #messages: object[] = []

  constructor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.child = spawn(process.execPath, args, {
      env: { ...process.env, NODE_OPTIONS: '', ...env },
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    })
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr = (this.stderr + chunk.toString()).slice(-10_000)
    })
    this.child.on('message', (message: object) => {
      const index = this.#waiting.findIndex(({ of }) => of in message)
      if (index === -1) this.#messages.push(message)
      else this.#waiting.splice(index, 1)[0]?.resolve(message)
    })
  }

  static async start(
    t: TestContext,
    app: string,
    { format = 'esm', libraries = [], env = {}, preload = ['hasten/observe'] }: StartOptions = {},
  ): Promise<ObservedProcess> {
    const imports = [...preload, fixture('report.mjs')].flatMap((file) => ['--import', file])
    const loader = fixture(format === 'esm' ? 'load.mjs' : 'load.cjs')
    const started = new ObservedProcess([...imports, loader, app, ...libraries], env)
    t.after(() => started.stop())
    const { port } = (await started.message('port')) as { port: number }
    started.port = port
    return started
  }

  /** The next message with this field. */
  async message(of: string): Promise<unknown> {
    const index = this.#messages.findIndex((message) => of in message)
    if (index !== -1) return this.#messages.splice(index, 1)[0]
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`no message with ${of} in ${WAIT_MS} ms; stderr: ${this.stderr}`))
      }, WAIT_MS)
      this.child.once('exit', (code) => {
        reject(new Error(`exited with ${code}; stderr: ${this.stderr}`))
      })
      this.#waiting.push({
        of,
        resolve: (message) => {
          clearTimeout(timer)
          resolve(message)
        },
      })
    })
  }

  async get(path: string, options: http.RequestOptions = {}, body?: string): Promise<Answer> {
    return ask(this.port, path, options, body)
  }

  async post(path: string, value: unknown): Promise<Answer> {
    const headers = { 'content-type': 'application/json' }
    return ask(this.port, path, { method: 'POST', headers }, JSON.stringify(value))
  }

  /** Facts, once they satisfy `when`: a response arrives before its end is counted. */
  async facts(when: (facts: Facts) => boolean = () => true): Promise<Facts> {
    const until = Date.now() + WAIT_MS
    for (;;) {
      this.child.send({})
      const { facts } = (await this.message('facts')) as { facts: Facts }
      if (when(facts)) return facts
      assert.ok(Date.now() < until, `facts stayed ${JSON.stringify(facts, null, 1)}`)
    }
  }

  /** Facts of the one request of this route. */
  async request(route: string): Promise<RequestFacts> {
    const { requests } = await this.facts((facts) => facts.requests.some((r) => r.route === route))
    return requests.find((each) => each.route === route) as RequestFacts
  }

  /** `METHOD route` of everything counted, in order of names, once `count` requests are. */
  async routes(count: number): Promise<string[]> {
    const { routes } = await this.facts(
      (facts) => facts.routes.reduce((sum, each) => sum + each.requests, 0) >= count,
    )
    return routes.map(({ method, route }) => `${method} ${route}`).sort()
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const exit = new Promise((resolve) => this.child.once('exit', resolve))
    this.child.kill('SIGKILL')
    await exit
  }
}

export async function ask(
  port: number,
  path: string,
  options: http.RequestOptions = {},
  body?: string,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(
      { host: '127.0.0.1', port, path, agent: false, ...options },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          text += chunk
        })
        response.on('error', reject)
        response.on('end', () => {
          const { statusCode = 0, headers } = response
          resolve({ status: statusCode, headers, body: text })
        })
      },
    )
    request.on('error', reject)
    request.end(body)
  })
}
