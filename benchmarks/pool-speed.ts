/**
 * Speed of statements: by key with 64 and 512 callers, with a tenth that fails, beside a slow neighbour,
 * and of borrowing a connection. What each client is stands in pool-clients.ts, how they are compared in
 * pool-rounds.ts.
 *
 * postgres.js counts with the better of its two limits, pgbench with the better of one and two threads,
 * on as many connections as the pools have.
 */
import { pgbench, pgbenchProgram } from '#services/pgbench.js'
import { type Claim, type Finding, rounded, type Scope, type Table } from './claim.ts'
import { CONNECTIONS, KEYS } from './pool-clients.ts'
import {
  type Competitor,
  type Contest,
  contest,
  middle,
  rates,
  ratio,
  Worker,
} from './pool-rounds.ts'
import type { Sample, Task } from './pool-worker.ts'

const SCRIPT = `\\set key random(1, ${KEYS})
SELECT id, name, price FROM product WHERE id = :key;
`
const POSTGRES_JS = ['postgres', 'postgres-4']
const PGBENCH = ['pgbench', 'pgbench, 2 threads']
const CONTROL = 'hasten-again'
/** Equals that differ by more say that nothing can be decided here. */
const MOST_DRIFT = 0.1

const perSecond = (sample: Sample): number => sample.perSecond
const p99Ms = (sample: Sample): number => sample.p99Ms

export async function byKey(scope: Scope, callers: 64 | 512): Promise<Finding> {
  const { isQuick } = scope
  const names = ['hasten', CONTROL, 'pg', 'pg-named', ...POSTGRES_JS, 'naive']
  if (callers === 64) names.push(...PGBENCH)
  const ms = isQuick ? 250 : 700
  const result = await contest({
    names,
    rounds: isQuick ? 2 : 9,
    warmUps: isQuick ? 1 : 2,
    start: (name) =>
      name.startsWith('pgbench')
        ? ofPgbench(scope, ms, name === 'pgbench' ? 1 : 2)
        : worker(scope, name, { do: 'keys', callers, ms }),
  })
  const what = `one row by key, ${callers} callers`
  const js = best(result, POSTGRES_JS)
  const small = callers === 64
  const claims = [
    faster(result, small ? 'by-key-64' : 'by-key-512', what, 'pg', small ? 3 : 2.5),
    faster(result, small ? 'vs-postgresjs' : 'vs-postgresjs-512', what, js, small ? 2 : 1.2),
    quicker(result, small ? 'p99-64' : 'p99-512', what, ['pg', ...POSTGRES_JS]),
  ]
  if (small) claims.push(faster(result, 'vs-pgbench', what, best(result, PGBENCH), 0.8))
  return { claims, tables: [table(what, result)] }
}

export async function errors(scope: Scope): Promise<Finding> {
  const { isQuick } = scope
  const result = await contest({
    names: ['hasten', CONTROL, 'pg', 'pg-named', 'postgres', 'naive'],
    rounds: isQuick ? 2 : 7,
    warmUps: 1,
    start: (name) => worker(scope, name, { do: 'errors', callers: 64, ms: isQuick ? 250 : 700 }),
  })
  const what = '64 callers, 10 % of the statements a unique violation'
  return { claims: [faster(result, 'errors', what, 'pg', 10)], tables: [table(what, result)] }
}

export async function acquire(scope: Scope): Promise<Finding> {
  const { isQuick } = scope
  const result = await contest({
    names: ['hasten', CONTROL, 'pg'],
    rounds: isQuick ? 7 : 25,
    warmUps: 2,
    start: (name) => worker(scope, name, { do: 'acquire', times: isQuick ? 10_000 : 40_000 }),
  })
  const what = 'connect() and release(), one after the other'
  const us = (sample: Sample): number => 1e6 / sample.perSecond
  const times = ratio(result, 'hasten', 'pg', us)
  const claim: Claim = {
    id: 'acquire',
    what,
    measured: rounded(middle(result, 'hasten', us)),
    unit: 'µs',
    peer: 'pg.Pool',
    peerMeasured: rounded(middle(result, 'pg', us)),
    ratio: rounded(times),
    goal: '<= 1 ×',
    met: times <= 1,
  }
  return { claims: [claim], tables: [table(what, result)] }
}

interface Pair {
  readonly without: Sample
  readonly beside: Sample
}

/** A rate at which three of ten connections sleep on average: all of them can serve it. */
const MIX_PER_SECOND = 3_000

