/**
 * Twins: the shop before and after, each on a database of its own, both made equal.
 *
 *   shop's data ──┬─ copy ─▶ twin_before ◀── examples/shop/before/server.js ◀─┐ the same
 *                 └─ copy ─▶ twin_after  ◀── examples/shop/after/server.js  ◀─┘ requests
 *
 * Only the time of day would tell them apart: an order is stamped with now(). In these databases a
 * schema before `pg_catalog` has a now() of its own, which moves on by a second with each order.
 * Everything else that is answered has to come out alike, to the byte: status, headers but for
 * `date`, body.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import pg from 'pg'

export interface Asked {
  readonly method?: 'GET' | 'POST'
  readonly path: string
  /** As it goes over the wire. */
  readonly body?: string
}

export interface Answer {
  readonly status: number
  /** `name: value`, in the order in which they came, without `date`. */
  readonly headers: readonly string[]
  readonly body: Buffer
}

export interface Difference {
  readonly asked: Asked
  readonly before: Answer
  readonly after: Answer
}

const root = new URL('../../../', import.meta.url)
const pathOf = (path: string) => fileURLToPath(new URL(path, root))
const sides = ['before', 'after'] as const
type Side = (typeof sides)[number]

const CLOCK = `
  CREATE SCHEMA clock;
  CREATE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    $$ SELECT timestamptz '2030-01-01Z' + (SELECT last_value FROM public.orders_id) * interval '1 second' $$`

export class ShopTwins {
  readonly #shop: Shop
  readonly #servers: Record<Side, Server>

  private constructor(shop: Shop, servers: Record<Side, Server>) {
    this.#shop = shop
    this.#servers = servers
  }

  /** Rejects with MissingService where there is no PostgreSQL. */
  static async start(): Promise<ShopTwins> {
    const { startShop } = (await import(pathToFileURL(pathOf('examples/shop/start.js')).href)) as {
      startShop: () => Promise<Shop>
    }
    const shop = await startShop()
    const started: Server[] = []
    try {
      await administer(shop, async (client) => {
        for (const side of sides) {
          await client.query(`DROP DATABASE IF EXISTS twin_${side} WITH (FORCE)`)
          // Written to the log instead, a copy of this size takes three times as long.
          await client.query(`CREATE DATABASE twin_${side} TEMPLATE postgres STRATEGY 'file_copy'`)
          await client.query(
            `ALTER DATABASE twin_${side} SET search_path = clock, pg_catalog, public`,
          )
        }
      })
      const servers = {} as Record<Side, Server>
      for (const side of sides) {
        const url = urlOf(shop, side)
        await withClient(url, (client) => client.query(CLOCK))
        servers[side] = await Server.start(side, { ...shop.env, DATABASE_URL: url })
        started.push(servers[side])
      }
      return new ShopTwins(shop, servers)
    } catch (error) {
      for (const server of started) await server.stop()
      await shop.stop()
      throw error
    }
  }

