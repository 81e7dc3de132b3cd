/**
 * Thread of the generator: joins it to the alarm and to the thread that asked for the load.
 *
 * Load is made in a thread of its own because the caller is busy too: the doctor merges facts and
 * parses SQL, and each of its pauses would be booked to the server.
 */
import { parentPort, Worker, workerData } from 'node:worker_threads'
import type { AlarmData } from './alarm-worker.ts'
import { Generator, type GeneratorPlan } from './generator.ts'
import type { LoadProgress } from './load-result.ts'
import type { TallyTotals } from './tally.ts'
import { threadNow } from './thread-clock.ts'
import { siblingUrl } from './sibling-url.ts'

const PROGRESS_MS = 200

export type GeneratorTell =
  | { readonly tell: 'progress'; readonly progress: LoadProgress }
  | { readonly tell: 'finished'; readonly totals: TallyTotals }

if (parentPort !== null) {
  const caller = parentPort
  const plan = workerData as GeneratorPlan
  const flags = new Int32Array(new SharedArrayBuffer(8))
  const tell = (message: GeneratorTell) => caller.postMessage(message)

  // The alarm needs some milliseconds to start; nothing is due before it is there.
  const startMs = threadNow() + 100
  const generator = new Generator(plan, startMs)
  const alarm = new Worker(siblingUrl('./alarm-worker', import.meta.url), {
    workerData: {
      flags,
      startMs,
      kind: plan.arrivals,
      ratePerSecond: plan.ratePerSecond,
      windowMs: plan.windowMs,
      seed: plan.seed,
    } satisfies AlarmData,
    execArgv: [],
  })
  alarm.on('message', () => {
    Atomics.store(flags, 0, 0)
    generator.run()
  })
  const progress = setInterval(
    () => tell({ tell: 'progress', progress: generator.progress() }),
    PROGRESS_MS,
  )
  caller.on('message', () => generator.abort())

  void generator.finished.then((totals) => {
    clearInterval(progress)
    Atomics.store(flags, 1, 1)
    Atomics.notify(flags, 1)
    tell({ tell: 'finished', totals })
    caller.close()
  })
}
