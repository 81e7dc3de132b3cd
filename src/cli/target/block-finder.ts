/**
 * Block finder: which function of the application holds the event loop, from a CPU profile that was
 * taken while requests ran one at a time.
 *
 *   request       |──────────────────────────────────────────|
 *   samples        . . i i i i h h h h g h h h h h i i i i . .     i idle, h below handler, g GC
 *                              └──── a stretch ───┘
 *
 * A stretch is an unbroken run of samples below one and the same outermost frame of the application.
 * Garbage collection and native code may stand in between; anything else, idleness above all, ends
 * it: then the event loop had turned, and nobody was blocked. Work in many small turns (parsing rows
 * as they come) is thereby no stretch, however long it takes in sum.
 *
 * Named is the function on the stack in at least 80 % of the stretch, the innermost of those. A
 * stretch counts from 20 ms, and a function only if at least half of the route's requests had it.
 * The first request of a route is left out: it pays for loading and compiling.
 *
 * Not seen: blocking by libraries alone, with no frame of the application below (a framework that
 * serialises after the handler has returned). There a run of turns looks like one turn, and a false
 * accusation costs more than a missing one.
 */
import { isAbsolute, relative } from 'node:path'
import type { BlockFacts, RequestFacts } from '../../core/facts.ts'
import { type CpuProfile, type Frame, stackOf } from './cpu-profile.ts'
import type { Place } from './source-place.ts'

export interface BlockFinderOptions {
  /** Place in the source, where `frame` stands in what a compiler made of it. */
  readonly placeOf: (file: string, line: number, column: number) => Place
}

interface Stretch {
  readonly frames: readonly Frame[]
  /** Milliseconds of each of the frames. */
  readonly weights: readonly number[]
  readonly ms: number
}

interface Block {
  readonly frame: Frame
  readonly ms: number
  readonly inside: ReadonlyMap<Frame['key'], { readonly frame: Frame; readonly ms: number }>
}

const MIN_STRETCH_MS = 20
/** Fewer samples over that time say that the machine was elsewhere, not what it did. */
const MIN_SAMPLES = 8
const MIN_SHARE = 0.8
const KEPT_INSIDE = 8
/** A hot line has no column; its last mapping belongs to it, the first may be the line before. */
const END_OF_LINE = 2 ** 30

/** Blocks of all routes, longest first. `requests` are those of the profile's process. */
export function findBlocks(
  profile: CpuProfile,
  requests: readonly RequestFacts[],
  options: BlockFinderOptions,
): BlockFacts[] {
  const solo = requests.filter((request) => request.concurrency === 1 && !request.aborted)
  const routes = groupBy(solo, routeOf)
  const found = [...routes.values()].flatMap((all) => {
    const counted = all.toSorted((a, b) => a.startedAt - b.startedAt).slice(1)
    const blocks = counted.flatMap((request) => blocksOf(profile, request))
    const functions = groupBy(blocks, ({ frame }) => frame.key)
    return [...functions.values()].flatMap((seen) => {
      if (seen.length * 2 < counted.length) return []
      return [factsOf(seen, counted, profile.cwd, options)]
    })
  })
  return found.sort((a, b) => b.ms - a.ms)
}

/** The longest block of each function within one request. */
function blocksOf(profile: CpuProfile, request: RequestFacts): Block[] {
  const longest = new Map<string, Block>()
  for (const stretch of stretchesOf(profile, request)) {
    if (stretch.ms < MIN_STRETCH_MS || stretch.frames.length < MIN_SAMPLES) continue
    const block = blockOf(stretch)
    if (block === undefined) continue
    const known = longest.get(block.frame.key)
    if (known === undefined || known.ms < block.ms) longest.set(block.frame.key, block)
  }
  return [...longest.values()]
}

function* stretchesOf(profile: CpuProfile, request: RequestFacts): Generator<Stretch> {
  const { frames, times } = profile
  const endsAt = request.startedAt + request.durationMs
  let outermost: Frame | undefined
  let run: { frame: Frame; ms: number }[] = []
  for (let i = firstAt(times, request.startedAt); i < frames.length; i++) {
    const frame = frames[i] as Frame
    const at = times[i] as number
    if (at > endsAt) break
    // A sample stands for the time until the next one.
    const ms = Math.max(0, Math.min(times[i + 1] ?? at, endsAt) - at)
    if (frame.owner === 'foreign') {
      if (outermost !== undefined) run.push({ frame, ms })
      continue
    }
    const base = outermostOf(frame)
    if (base !== outermost) {
      if (outermost !== undefined) yield landed(run)
      outermost = base
      run = []
    }
    if (base !== undefined) run.push({ frame, ms })
  }
  if (outermost !== undefined) yield landed(run)
}

