/**
 * The sides of a comparison as processes: one runs at a time, freshly started for each measurement,
 * and is gone before the next one starts. So both may want the same port, and neither inherits the
 * other's caches, heap or compiled code.
 *
 *   start ─▶ listens ─▶ warm-up, not counted ─▶ counted load ─▶ search of the goal's rate ─▶ stop
 */
import { type Measurement, nameOf } from '../../compare/index.ts'
import { HastenError, isHastenError } from '../../core/errors.ts'
import {
  autoRate,
  type LatencyGoal,
  type PlannedRequest,
  runLoad,
  runSequence,
  searchRate,
} from '../../load/index.ts'
import type { Progress } from '../../report/index.ts'
import { Target, type TargetExit } from '../target/index.ts'
import { argvOf } from './command-line.ts'
import { measurementOf } from './measured-run.ts'
import { originOf } from '../origin.ts'

/** Held against the highest rate that the slower side kept up with: both have room. */
const SHARE = 0.5
const SEARCH_SECONDS = 12
const GOAL_SECONDS = 20
const SOLO_MAX = 60
const WARNINGS_MAX = 20

export interface SidesOptions {
  readonly commands: readonly string[]
  /** Of the sides' processes. @default compare's own */
  readonly env?: NodeJS.ProcessEnv | undefined
  readonly requests: readonly PlannedRequest[]
  readonly readyTimeoutMs: number
  readonly isRemoteAllowed: boolean
  readonly seed: number
  readonly signal: AbortSignal
  readonly progress: Progress
}

export interface LoadPlan {
  readonly ratePerSecond: number
  readonly seconds: number
  readonly warmupSeconds: number
  readonly goal: SideGoal | undefined
}

export type SideGoal = LatencyGoal & { readonly quantile: number }

interface Running {
  readonly target: Target
  readonly origin: string
  /** Ends with the comparison's own signal, and when the server exits. */
  readonly signal: AbortSignal
}

export class Sides {
  readonly #options: SidesOptions
  readonly #warnings = new Set<string>()

  constructor(options: SidesOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#options.commands.length
  }

