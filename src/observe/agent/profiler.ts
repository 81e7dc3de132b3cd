/**
 * Profiler: V8's CPU profile of this thread, sampled every 500 µs, through `node:inspector`.
 *
 * Loaded and connected when the doctor asks for it and disconnected after, because an inspector
 * session costs something by itself. No port is opened.
 *
 * V8 counts time from a start of its own. On every system of today that is the clock of
 * `process.hrtime`; whether it is so here shows in that the profile's start lies between two readings
 * of it. Where not, the middle of the two is taken for the start: right to some milliseconds.
 *
 * Code that was compiled in memory (tsx, ts-node) has its source maps only in here, so frames that
 * Node can map are mapped before the profile leaves.
 */
import type { Session } from 'node:inspector'
import { findSourceMap } from 'node:module'
import type { ProfileFacts } from '../../core/agent-wire.ts'

interface Profile {
  readonly startTime: number
  readonly nodes: readonly {
    readonly callFrame: { url: string; lineNumber: number; columnNumber: number }
    positionTicks?: { line: number; ticks: number }[]
  }[]
}

const INTERVAL_MICROS = 500

export class Profiler {
  #session: Session | undefined
  #before = 0
  #after = 0

  async start(): Promise<void> {
    if (this.#session !== undefined) return
    const { Session } = await import('node:inspector')
    const session = new Session()
    session.connect()
    this.#session = session
    await post(session, 'Profiler.enable')
    await post(session, 'Profiler.setSamplingInterval', { interval: INTERVAL_MICROS })
    this.#before = micros()
    await post(session, 'Profiler.start')
    this.#after = micros()
  }

  async stop(): Promise<ProfileFacts | undefined> {
    const session = this.#session
    if (session === undefined) return undefined
    this.#session = undefined
    try {
      const { profile } = await post<{ profile: Profile }>(session, 'Profiler.stop')
      await post(session, 'Profiler.disable')
      for (const { callFrame, ...node } of profile.nodes) mapFrame(callFrame, node)
      const { startTime } = profile
      const isSameClock = startTime >= this.#before - 1_000 && startTime <= this.#after + 1_000
      const startedAt = isSameClock ? startTime : (this.#before + this.#after) / 2
      const epochMs = performance.timeOrigin + performance.now()
      return {
        profile,
        startMicros: startTime,
        startEpochMs: epochMs - (micros() - startedAt) / 1_000,
        cwd: process.cwd(),
      }
    } finally {
      session.disconnect()
    }
  }
}

function post<T>(session: Session, method: string, parameters: object = {}): Promise<T> {
  return new Promise((resolve, reject) => {
    session.post(method, parameters, (error, result) => {
      if (error) reject(error)
      else resolve(result as T)
    })
  })
}

function micros(): number {
  const [seconds, nanos] = process.hrtime()
  return seconds * 1e6 + nanos / 1e3
}

/** In place: the profile is ours. */
function mapFrame(
  frame: Profile['nodes'][number]['callFrame'],
  node: Pick<Profile['nodes'][number], 'positionTicks'>,
): void {
  if (frame.url === '' || frame.url.startsWith('node:')) return
  const map = findSourceMap(frame.url)
  if (map === undefined) return
  const start = placeIn(map, frame.lineNumber, frame.columnNumber)
  if (start === undefined) return
  for (const tick of node.positionTicks ?? []) {
    // A tick has a line and no column: the last mapping of the line is one of that line.
    tick.line = (placeIn(map, tick.line - 1, 2 ** 30)?.line ?? tick.line - 1) + 1
  }
  frame.url = start.url
  frame.lineNumber = start.line
  frame.columnNumber = start.column
}

function placeIn(map: NonNullable<ReturnType<typeof findSourceMap>>, line: number, column: number) {
  const entry = map.findEntry(line, column)
  if (!('originalSource' in entry) || !entry.originalSource) return undefined
  return { url: entry.originalSource, line: entry.originalLine, column: entry.originalColumn }
}
