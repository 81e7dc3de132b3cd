/**
 * The shop before against after, by `hasten compare` itself: the command, its options, its document.
 *
 *   before ─▶ after    A is before, A′ before once more: what this machine makes of nothing
 *   after ─▶ before    the same the other way: A′ is after once more, and the verdict must turn round
 *
 * Traffic, rate and goal are those of the demo (examples/shop/story.js), which says why.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { CompareDocument, CompareSide, Metric } from '#src/compare/index.js'
import { type Claim, type Finding, rounded, type Table } from './claim.ts'

interface Story {
  readonly traffic: string
  readonly ratePerSecond: number
  readonly goal: { readonly quantile: number; readonly ms: number }
  /** Of before and after. */
  readonly commands: readonly [string, string]
}

interface Shop {
  readonly env: NodeJS.ProcessEnv
  stop(): Promise<void>
}

export interface StoryDocuments {
  readonly forward: CompareDocument
  /** Not in the quick form. */
  readonly backward?: CompareDocument
}

interface Form {
  readonly rounds: number
  readonly seconds: number
  readonly warmup: number
  readonly withGoal: boolean
}

const whole: Form = { rounds: 5, seconds: 5, warmup: 1, withGoal: true }
const back: Form = { rounds: 3, seconds: 5, warmup: 1, withGoal: false }
const quick: Form = { rounds: 3, seconds: 2, warmup: 1, withGoal: false }

/** Compiled this lies in build/benchmarks. */
const imported = async (path: string): Promise<unknown> =>
  import(new URL(`../../examples/shop/${path}`, import.meta.url).href)

/** Claim [shop] of the pool: a minute and a half, or half a one. Rejects with MissingService. */
export async function shopFinding({ isQuick }: { readonly isQuick: boolean }): Promise<Finding> {
  const forward = await withShop((env, story) =>
    compared(env, story, isQuick ? quick : { ...whole, withGoal: false }, [0, 1]),
  )
  return { claims: [shopClaim({ forward })], tables: [tableOf(forward)] }
}

/** The whole compare, both ways: eight minutes; quick: half a minute, one way, without the goal. */
export async function compareStory({ isQuick }: { readonly isQuick: boolean }): Promise<{
  readonly documents: StoryDocuments
  readonly claims: Claim[]
  readonly table: Table
}> {
  const documents = await withShop(async (env, story): Promise<StoryDocuments> => {
    const forward = await compared(env, story, isQuick ? quick : whole, [0, 1])
    if (isQuick) return { forward }
    const backward = await compared(env, story, back, [1, 0])
    return { forward, backward }
  })
  const { forward } = documents
  return {
    documents,
    claims: [
      shopClaim(documents),
      less('story-mean', 'mean latency', forward, 'meanMs', 78 / 350),
      less('story-p95', '95th percentile', forward, 'p95Ms', 180 / 2000),
      throughputClaim(forward),
      less('story-db', 'database time per request', forward, 'dbMsPerRequest', 0.6),
      controlClaim(documents),
      errorsClaim(documents),
    ],
    table: tableOf(forward),
  }
}

async function withShop<T>(work: (env: NodeJS.ProcessEnv, story: Story) => Promise<T>): Promise<T> {
  const { startShop } = (await imported('start.js')) as { startShop(): Promise<Shop> }
  const story = (await imported('story.js')) as Story
  const shop = await startShop()
  try {
    return await work({ ...process.env, ...shop.env }, story)
  } finally {
    await shop.stop()
  }
}

type Order = readonly [first: 0 | 1, second: 0 | 1]

async function compared(
  env: NodeJS.ProcessEnv,
  { traffic, ratePerSecond, goal, commands }: Story,
  { rounds, seconds, warmup, withGoal }: Form,
  order: Order,
): Promise<CompareDocument> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url)),
      ...['compare', '--json', '--requests', traffic, '--rate', String(ratePerSecond)],
      ...['--rounds', String(rounds), '--seconds', String(seconds), '--warmup', String(warmup)],
      ...(withGoal ? ['--goal', `p${goal.quantile * 100}=${goal.ms}`] : []),
      ...['--', ...order.map((side) => commands[side])],
    ],
    { env, maxBuffer: 64 * 2 ** 20 },
  )
  return JSON.parse(stdout) as CompareDocument
}

