/**
 * One client in a process of its own, loaded as its parent says (pool-rounds.ts).
 *
 *   pool-worker.js <client>   ◀ Task   ▶ Sample
 *
 * `keys` and `errors` are closed loops: so many callers, each with one statement under way. `mix` is
 * open: statements come at random times (Poisson, seeded, so that all clients get the same) at a rate
 * that all of them can serve, whether the earlier ones are done or not; its latencies are those of the
 * fast statements alone. `acquire` borrows and gives back, one after the other.
 *
 * Each answer is checked: another's row is counted as wrong.
 */
import { SeededRandom } from '#src/load/seeded-random.js'
import { type Client, client, KEYS, type Row } from './pool-clients.ts'

export type Task =
  | { readonly do: 'keys' | 'errors'; readonly callers: number; readonly ms: number }
  | {
      readonly do: 'mix'
      readonly perSecond: number
      /** Whether one of a hundred statements is the slow one. */
      readonly hasSlow: boolean
      readonly ms: number
      readonly seed: number
    }
  | { readonly do: 'acquire'; readonly times: number }

export interface Sample {
  readonly perSecond: number
  readonly meanMs: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  /** µs of this process's CPU per statement. */
  readonly cpuUs: number
  readonly wrong: number
}

const WARM_UP = 4_000

class Latencies {
  readonly #ms: number[] = []
  wrong = 0

  add(ms: number): void {
    this.#ms.push(ms)
  }

  sample(startMs: number, cpu: NodeJS.CpuUsage): Sample {
    const elapsedMs = performance.now() - startMs
    const { user, system } = process.cpuUsage(cpu)
    const sorted = Float64Array.from(this.#ms).sort()
    const count = Math.max(1, sorted.length)
    const at = (share: number): number => sorted[Math.floor(count * share)] ?? Number.NaN
    return {
      perSecond: (sorted.length / elapsedMs) * 1000,
      meanMs: sorted.reduce((sum, ms) => sum + ms, 0) / count,
      p50Ms: at(0.5),
      p95Ms: at(0.95),
      p99Ms: at(0.99),
      cpuUs: (user + system) / count,
      wrong: this.wrong,
    }
  }
}

export function isRight(row: Row | undefined, key: number): boolean {
  return row?.id === key && row.name === `product ${key}` && row.price === key * 10
}

async function perform(on: Client, task: Task): Promise<Sample> {
  const latencies = new Latencies()
  const cpu = process.cpuUsage()
  const startMs = performance.now()
  if (task.do === 'acquire') await acquire(on, task.times, latencies)
  else if (task.do === 'mix') await mix(on, task, latencies)
  else await loop(on, task, latencies)
  return latencies.sample(startMs, cpu)
}

async function loop(
  on: Client,
  { do: what, callers, ms }: Extract<Task, { callers: number }>,
  latencies: Latencies,
): Promise<void> {
  const end = performance.now() + ms
  async function caller(number: number): Promise<void> {
    for (let n = number; ; n++) {
      const start = performance.now()
      if (start >= end) return
      if (what === 'errors' && n % 10 === 0) {
        if (!(await isRefused(on))) latencies.wrong++
      } else {
        const key = 1 + ((n * 7919) % KEYS)
        if (!isRight(await on.ask(key), key)) latencies.wrong++
      }
      latencies.add(performance.now() - start)
    }
  }
  await Promise.all(Array.from({ length: callers }, (_, number) => caller(number)))
}

async function isRefused(on: Client): Promise<boolean> {
  try {
    await on.violate()
    return false
  } catch (error) {
    return (error as { code?: string }).code === '23505'
  }
}

async function mix(
  on: Client,
  { perSecond, hasSlow, ms, seed }: Extract<Task, { do: 'mix' }>,
  latencies: Latencies,
): Promise<void> {
  const random = new SeededRandom(seed)
  const underWay = new Set<Promise<void>>()
  const start = performance.now()
  let dueMs = 0

  const fast = async (key: number): Promise<void> => {
    const sent = performance.now()
    if (!isRight(await on.ask(key), key)) latencies.wrong++
    latencies.add(performance.now() - sent)
  }
  const send = (): void => {
    // Both drawn always, so that the fast statements are the same with slow ones and without.
    const [isSlow, key] = [random.next() * 100 < 1, 1 + Math.floor(random.next() * KEYS)]
    if (isSlow && !hasSlow) return
    const work = isSlow ? on.sleep().then(() => {}) : fast(key)
    underWay.add(work)
    void work.then(() => underWay.delete(work))
  }
  for (;;) {
    const nowMs = performance.now() - start
    while (dueMs <= nowMs && dueMs < ms) {
      send()
      dueMs += (-Math.log(1 - random.next()) * 1000) / perSecond
    }
    if (dueMs >= ms) break
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await Promise.all(underWay)
}

async function acquire(on: Client, times: number, latencies: Latencies): Promise<void> {
  if (on.acquire === undefined) throw new Error('this client lends no connection')
  for (let n = 0; n < times; n++) {
    const start = performance.now()
    await on.acquire()
    latencies.add(performance.now() - start)
  }
}

const [name = '', url = ''] = process.argv.slice(2)
const on = client(name, url)
process.on('message', (task: Task) => {
  void perform(on, task).then((sample) => process.send?.(sample))
})
process.on('disconnect', () => process.exit())
await on.ready()
// Past the compiler's first tiers, however slow the machine is just now.
for (let n = 0; name !== 'connect' && n < WARM_UP; n += 50) {
  await Promise.all(Array.from({ length: 50 }, (_, i) => on.ask(1 + ((n + i) % KEYS))))
}
process.send?.({})
