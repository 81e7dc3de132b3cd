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
  const tell = (message: GeneratorTell) => caller.postMessage(message)
  const flags = new Int32Array(new SharedArrayBuffer(12))
  const start = new Float64Array(new SharedArrayBuffer(8))
  const alarm = new Worker(siblingUrl('./alarm-worker', import.meta.url), {
    workerData: {
      flags,
      start,
      kind: plan.arrivals,
      ratePerSecond: plan.ratePerSecond,
      windowMs: plan.windowMs,
      seed: plan.seed,
    } satisfies AlarmData,
    execArgv: [],
  })
  const raise = (flag: number) => {
    Atomics.store(flags, flag, 1)
    Atomics.notify(flags, flag)
  }

  let generator: Generator | undefined
  let isAborted = false
  caller.on('message', () => {
    isAborted = true
    generator?.abort()
  })

  // Nothing is due before the alarm is there to ring for it.
  alarm.once('message', () => {
    start[0] = threadNow()
    const sender = new Generator(plan, start[0])
    generator = sender
    alarm.on('message', () => {
      Atomics.store(flags, 0, 0)
      sender.run()
    })
    raise(2)
    const progress = setInterval(() => {
      tell({ tell: 'progress', progress: sender.progress() })
    }, PROGRESS_MS)
    void sender.finished.then((totals) => {
      clearInterval(progress)
      raise(1)
      tell({ tell: 'finished', totals })
      caller.close()
    })
    if (isAborted) sender.abort()
  })
}
