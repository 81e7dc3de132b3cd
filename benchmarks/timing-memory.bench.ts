/**
 * What timing holds after ten million requests, and what it weighs.
 *
 *   npm run bench -- timing-memory [--quick]
 *
 * Question: does anything grow with the number of requests, of distinct paths, statements or span
 * names? A process of its own, with no server in it, begins and finishes requests as a server would:
 * a thousand routes, half of them told by a framework and half as raw paths with ids in them; one to
 * three queries each, sometimes hundreds; one request in fifty is hostile (a path of up to 8 kB that
 * was never seen before, statements and span names that differ every time, a rubbish `traceparent`).
 * Times are drawn over six orders of magnitude from a clock of its own, so that every histogram is as
 * wide as it can become; real time would only make the run longer.
 *
 * Measured is heap, typed arrays and buffers after garbage collection, against the same before the
 * package was loaded. `--quick` does a tenth.
 *
 * `observe.bench.ts` takes the two claims from here into `results/observe.json`.
 */
import { execFile } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'

export interface TimingClaim {
  readonly id: 'memory' | 'bytes-timing'
  readonly what: string
  readonly measured: number
  readonly unit: string
  readonly peer: null
  readonly peerMeasured: null
  readonly ratio: null
  readonly goal: string
  readonly met: boolean
}

interface Growth {
  readonly requests: number
  readonly routes: number
  readonly keptRequests: number
  /** Growth of the heap after each tenth, in bytes. */
  readonly bytes: readonly number[]
  readonly cpuSeconds: number
}

const REQUESTS = 10_000_000
const ROUTES = 1000
const MEMORY_GOAL_MB = 32
const SIZE_GOAL_KB = 15
const file = fileURLToPath(import.meta.url)

/** Claim `memory`. */
export async function memoryClaim({ isQuick = false } = {}): Promise<TimingClaim> {
  const { bytes, requests, routes } = await grow(isQuick ? REQUESTS / 10 : REQUESTS)
  const most = Math.max(...bytes) / 2 ** 20
  return claim({
    id: 'memory',
    what: `most memory of timing during ${requests.toLocaleString('en')} requests on ${routes} routes, hostile ones among them`,
    measured: round(most),
    unit: 'MB',
    goal: `<= ${MEMORY_GOAL_MB}`,
    met: most <= MEMORY_GOAL_MB,
  })
}

/** Claim `bytes-timing`: everything that `import 'hasten/timing'` loads, in one minified file. */
export async function sizeClaim(): Promise<TimingClaim> {
  const { outputFiles, metafile } = await build({
    entryPoints: [fileURLToPath(import.meta.resolve('hasten/timing'))],
    bundle: true,
    minify: true,
    platform: 'node',
    format: 'esm',
    metafile: true,
    write: false,
  })
  const dependencies = Object.keys(metafile.inputs).filter((path) => path.includes('node_modules'))
  const kilobytes = (outputFiles[0]?.contents.length ?? 0) / 1000
  return claim({
    id: 'bytes-timing',
    what: `hasten/timing, minified, ${dependencies.length} dependencies`,
    measured: round(kilobytes),
    unit: 'kB',
    goal: `<= ${SIZE_GOAL_KB}`,
    met: kilobytes <= SIZE_GOAL_KB && dependencies.length === 0,
  })
}

function claim(fields: Omit<TimingClaim, 'peer' | 'peerMeasured' | 'ratio'>): TimingClaim {
  return { ...fields, peer: null, peerMeasured: null, ratio: null }
}

async function grow(requests: number): Promise<Growth> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--expose-gc',
    file,
    '--grow',
    `${requests}`,
  ])
  return JSON.parse(stdout) as Growth
}

/** In the process of its own. */
async function serve(requests: number): Promise<Growth> {
  const paths = rawPaths()
  const before = held()
  const { timing } = await import('hasten/timing')
  let now = performance.now()
  timing.configure({ clock: { now: () => now } })
  timing.reset()

  const bytes: number[] = []
  for (let i = 0; i < requests; i++) {
    const route = Math.floor(Math.random() * ROUTES)
    const isHostile = i % 50 === 0
    const isRaw = route % 2 === 0
    const path = isHostile ? hostilePath() : `${paths[route]}/${i}/items`
    const timeline = timing.begin('GET', path, isHostile ? 'rubbish'.repeat(30) : undefined)
    if (!isRaw && !isHostile) timeline.route = `${paths[route]}/:id/items`
    const queries = i % 997 === 0 ? 300 : 1 + (i % 3)
    for (let q = 0; q < queries; q++) {
      const name = isHostile ? `SELECT ${Math.random()}` : 'SELECT things'
      const span = timeline.open('query', name)
      span.statement = isHostile ? `${Math.random()}` : `statement ${q % 5}`
      span.rows = q
      now += 10 ** (Math.random() * 6 - 3)
      span.end()
    }
    timing.finish(timeline, 200, false)
    if ((i + 1) % (requests / 10) === 0) bytes.push(held() - before)
  }

  const { user, system } = process.cpuUsage()
  return {
    requests,
    routes: timing.routes().length,
    keptRequests: timing.slowest().length + timing.sample().length,
    bytes,
    cpuSeconds: (user + system) / 1e6,
  }
}

function held(): number {
  globalThis.gc?.()
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** A thousand words of letters, so that none is taken for an id. */
function rawPaths(): string[] {
  const letters = 'abcdefghij'
  return Array.from({ length: ROUTES }, (_, i) => {
    const word = `${i}`.padStart(3, '0').replace(/\d/g, (digit) => letters[Number(digit)] as string)
    return `/things/${word}`
  })
}

function hostilePath(): string {
  const token = Math.random().toString(36).replace(/\d/g, 'x').slice(2)
  const segments = 1 + Math.floor(Math.random() * 20)
  const path = `/${token}`.repeat(segments)
  return Math.random() < 0.1 ? path.padEnd(8000, '/../%00"\\') : path
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}

async function main(args: readonly string[]): Promise<void> {
  if (args[0] === '--grow') {
    process.stdout.write(JSON.stringify(await serve(Number(args[1]))))
    return
  }
  const growth = await grow(args.includes('--quick') ? REQUESTS / 10 : REQUESTS)
  const curve = growth.bytes.map((bytes) => (bytes / 2 ** 20).toFixed(1)).join(' ')
  process.stdout.write(
    `${growth.requests.toLocaleString('en')} requests, ${growth.routes} routes, ` +
      `${growth.keptRequests} requests kept, ${growth.cpuSeconds.toFixed(0)} s of CPU\n` +
      `MB held after each tenth: ${curve}  (goal: at most ${MEMORY_GOAL_MB})\n`,
  )
  const { measured, goal } = await sizeClaim()
  process.stdout.write(`minified: ${measured} kB  (goal: ${goal})\n`)
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === file) {
  await main(process.argv.slice(2))
}
