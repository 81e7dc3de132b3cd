/**
 * The story so far: the shop before against the shop after, as a table.
 *
 *   round 1   before  after   before′      each a fresh process under the same traffic
 *   round 2   after   before′ before       before′ is the control: what this machine makes of nothing
 *   round 3   before′ before  after
 *   then      before  after                the highest rate at which 95 of 100 answers take 500 ms at most
 *
 * It is `hasten compare` in short form, by its own parts: few rounds, and the search for the rate once
 * for each side instead of once in each run. `npm run bench -- story` is the long form.
 *
 * The rate is the one at which the doctor found the shop before to be busy and to keep up: its peak.
 * One in six requests wait for a service that takes 250 ms, so no goal below that can be held. "In the
 * end" is what the story is to come to when all parts are in.
 */
import { fileURLToPath } from 'node:url'
import { Sides } from '#src/cli/compare/sides.js'
import { compareMeasurements, turnsOf } from '#src/compare/index.js'
import { version } from '#src/cli/version.js'
import { readRequestFile } from '#src/load/index.js'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))

export const traffic = here('requests.jsonl')
/** The peak of the shop before on two cores, where nobody has measured it. */
export const ratePerSecond = 40
export const goal = { quantile: 0.95, ms: 500 }
/** As `hasten compare` takes them. */
export const commands = ['before', 'after'].map(
  (side) => `"${process.execPath}" "${here(`${side}/server.js`)}"`,
)

/** What the story is to come to: mean 350 → 78 ms, p95 2,000 → 180 ms, three times the rate, 40 % less database. */
const wanted = { meanMs: 78 / 350, p95Ms: 180 / 2000, throughput: 3, dbMsPerRequest: 0.6 }

const forms = {
  short: { rounds: 5, seconds: 4, warmupSeconds: 1 },
  quick: { rounds: 3, seconds: 1.5, warmupSeconds: 0.5 },
}
/** Fewer say nothing. On a machine too slow for three there is a table without a verdict. */
const ROUNDS_MIN = 3
/** A search that has less time than this for each side is not begun. */
const SEARCH_MIN_MS = 8_000
const SEARCH_MAX_MS = 20_000
/** Until a side listens and is warm. */
const START_SECONDS = 3

/**
 * @param {{ env: NodeJS.ProcessEnv, isQuick: boolean, ratePerSecond: number, limitMs: number, signal: AbortSignal, progress: object }} options
 *   `limitMs` of `performance.now()`: three rounds come first, then the search, then further rounds
 * @returns the document of `hasten compare`, and the two rates that hold the goal where there was time
 */
export async function compareShop(options) {
  const { env, isQuick, ratePerSecond, limitMs, signal, progress } = options
  const { rounds, warmupSeconds, ...form } = isQuick ? forms.quick : forms.short
  const seconds = secondsFor(form, limitMs - performance.now())
  const seed = 1
  const sides = new Sides({
    ...{ commands, env: { ...process.env, ...env }, signal, progress, seed },
    requests: await readRequestFile(traffic),
    readyTimeoutMs: 30_000,
    isRemoteAllowed: false,
  })
  const plan = { ratePerSecond, seconds, warmupSeconds, goal: undefined }
  const measurements = []
  const startMs = performance.now()
  for (const turn of turnsOf(commands.length, rounds)) {
    const roundMs = turn.round > 0 ? (performance.now() - startMs) / turn.round : 0
    const isFirst = measurements.at(-1)?.round !== turn.round
    const endMs = performance.now() + roundMs
    const isEnough = turn.round >= ROUNDS_MIN && endMs + 2 * SEARCH_MIN_MS > limitMs
    if (isFirst && turn.round > 0 && (isEnough || endMs > limitMs)) break
    const name = turn.side === 1 ? 'after' : turn.isControl ? 'before, once more' : 'before'
    measurements.push(await sides.measure(turn, plan, `round ${turn.round + 1}: ${name}`))
  }
  const rates = []
  for (const side of measurements.at(-1).round + 1 < ROUNDS_MIN ? [] : [0, 1]) {
    const leftMs = (limitMs - performance.now()) / (2 - side)
    if (leftMs < SEARCH_MIN_MS) break
    const step = `the rate that ${side === 0 ? 'before' : 'after'} holds`
    const goalSeconds = Math.min(leftMs, SEARCH_MAX_MS) / 1000 - START_SECONDS
    rates.push(await sides.searchGoal(side, { ...plan, goal, goalSeconds }, step))
  }
  progress.clear()
  const load = { requests: traffic, ratePerSecond, seconds, warmupSeconds, seed }
  const notes = sides.warnings
  const document = compareMeasurements({ version: version(), load, commands, measurements, notes })
  return { document, rates }
}

