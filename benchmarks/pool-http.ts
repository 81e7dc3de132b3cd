/**
 * Speed through HTTP: Fastify, one row by id, 64 connections of which each has one request under way.
 *
 *   http-row     our pool against `pg.Pool` as commonly written; `none` is HTTP without a database
 *   story-pool   a connection for each request against our pool, as the story tells it
 */
import { type Claim, type Finding, rounded, type Scope } from './claim.ts'
import type { HttpSample } from './pool-http-load.ts'
import { type Competitor, contest, middle, rates, ratio, Worker } from './pool-rounds.ts'

const CONNECTIONS = 64

interface Served extends HttpSample {
  /** µs of the server's CPU per request. */
  readonly cpuUs: number
}

const perSecond = (sample: Served): number => sample.perSecond

export async function overHttp({ isQuick, url }: Scope): Promise<Finding> {
  const load = await Worker.start('pool-http-load.js', [])
  try {
    const names = ['hasten', 'hasten-again', 'pg', 'pg-named', 'postgres', 'none', 'connect']
    const ms = isQuick ? 250 : 700
    const result = await contest<Served>({
      names,
      rounds: isQuick ? 2 : 7,
      warmUps: isQuick ? 1 : 3,
      start: (name) => server(load, name, url, ms),
    })
    const times = ratio(result, 'hasten', 'pg', perSecond)
    const once = ratio(result, 'hasten', 'connect', perSecond)
    const isRight = ['hasten', 'pg', 'connect'].every((name) =>
      result.samples[name]?.every(({ wrong }) => wrong === 0),
    )
    const ms95 = (name: string): number => rounded(middle(result, name, ({ p95Ms }) => p95Ms))
    const mean = (name: string): number => rounded(middle(result, name, ({ meanMs }) => meanMs))
    const told = `mean ${mean('connect')} → ${mean('hasten')} ms, p95 ${ms95('connect')} → ${ms95('hasten')} ms`
    const claims: Claim[] = [
      {
        id: 'http-row',
        what: 'requests per second: Fastify, one row by id',
        ...rates(result, 'pg', 'pg.Pool, max 10, as commonly written'),
        goal: '>= 1.8 ×',
        met: times >= 1.8 && isRight,
      },
      {
        id: 'story-pool',
        what: `requests per second: a connection for each request, pooled: ${told}`,
        ...rates(result, 'connect', 'a connection for each request'),
        goal: '>= 3 × (the story)',
        met: once >= 3 && isRight,
      },
    ]
    const rows = names.map((name) => [
      name,
      Math.round(middle(result, name, perSecond)),
      rounded(ratio(result, name, 'hasten', perSecond)),
      mean(name),
      ms95(name),
      rounded(middle(result, name, ({ p99Ms }) => p99Ms)),
      rounded(middle(result, name, ({ cpuUs }) => cpuUs)),
      (result.samples[name] ?? []).reduce((sum, { wrong }) => sum + wrong, 0),
    ])
    const columns = ['per second', 'to hasten', 'mean ms', 'p95 ms', 'p99 ms', 'CPU µs', 'wrong']
    const what = `Fastify, one row by id, ${CONNECTIONS} connections`
    return { claims, tables: [{ what, columns, rows }] }
  } finally {
    await load.stop()
  }
}

async function server(
  load: Worker,
  name: string,
  url: string,
  ms: number,
): Promise<Competitor<Served>> {
  const child = await Worker.start('pool-http-server.js', [name, url])
  const { port } = child.hello as { port: number }
  return {
    async run() {
      const before = await child.ask<{ cpuUs: number }>({})
      const sample = await load.ask<HttpSample>({ port, connections: CONNECTIONS, ms })
      const { cpuUs } = await child.ask<{ cpuUs: number }>({})
      return { ...sample, cpuUs: (cpuUs - before.cpuUs) / Math.max(1, sample.requests) }
    },
    stop: () => child.stop(),
  }
}