  /** Both sides get all of it, each `atOnce` of its own at a time. Answers stand in the order of asking. */
  async ask(
    requests: readonly Asked[],
    { atOnce }: { readonly atOnce: number },
  ): Promise<Difference[]> {
    const [before, after] = await Promise.all(
      sides.map((side) => this.#servers[side].askAll(requests, atOnce)),
    )
    return differencesOf(requests, before ?? [], after ?? [])
  }

  /** What one statement says in the database of each side, as text. */
  async query(sql: string): Promise<Record<Side, string>> {
    const said = {} as Record<Side, string>
    for (const side of sides) {
      const { rows } = await withClient(urlOf(this.#shop, side), (client) => client.query(sql))
      said[side] = JSON.stringify(rows)
    }
    return said
  }

  async stop(): Promise<void> {
    for (const side of sides) await this.#servers[side].stop()
    try {
      await administer(this.#shop, async (client) => {
        for (const side of sides) await client.query(`DROP DATABASE twin_${side} WITH (FORCE)`)
      })
    } finally {
      await this.#shop.stop()
    }
  }
}

export function differencesOf(
  requests: readonly Asked[],
  before: readonly Answer[],
  after: readonly Answer[],
): Difference[] {
  return requests.flatMap((asked, i) => {
    const [left, right] = [before[i], after[i]]
    if (left === undefined || right === undefined) {
      throw new Error(`no answer to ${wordsOf(asked)}`)
    }
    const isSame =
      left.status === right.status &&
      left.headers.join('\n') === right.headers.join('\n') &&
      left.body.equals(right.body)
    return isSame ? [] : [{ asked, before: left, after: right }]
  })
}

/** For a failing test: what was asked and what each said, the first of them in full. */
export function differenceWords(differences: readonly Difference[]): string {
  return differences
    .slice(0, 3)
    .map(({ asked, before, after }) =>
      [
        wordsOf(asked),
        ...Object.entries({ before, after }).map(
          ([side, { status, headers, body }]) =>
            `  ${side}: ${status} ${headers.join(', ')} ${body.toString().slice(0, 300)}`,
        ),
      ].join('\n'),
    )
    .join('\n')
}

function wordsOf({ method = 'GET', path, body = '' }: Asked): string {
  return `${method} ${path} ${body}`.trim()
}

interface Shop {
  readonly env: Readonly<Record<string, string>>
  stop(): Promise<void>
}

class Server {
  readonly #child: ChildProcess
  readonly #origin: string
  readonly #agent = new Agent({ keepAlive: true })

  private constructor(child: ChildProcess, origin: string) {
    this.#child = child
    this.#origin = origin
  }

  static async start(side: Side, env: NodeJS.ProcessEnv): Promise<Server> {
    const child = spawn(process.execPath, [pathOf(`examples/shop/${side}/server.js`)], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const lines = createInterface({ input: child.stdout })
    for await (const line of lines) {
      const origin = /http:\S+/.exec(line)?.[0]
      if (origin === undefined) continue
      child.stdout.resume()
      return new Server(child, origin)
    }
    throw new Error(`the server of ${side} ended before it listened`)
  }

  async askAll(requests: readonly Asked[], atOnce: number): Promise<Answer[]> {
    const answers: Answer[] = []
    let next = 0
    const worker = async (): Promise<void> => {
      while (next < requests.length) {
        const i = next++
        answers[i] = await this.#ask(requests[i] as Asked)
      }
    }
    await Promise.all(Array.from({ length: atOnce }, worker))
    return answers
  }

  async stop(): Promise<void> {
    this.#agent.destroy()
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    await gone
  }

  #ask({ method = 'GET', path, body }: Asked): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { 'content-type': 'application/json' }
      const request = httpRequest(
        new URL(path, this.#origin),
        { method, headers, agent: this.#agent, timeout: 60_000 },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () => {
            resolve({
              status: response.statusCode ?? 0,
              headers: headersOf(response.rawHeaders),
              body: Buffer.concat(chunks),
            })
          })
        },
      )
      request.on('timeout', () => request.destroy(new Error(`no answer to ${method} ${path}`)))
      request.on('error', reject)
      request.end(body)
    })
  }
}

function headersOf(raw: readonly string[]): string[] {
  const headers: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    if (raw[i]?.toLowerCase() !== 'date') headers.push(`${raw[i]}: ${raw[i + 1]}`)
  }
  return headers
}

function urlOf(shop: Shop, side: Side): string {
  const url = new URL(shop.env['DATABASE_URL'] ?? '')
  url.pathname = `/twin_${side}`
  return url.href
}

/** Copies are made from elsewhere: nobody may be connected to what is copied. */
async function administer(shop: Shop, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const url = new URL(shop.env['DATABASE_URL'] ?? '')
  url.pathname = '/template1'
  await withClient(url.href, work)
}

async function withClient<T>(
  connectionString: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