function shopClaim({ forward, backward }: StoryDocuments): Claim {
  const { measured, peerMeasured, times, interval } = figuresOf(forward, 'meanMs')
  const turned = backward === undefined ? '' : `; the other way round: ${backward.verdict}`
  return {
    id: 'shop',
    what: `shop, after against before with the pool alone, mean latency by hasten compare at ${forward.load.ratePerSecond} requests per second: ${forward.verdict} (${forward.verdicts[0]?.reason ?? ''})${turned}${interval}`,
    ...{ measured, unit: 'ms', peer: 'before', peerMeasured, ratio: times },
    goal: 'faster',
    met: forward.verdict === 'faster' && (backward === undefined || backward.verdict === 'slower'),
  }
}

/** `goal` is the share of before that may be left. */
function less(
  id: string,
  what: string,
  document: CompareDocument,
  metric: Metric,
  goal: number,
): Claim {
  const { measured, peerMeasured, times, interval } = figuresOf(document, metric)
  return {
    id,
    what: `shop, ${what}${interval}`,
    ...{ measured, unit: 'ms', peer: 'before', peerMeasured, ratio: times },
    goal: `>= ${rounded(1 / goal)} times less`,
    met: times !== null && times >= 1 / goal,
  }
}

function throughputClaim(document: CompareDocument): Claim {
  const { goal } = document.load
  const found = figuresOf(document, 'throughput')
  const isSearched = goal !== undefined
  const times = isSearched && found.times !== null ? rounded(1 / found.times) : null
  return {
    id: 'story-throughput',
    what:
      goal === undefined
        ? 'not measured in the quick form: the rate that holds the goal'
        : `shop, highest rate at which p${goal.quantile * 100} is at most ${goal.ms} ms${found.interval}`,
    measured: isSearched ? found.measured : null,
    unit: 'requests per second',
    peer: 'before',
    peerMeasured: isSearched ? found.peerMeasured : null,
    ratio: times,
    goal: '>= 3 times',
    met: times !== null && times >= 3,
  }
}

function controlClaim({ forward, backward }: StoryDocuments): Claim {
  const controls = [forward, backward]
    .filter((document) => document !== undefined)
    .map(({ control }) => control.ratios.find(({ metric }) => metric === 'meanMs'))
  const worst = Math.max(...controls.map((each) => Math.abs((each?.ratio ?? Number.NaN) - 1) * 100))
  const words = controls.map((each) => `${each?.low ?? '?'} … ${each?.high ?? '?'}`).join(' and ')
  return {
    id: 'story-control',
    what: `mean of the same side against itself, ${backward === undefined ? 'before' : 'before and after'}, 1 within ${words}`,
    measured: Number.isFinite(worst) ? rounded(worst) : null,
    ...{ unit: '% off at most', peer: null, peerMeasured: null, ratio: null },
    goal: '1 lies within the interval',
    met: controls.every((each) => (each?.low ?? 2) <= 1 && (each?.high ?? 0) >= 1),
  }
}

function errorsClaim({ forward, backward }: StoryDocuments): Claim {
  const sides = [...forward.sides, ...(backward?.sides ?? [])]
  const requests = sides.reduce((sum, side) => sum + side.requests, 0)
  const errors = sides.reduce((sum, side) => sum + side.errors, 0)
  return {
    id: 'story-errors',
    what: `of ${requests} requests to both sides, not answered as they should`,
    ...{ measured: errors, unit: 'requests', peer: null, peerMeasured: null, ratio: null },
    goal: '= 0',
    met: requests > 0 && errors === 0,
  }
}

/** `times`: how many times less the second side takes. */
function figuresOf({ sides, ratios }: CompareDocument, metric: Metric) {
  const [before, after] = sides as readonly [CompareSide, CompareSide]
  const found = ratios.find((each) => each.metric === metric)
  const isKnown = found !== undefined && found.ratio !== null && found.ratio > 0
  return {
    measured: after[metric] === null ? null : rounded(after[metric]),
    peerMeasured: before[metric] === null ? null : rounded(before[metric]),
    times: isKnown ? rounded(1 / (found.ratio as number)) : null,
    interval: isKnown
      ? `; after / before ${found.ratio} (${found.low} … ${found.high} at 95 %, ${found.verdict})`
      : '',
  }
}

function tableOf({ load, sides, ratios, control }: CompareDocument): Table {
  const [before, after] = sides as readonly [CompareSide, CompareSide]
  return {
    what: `the shop at ${load.ratePerSecond} requests per second, ${load.rounds} rounds`,
    columns: ['before', 'after', 'after / before', 'at 95 %', 'before / itself'],
    rows: ratios.map(({ metric, ratio, low, high }) => {
      const own = control.ratios.find((each) => each.metric === metric)
      const values = [before[metric], after[metric], ratio].map((value) =>
        value === null ? '–' : rounded(value),
      )
      return [metric, ...values, `${low ?? '–'} … ${high ?? '–'}`, own?.ratio ?? '–']
    }),
  }
}