  /** What a reader must know of the numbers: a process that was killed, or did not answer. */
  get warnings(): readonly string[] {
    return [...this.#warnings]
  }

  /** A rate that the slowest side holds with ease, and the sides that did not even keep up with one. */
  async findRate(): Promise<{ ratePerSecond: number; overwhelmed: number[] }> {
    const { requests, seed, progress } = this.#options
    const rates: number[] = []
    const overwhelmed: number[] = []
    for (let side = 0; side < this.count; side++) {
      await this.#run(
        side,
        `finding a rate that ${nameOf(side)} holds`,
        async ({ target, origin, signal }) => {
          const few = requests.slice(0, SOLO_MAX)
          await runSequence(few, { origin, signal, onAnswer: () => this.#assertAllowed(target) })
          const solo = await runSequence(few, { origin, signal })
          signal.throwIfAborted()
          const found = await autoRate({
            origin,
            requests,
            solo,
            seed,
            signal,
            share: SHARE,
            budgetSeconds: SEARCH_SECONDS,
            onProgress: (_, rate) => {
              progress.update(
                `finding a rate that ${nameOf(side)} holds`,
                `${rate.toFixed(0)} per second`,
              )
            },
          })
          rates.push(found.ratePerSecond)
          if (!found.keepsUp) overwhelmed.push(side)
        },
      )
    }
    return { ratePerSecond: Number(Math.min(...rates).toPrecision(3)), overwhelmed }
  }

  async measure(
    turn: Pick<Measurement, 'side' | 'isControl' | 'round'>,
    plan: LoadPlan,
    step: string,
  ): Promise<Measurement> {
    const { requests, seed, progress } = this.#options
    return this.#run(turn.side, step, async ({ target, origin, signal }) => {
      const base = { origin, requests, ratePerSecond: plan.ratePerSecond, signal }
      await this.#warm({ target, origin, signal }, plan, turn.round)
      await target.beginPhase()
      const load = await runLoad({
        ...base,
        seconds: plan.seconds,
        // The same for every side of a round, another for each round.
        seed: seed + turn.round,
        onProgress: ({ done, elapsedSeconds }) => {
          this.#assertAllowed(target)
          progress.update(
            step,
            `${done} requests, ${elapsedSeconds.toFixed(0)} of ${plan.seconds} s`,
          )
        },
      })
      const phase = await target.takePhase()
      for (const warning of target.warnings) {
        if (this.#warnings.size < WARNINGS_MAX)
          this.#warnings.add(`${nameOf(turn.side)}: ${warning}`)
      }
      signal.throwIfAborted()
      const throughput =
        plan.goal === undefined
          ? load.completedPerSecond
          : await this.#holds(plan, plan.goal, base, step, GOAL_SECONDS)
      signal.throwIfAborted()
      return { ...turn, ...measurementOf(load, phase, target.seen()), throughput }
    })
  }

  /** Only the highest rate that holds the goal, once; per second. For where time is short. */
  async searchGoal(
    side: number,
    plan: LoadPlan & { readonly goal: SideGoal; readonly goalSeconds: number },
    step: string,
  ): Promise<number> {
    const { requests } = this.#options
    return this.#run(side, step, async (running) => {
      const { origin, signal } = running
      await this.#warm(running, plan, 0)
      const base = { origin, requests, signal }
      const found = await this.#holds(plan, plan.goal, base, step, plan.goalSeconds)
      signal.throwIfAborted()
      return found
    })
  }

  async #warm({ target, origin, signal }: Running, plan: LoadPlan, round: number): Promise<void> {
    const { requests, seed } = this.#options
    // Many applications connect when they are asked first.
    await runSequence(requests.slice(0, 1), { origin, signal })
    this.#assertAllowed(target)
    if (plan.warmupSeconds <= 0) return
    await runLoad({
      ...{ origin, requests, signal, ratePerSecond: plan.ratePerSecond },
      seconds: plan.warmupSeconds,
      // Another seed: what is counted shall not have been asked a moment ago, in the same order.
      seed: seed + 1_000_003 + round,
      onProgress: () => this.#assertAllowed(target),
    })
    signal.throwIfAborted()
  }

  async #holds(
    plan: LoadPlan,
    goal: LatencyGoal,
    base: { origin: string; requests: readonly PlannedRequest[]; signal: AbortSignal },
    step: string,
    budgetSeconds: number,
  ): Promise<number> {
    const { progress, seed } = this.#options
    const found = await searchRate({
      ...base,
      seed,
      goal,
      startRate: Math.max(1, plan.ratePerSecond),
      budgetSeconds,
      onProgress: (_, rate) => progress.update(step, `goal at ${rate.toFixed(0)} per second`),
    })
    return found.ratePerSecond
  }

  /** Asked again and again: a driver may connect to its database only when it is needed. */
  #assertAllowed(target: Target): void {
    if (this.#options.isRemoteAllowed) return
    const remote = target.databases().find(({ isLoopback }) => !isLoopback)
    if (remote === undefined) return
    throw new HastenError(
      'DATABASE_REMOTE',
      `it uses the database ${remote.database} on ${remote.host}:${remote.port}, which is not this machine. Say --allow-remote-database if load on it is fine.`,
    )
  }

  /** Starts a side, does the work, stops it; whatever goes wrong is told with the side's name. */
  async #run<T>(side: number, step: string, work: (running: Running) => Promise<T>): Promise<T> {
    const { commands, env, readyTimeoutMs, signal, progress } = this.#options
    const command = commands[side] ?? ''
    progress.update(step, 'starting')
    let target: Target
    try {
      target = await Target.start(argvOf(command), {
        ...(env === undefined ? {} : { env }),
        ...{ readyTimeoutMs, signal },
      })
    } catch (error) {
      throw named(side, command, error, signal)
    }
    const gone = new AbortController()
    let exit: TargetExit | undefined
    void target.exited.then((how) => {
      exit = how
      gone.abort(new Error('the server ended'))
    })
    try {
      const origin = originOf(target.listening)
      const running = { target, origin, signal: AbortSignal.any([signal, gone.signal]) }
      this.#assertAllowed(target)
      const result = await work(running)
      this.#assertAllowed(target)
      return result
    } catch (error) {
      throw named(side, command, exit === undefined ? error : crashed(exit), signal)
    } finally {
      await target.stop()
    }
  }
}

function crashed({ code, signal, crash }: TargetExit): HastenError {
  const how = signal === null ? `with code ${code ?? 'unknown'}` : `by ${signal}`
  return new HastenError(
    'TARGET_EXITED',
    `it ended ${how} while it was measured.${crash === undefined ? '' : `\n${crash}`}`,
  )
}

/** An interruption stays what it is; our own errors keep their code. */
function named(side: number, command: string, error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason
  if (!isHastenError(error)) return error
  return new HastenError(error.code, `side ${nameOf(side)} (${command}): ${error.message}`, {
    cause: error,
  })
}