/** Shorter runs where three rounds would not fit otherwise; an installation may have taken its time. */
function secondsFor({ seconds }, leftMs) {
  const each = leftMs / 1000 / (ROUNDS_MIN * (commands.length + 1)) - START_SECONDS
  return Number(Math.min(seconds, Math.max(1.5, each)).toFixed(1))
}

/**
 * @param {{ document: import('#src/compare/index.js').CompareDocument, rates: readonly number[] }} compared
 * @param {import('#src/report/index.js').Paint} paint
 */
export function storyTable({ document, rates }, paint) {
  const { load, sides, ratios, notes } = document
  const [before, after] = sides
  const rows = [
    ['mean', 'meanMs'],
    ['95th percentile', 'p95Ms'],
    ['database, per request', 'dbMsPerRequest'],
    ['processor, per request', 'cpuMsPerRequest'],
  ].map(([label, metric]) => {
    const ratio = ratios.find((each) => each.metric === metric)
    const values = [before, after].map((side) => milliseconds(side[metric]))
    return [label, ...values, ...change(ratio), target(metric)]
  })
  if (rates.length === 2) {
    const [low, high] = rates
    const held = rates.map((rate) => (rate > 0 ? `${rate.toFixed(0)}/s` : 'none'))
    const times = low > 0 && high > 0 ? `× ${(high / low).toFixed(1)}` : '–'
    const label = `most with p95 ≤ ${goal.ms} ms`
    rows.splice(2, 0, [label, ...held, times, 'one search each', target('throughput')])
  }
  const all = [['', 'before', 'after', 'change', 'at 95 %', 'in the end'], ...rows]
  const widths = all[0].map((_, i) => Math.max(...all.map((cells) => cells[i].length)))
  const lines = all.map((cells, i) => {
    const line = cells.map((cell, k) =>
      k === 0 ? cell.padEnd(widths[k]) : cell.padStart(widths[k]),
    )
    return `  ${i === 0 ? paint('dim', line.join('   ')) : line.join('   ')}`
  })
  const conditions = `${load.ratePerSecond} requests per second for ${load.seconds} s, ${load.rounds} ${load.rounds === 1 ? 'round' : 'rounds'} in turn, fresh processes`
  return [
    ...lines,
    '',
    `  ${paint('dim', conditions)}`,
    `  ${verdictOf(document)}`,
    ...(rates.length === 2
      ? []
      : ['  How many requests each side can take was not searched: there was no time for it.']),
    ...notes.map((note) => `  · ${note}`),
  ].join('\n')
}

function verdictOf({ verdicts: [{ verdict, reason }], control, load }) {
  if (verdict === 'faster' || verdict === 'slower') {
    return `After is ${verdict} than before, ${reason}.`
  }
  if (verdict === 'no difference') return `After does not differ from before: ${reason}.`
  const itself = control.ratios.find(({ metric }) => metric === 'meanMs')
  if (load.rounds < ROUNDS_MIN || itself?.high === null || !reason.startsWith('for ')) {
    return `Not sure: ${reason}.`
  }
  const most = Math.max(itself.high, 1 / itself.low)
  return `Not sure yet: before may differ from itself by × ${most.toFixed(1)} on this machine today. \`npm run bench -- story\` takes longer and knows more.`
}

function milliseconds(value) {
  if (value === null) return '–'
  return `${value >= 100 ? value.toFixed(0) : value.toPrecision(2)} ms`
}

/** Words and interval. What the control could have done as well is a question. */
function change({ ratio, low, high, verdict }) {
  if (ratio === null) return ['–', '–']
  const percent = (value) => `${value < 1 ? '−' : '+'}${Math.abs(100 * (value - 1)).toFixed(0)} %`
  const words = verdict === 'no difference' ? 'the same' : percent(ratio)
  return [
    `${words}${verdict === 'cannot tell' ? '?' : ''}`,
    low === null ? '–' : `${percent(low)} … ${percent(high)}`,
  ]
}

function target(metric) {
  const value = wanted[metric]
  if (value === undefined) return ''
  return value > 1 ? `× ${value}` : `−${(100 * (1 - value)).toFixed(0)} %`
}