export async function slowNeighbour(scope: Scope): Promise<Finding> {
  const { isQuick } = scope
  const names = ['hasten', 'pg', 'postgres', 'naive']
  const ms = isQuick ? 300 : 1_200
  const result = await contest<Pair>({
    names,
    rounds: isQuick ? 2 : 15,
    warmUps: 1,
    start: async (name) => {
      const child = await Worker.start('pool-worker.js', [name, scope.url])
      let seed = 0
      const ask = (hasSlow: boolean): Promise<Sample> =>
        child.ask({ do: 'mix', perSecond: MIX_PER_SECOND, hasSlow, ms, seed } satisfies Task)
      return {
        run: async () => {
          // In turns, so that neither is always the first.
          if (seed++ % 2 === 0) {
            const without = await ask(false)
            return { without, beside: await ask(true) }
          }
          const beside = await ask(true)
          return { beside, without: await ask(false) }
        },
        stop: () => child.stop(),
      }
    },
  })
  const what = `p99 of the fast ones of ${MIX_PER_SECOND}/s with 1 % of 100 ms, to without those`
  const times = ({ without, beside }: Pair): number => beside.p99Ms / without.p99Ms
  const own = middle(result, 'hasten', times)
  const claim: Claim = {
    id: 'slow-neighbour',
    what: `${what}; naive pipelining ${rounded(middle(result, 'naive', times))} ×`,
    measured: rounded(own),
    unit: '×',
    peer: 'pg.Pool',
    peerMeasured: rounded(middle(result, 'pg', times)),
    ratio: rounded(middle(result, 'pg', times) / own),
    goal: '<= 1.2 ×',
    met: own <= 1.2 && wrongRows(result, 'hasten', (pair) => pair.beside.wrong) === 0,
  }
  const rows = names.map((name) => [
    name,
    rounded(middle(result, name, (pair) => pair.without.p99Ms)),
    rounded(middle(result, name, (pair) => pair.beside.p99Ms)),
    rounded(middle(result, name, (pair) => pair.beside.p50Ms)),
    rounded(middle(result, name, times)),
  ])
  const columns = ['p99 without ms', 'p99 beside ms', 'p50 beside ms', 'ratio']
  return { claims: [claim], tables: [{ what, columns, rows }] }
}

export async function worker(scope: Scope, name: string, task: Task): Promise<Competitor<Sample>> {
  const child = await Worker.start('pool-worker.js', [name, scope.url])
  return { run: () => child.ask<Sample>(task), stop: () => child.stop() }
}

/** Asked for a number of statements, which is what takes about `ms` by its last run. */
async function ofPgbench(scope: Scope, ms: number, threads: number): Promise<Competitor<Sample>> {
  const program = await pgbenchProgram()
  let transactions = 500
  return {
    async run() {
      const { url } = scope
      const clients = CONNECTIONS
      const told = await pgbench({ program, url, script: SCRIPT, clients, threads, transactions })
      transactions = Math.ceil((told.perSecond * ms) / 1000 / clients)
      const none = Number.NaN
      return { ...told, p50Ms: none, p95Ms: none, p99Ms: none, cpuUs: none, wrong: told.failed }
    },
    stop: () => Promise.resolve(),
  }
}

function best(result: Contest<Sample>, names: readonly string[]): string {
  const speed = (name: string): number => middle(result, name, perSecond)
  return names.reduce((left, right) => (speed(right) > speed(left) ? right : left))
}

function faster(
  result: Contest<Sample>,
  id: string,
  what: string,
  peer: string,
  goal: number,
): Claim {
  const times = ratio(result, 'hasten', peer, perSecond)
  const { note, isVoid } = drift(result)
  return {
    id,
    what: `statements per second: ${what}${note}`,
    ...rates(result, peer, titled(peer)),
    goal: `>= ${goal} ×`,
    met: times >= goal && !isVoid && wrongRows(result, 'hasten', ({ wrong }) => wrong) === 0,
  }
}

/** Against the peer that comes closest. */
function quicker(
  result: Contest<Sample>,
  id: string,
  what: string,
  peers: readonly string[],
): Claim {
  const times = (name: string): number => ratio(result, 'hasten', name, p99Ms)
  const peer = peers.reduce((left, right) => (times(right) > times(left) ? right : left))
  return {
    id,
    what: `p99: ${what}`,
    measured: rounded(middle(result, 'hasten', p99Ms)),
    unit: 'ms',
    peer: titled(peer),
    peerMeasured: rounded(middle(result, peer, p99Ms)),
    ratio: rounded(times(peer)),
    goal: `< 1 × (of ${peers.map(titled).join(', ')})`,
    met: times(peer) < 1,
  }
}

function drift(result: Contest<Sample>): { note: string; isVoid: boolean } {
  const control = ratio(result, 'hasten', CONTROL, perSecond)
  const isVoid = Math.abs(control - 1) > MOST_DRIFT
  return { note: isVoid ? ` (void: equals differ by ${rounded(control)} ×)` : '', isVoid }
}

function wrongRows<S>({ samples }: Contest<S>, name: string, of: (sample: S) => number): number {
  return (samples[name] ?? []).reduce((sum, sample) => sum + of(sample), 0)
}

export function table(what: string, result: Contest<Sample>): Table {
  const rows = result.names.map((name) => {
    const wrong = wrongRows(result, name, (sample) => sample.wrong)
    return [
      wrong === 0 ? name : `${name} (WRONG ROWS)`,
      Math.round(middle(result, name, perSecond)),
      rounded(ratio(result, name, 'hasten', perSecond)),
      ...[
        middle(result, name, (sample) => sample.p50Ms),
        middle(result, name, p99Ms),
        middle(result, name, (sample) => sample.cpuUs),
      ].map((value) => (Number.isNaN(value) ? '–' : rounded(value))),
      wrong,
    ]
  })
  const columns = ['per second', 'to hasten', 'p50 ms', 'p99 ms', 'CPU µs each', 'wrong']
  return { what, columns, rows }
}

const titles: Readonly<Record<string, string>> = {
  pg: 'pg.Pool, max 10, as commonly written',
  'pg-named': 'pg.Pool, max 10, named statements',
  postgres: 'postgres.js, max 10 (its default)',
  'postgres-4': 'postgres.js, max 4',
  pgbench: 'pgbench -M prepared -c 10 -j 1',
  'pgbench, 2 threads': 'pgbench -M prepared -c 10 -j 2',
}

function titled(name: string): string {
  return titles[name] ?? name
}