function landed(run: readonly { readonly frame: Frame; readonly ms: number }[]): Stretch {
  // Native code at the end belongs to what comes next, not to this call.
  const last = run.findLastIndex(({ frame }) => frame.owner !== 'foreign')
  const kept = run.slice(0, last + 1)
  return {
    frames: kept.map(({ frame }) => frame),
    weights: kept.map(({ ms }) => ms),
    ms: kept.reduce((sum, { ms }) => sum + ms, 0),
  }
}

function blockOf(stretch: Stretch): Block | undefined {
  const covered = new Map<string, { frame: Frame; ms: number; depth: number }>()
  const self = new Map<string, { frame: Frame; ms: number }>()
  let stackedMs = 0
  for (const [i, frame] of stretch.frames.entries()) {
    const ms = stretch.weights[i] as number
    add(self, frame, ms)
    if (frame.owner === 'foreign') continue
    stackedMs += ms
    // A function that calls itself is on the stack once.
    const onStack = new Set<string>()
    for (const [depth, each] of stackOf(frame).entries()) {
      if (each.owner !== 'application' || onStack.has(each.key)) continue
      onStack.add(each.key)
      const known = covered.get(each.key)
      if (known === undefined) covered.set(each.key, { frame: each, ms, depth })
      else known.ms += ms
    }
  }
  const holders = [...covered.values()].filter(({ ms }) => ms >= MIN_SHARE * stackedMs)
  const innermost = holders.toSorted((a, b) => b.depth - a.depth)[0]
  return innermost && { frame: innermost.frame, ms: stretch.ms, inside: self }
}

function factsOf(
  seen: readonly Block[],
  counted: readonly RequestFacts[],
  cwd: string,
  { placeOf }: BlockFinderOptions,
): BlockFacts {
  const { frame } = seen[0] as Block
  const { method, route } = counted[0] as RequestFacts
  const total = new Map<string, { frame: Frame; ms: number }>()
  for (const { inside } of seen) for (const each of inside.values()) add(total, each.frame, each.ms)
  const place = placeOf(frame.file, frame.line, frame.column)
  return {
    method,
    route,
    function: nameOf(frame, place),
    file: shown(place.file, cwd),
    line: place.line,
    ms: median(seen.map(({ ms }) => ms)),
    seen: seen.length,
    requests: counted.length,
    inside: [...total.values()]
      .sort((a, b) => b.ms - a.ms)
      .slice(0, KEPT_INSIDE)
      .map(({ frame: each, ms }) => {
        const hot = hottestLine(each)
        const at = placeOf(
          each.file,
          hot ?? each.line,
          hot === undefined ? each.column : END_OF_LINE,
        )
        return {
          function: nameOf(each, at),
          file: shown(at.file, cwd),
          line: at.line,
          ms: ms / seen.length,
        }
      }),
  }
}

/** The call from outside into the application that everything here happens in. */
function outermostOf(frame: Frame): Frame | undefined {
  let outermost: Frame | undefined
  for (let each: Frame | undefined = frame; each !== undefined; each = each.parent) {
    if (each.owner === 'application') outermost = each
  }
  return outermost
}

function hottestLine({ ticks }: Frame): number | undefined {
  return [...ticks].sort(([, a], [, b]) => b - a)[0]?.[0]
}

function nameOf(frame: Frame, place: Place): string {
  return frame.function === '(anonymous)' ? (place.name ?? frame.function) : frame.function
}

function shown(file: string, cwd: string): string {
  return isAbsolute(file) ? relative(cwd, file) : file
}

function add(sums: Map<string, { frame: Frame; ms: number }>, frame: Frame, ms: number): void {
  const known = sums.get(frame.key)
  if (known === undefined) sums.set(frame.key, { frame, ms })
  else known.ms += ms
}

/** First sample at or after the moment. */
function firstAt(times: Float64Array, moment: number): number {
  let low = 0
  let high = times.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((times[middle] as number) < moment) low = middle + 1
    else high = middle
  }
  return low
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const [low = 0, high = 0] = [sorted[middle - 1], sorted[middle]]
  return sorted.length % 2 === 1 ? high : (low + high) / 2
}

function routeOf({ method, route }: RequestFacts): string {
  return `${method} ${route}`
}

function groupBy<T>(list: readonly T[], key: (value: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const each of list) {
    const group = groups.get(key(each))
    if (group === undefined) groups.set(key(each), [each])
    else group.push(each)
  }
  return groups
}
