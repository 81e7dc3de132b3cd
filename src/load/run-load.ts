/** Runs an open-loop load in a thread of its own. How and why: generator.ts. */
import { Worker } from 'node:worker_threads'
import { inspect } from 'node:util'
import { HastenError } from '../core/errors.ts'
import { positive } from '../core/options.ts'
import type { ArrivalKind } from './arrivals.ts'
import type { GeneratorPlan } from './generator.ts'
import type { GeneratorTell } from './generator-worker.ts'
import type { LoadProgress, LoadResult } from './load-result.ts'
import { originOf } from './origin.ts'
import type { PlannedRequest } from './planned-request.ts'
import { siblingUrl } from './sibling-url.ts'
import { resultOf, type TallyTotals } from './tally.ts'

/** A timer of Node holds no more: 24.8 days. */
const MAX_SECONDS = 2_147_483

export interface LoadOptions {
  /** `http://127.0.0.1:3000`. A certificate that nobody signed is accepted on loopback. */
  readonly origin: string
  readonly requests: readonly PlannedRequest[]
  /** Requests due per second, all kinds together. */
  readonly ratePerSecond: number
  /** Length of what is counted. */
  readonly seconds: number
  /** Sent before, at the same rate, not counted. @default 0 */
  readonly warmupSeconds?: number | undefined
  /** @default 'poisson' */
  readonly arrivals?: ArrivalKind | undefined
  /** The same seed gives the same requests at the same moments. @default 1 */
  readonly seed?: number | undefined
  /** What is due while so many are in flight is dropped, and counted as an error. @default 1000 */
  readonly maxInFlight?: number | undefined
  /** From the moment a request was due to its last byte. @default 30,000 */
  readonly timeoutMs?: number | undefined
  /** Longest wait for answers after the last request; what is missing then is a timeout. @default timeoutMs */
  readonly drainMs?: number | undefined
  /** Ends the load at once; the result holds what was measured until then. */
  readonly signal?: AbortSignal | undefined
  /** Called every 200 ms. What it throws ends the load and is thrown by `runLoad`. */
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined
}

/** Resolves when all answers are there, or with what was measured when `signal` fired. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const plan = planOf(options)
  const { signal, onProgress } = options
  const worker = new Worker(siblingUrl('./generator-worker', import.meta.url), {
    workerData: plan,
    execArgv: [],
  })
  const abort = () => worker.postMessage('abort')
  signal?.addEventListener('abort', abort, { once: true })
  if (signal?.aborted === true) abort()
  try {
    const totals = await new Promise<TallyTotals>((resolve, reject) => {
      worker.on('message', (message: GeneratorTell) => {
        if (message.tell === 'finished') {
          resolve(message.totals)
          return
        }
        try {
          onProgress?.(message.progress)
        } catch (error) {
          reject(error)
        }
      })
      worker.once('error', reject)
      worker.once('exit', (code) => {
        reject(new Error(`the load generator's thread exited with code ${code}`))
      })
    })
    return resultOf(totals)
  } finally {
    signal?.removeEventListener('abort', abort)
    await worker.terminate()
  }
}

function planOf(options: LoadOptions): GeneratorPlan {
  const { requests, seed = 1, arrivals = 'poisson', timeoutMs = 30_000 } = options
  const { warmupSeconds = 0, maxInFlight = 1000, drainMs = timeoutMs } = options
  if (requests.length === 0) {
    throw new HastenError('OPTION_INVALID', 'requests must hold at least one request, got none')
  }
  for (const [index, { weight, path }] of requests.entries()) {
    positive(`requests[${index}].weight`, weight)
    if (!path.startsWith('/')) {
      const rule = `requests[${index}].path must begin with '/'`
      throw new HastenError('OPTION_INVALID', `${rule}, got ${inspect(path)}`)
    }
  }
  if (!Number.isInteger(maxInFlight)) {
    const rule = 'maxInFlight must be a whole number'
    throw new HastenError('OPTION_INVALID', `${rule}, got ${inspect(maxInFlight)}`)
  }
  if (!Number.isInteger(seed)) {
    throw new HastenError('OPTION_INVALID', `seed must be a whole number, got ${inspect(seed)}`)
  }
  if (!(warmupSeconds >= 0)) {
    const rule = 'warmupSeconds must be 0 or above'
    throw new HastenError('OPTION_INVALID', `${rule}, got ${inspect(warmupSeconds)}`)
  }
  const seconds = positive('seconds', options.seconds) + warmupSeconds
  if (seconds > MAX_SECONDS) {
    throw new HastenError(
      'OPTION_INVALID',
      `seconds must be at most ${MAX_SECONDS}, got ${seconds}`,
    )
  }
  return {
    origin: originOf(options.origin),
    requests,
    arrivals,
    ratePerSecond: positive('ratePerSecond', options.ratePerSecond),
    warmupMs: warmupSeconds * 1000,
    windowMs: seconds * 1000,
    seed,
    maxInFlight: positive('maxInFlight', maxInFlight),
    timeoutMs: positive('timeoutMs', timeoutMs),
    drainMs: positive('drainMs', drainMs),
  }
}
