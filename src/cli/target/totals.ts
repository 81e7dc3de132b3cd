/**
 * Totals: what several processes counted, added up.
 *
 * Routes are merged by timing itself, counters by adding and histograms bucket by bucket, so that
 * quantiles over all processes are as exact as over one. What belongs to a process (pools, memory,
 * event loop) stays with its process; worker threads share theirs.
 */
import type { ProcessTotals } from '../../core/agent-wire.ts'
import { isHastenError } from '../../core/errors.ts'
import type { Phase, ProcessFacts, RequestFacts } from '../../core/facts.ts'
import { merge } from '../../exporters/index.ts'
import { Timing } from '../../timing/index.ts'

export interface MergedTotals extends Omit<Phase, 'seconds'> {
  /** Pids of processes whose totals timing does not understand: left out altogether. */
  readonly refused: readonly number[]
}

export function mergeTotals(all: readonly ProcessTotals[]): MergedTotals {
  const timing = new Timing()
  try {
    const totals = all.filter(({ snapshot }) => isMerged(timing, snapshot))
    return {
      routes: timing.routes(),
      requests: requestsOf(totals),
      pools: totals.flatMap(({ pools }) => pools),
      processes: processesOf(totals),
      refused: all.filter((each) => !totals.includes(each)).map(({ process }) => process.pid),
    }
  } finally {
    timing.close()
  }
}

function isMerged(timing: Timing, snapshot: unknown): boolean {
  try {
    merge(timing, snapshot)
    return true
  } catch (error) {
    if (isHastenError(error)) return false
    throw error
  }
}

/** Each once: a slow one is in the sample, among the slowest and among the deep. */
function requestsOf(totals: readonly ProcessTotals[]): RequestFacts[] {
  const all = totals.flatMap((each, i) =>
    each.requests.map((request) => [`${i} ${request.id}`, request] as const),
  )
  return [...new Map(all).values()].sort((a, b) => a.startedAt - b.startedAt)
}

/** Threads of one process see its CPU time and memory each; their loops are their own. */
function processesOf(totals: readonly ProcessTotals[]): ProcessFacts[] {
  const processes = new Map<number, ProcessFacts>()
  for (const { process } of totals) {
    const known = processes.get(process.pid)
    processes.set(process.pid, known === undefined ? process : together(known, process))
  }
  return [...processes.values()]
}

function together(a: ProcessFacts, b: ProcessFacts): ProcessFacts {
  return {
    pid: a.pid,
    node: a.node,
    cpuMs: Math.max(a.cpuMs, b.cpuMs),
    maxRssMb: Math.max(a.maxRssMb, b.maxRssMb),
    loopUtilisation: Math.max(a.loopUtilisation, b.loopUtilisation),
    loopDelayP99Ms: Math.max(a.loopDelayP99Ms, b.loopDelayP99Ms),
    loopDelayMaxMs: Math.max(a.loopDelayMaxMs, b.loopDelayMaxMs),
    background: {
      queries: a.background.queries + b.background.queries,
      dbMs: a.background.dbMs + b.background.dbMs,
    },
  }
}
