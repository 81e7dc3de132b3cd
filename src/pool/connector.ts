/**
 * Connector: opens the pool's connections, one `pg.Client` a call, on whichever server will do.
 *
 *   connect ─▶ gate (first come first served, back-off) ─▶ host 1 ─▶ host 2 … ─▶ client
 *
 * The gate keeps a server that starts, or is full, from being stormed. Hosts are tried in order, as
 * libpq does; a server of the wrong role is dismissed. Where we differ from libpq:
 *
 * - A host that failed, or had the wrong role, is tried last for ten seconds: otherwise each new
 *   connection would wait for the dead one first.
 * - A server that is full (53300), starting or stopping is passed over, not only one that does not
 *   answer. After a wrong password the others are not tried, as with libpq.
 *
 * `suspect` is for the pool: a server refused a write for being read-only, its role has changed. That
 * host goes last, and until the next success roles are asked for instead of believed.
 *
 * The client is the caller's from then on: attach an `error` listener before anything is awaited.
 */
import { type Clock, monotonic } from '../core/clock.ts'
import { HastenError } from '../core/errors.ts'
import { positive } from '../core/options.ts'
import { attemptConnect } from './connect-attempt.ts'
import { ConnectGate, type Outcome } from './connect-gate.ts'
import { type Host, type Hosts, hostsOf } from './hosts.ts'
import type { PgClient, PgClientClass } from './pg.ts'
import { poolEnded } from './pool-ended.ts'
import { type TargetSessionAttrs, unfit } from './session-target.ts'
import { isRefusal, isTransient } from './transient.ts'
import { WrongServer } from './wrong-server.ts'

export interface ConnectorOptions {
  readonly Client: PgClientClass
  /** What the user gave, `connectionString` included. Never changed. */
  readonly config: object
  /** Attempts under way at once. @default 4 */
  readonly maxConcurrent?: number | undefined
  /** Bound of the random wait after the first failure. @default 50 */
  readonly backoffFirstMs?: number | undefined
  /** Bound of the random wait after many. @default 5_000 */
  readonly backoffMaxMs?: number | undefined
  /**
   * For each host, until it has let us in.
   * @default `connect_timeout` of the connection string, `connectionTimeoutMillis`, or 30_000
   */
  readonly timeoutMs?: number | undefined
  /** From 0 to below 1. @default Math.random */
  readonly random?: (() => number) | undefined
  /** @default performance */
  readonly clock?: Clock | undefined
}

export interface ConnectorStats {
  readonly waiting: number
  readonly underWay: number
  /** In a row, since the last success. */
  readonly failures: number
  /** Until the next attempt may begin. */
  readonly retryInMs: number
}

const DEFAULT_TIMEOUT_MS = 30_000
const RECHECK_MS = 10_000

export class Connector {
  readonly #Client: PgClientClass
  readonly #hosts: Hosts
  readonly #timeoutMs: number
  readonly #random: () => number
  readonly #clock: Clock
  readonly #gate: ConnectGate
  /** Until when a host is tried last. */
  readonly #avoided = new Map<Host, number>()
  readonly #origins = new WeakMap<PgClient, Host>()
  readonly #underWay = new Map<AbortController, Promise<unknown>>()
  #isDoubtful = false
  #isClosed = false

  constructor(options: ConnectorOptions) {
    const { config, random = Math.random, clock = monotonic } = options
    this.#Client = options.Client
    this.#hosts = hostsOf(config)
    const { connectionTimeoutMillis } = config as { connectionTimeoutMillis?: unknown }
    this.#timeoutMs = positive(
      'timeoutMs',
      options.timeoutMs ??
        this.#hosts.timeoutMs ??
        (Number(connectionTimeoutMillis) > 0
          ? Number(connectionTimeoutMillis)
          : DEFAULT_TIMEOUT_MS),
    )
    this.#random = random
    this.#clock = clock
    this.#gate = new ConnectGate({
      maxConcurrent: positive('maxConcurrent', options.maxConcurrent ?? 4),
      backoffFirstMs: positive('backoffFirstMs', options.backoffFirstMs ?? 50),
      backoffMaxMs: positive('backoffMaxMs', options.backoffMaxMs ?? 5_000),
      random,
      clock,
    })
  }

  /**
   * One client, connected, authenticated and of the wanted role.
   *
   * @throws {HastenError} `POOL_NO_HOST` with several hosts or a wanted role: `errors` and the message
   *   tell of each. `POOL_ENDED` after `close`. With one host whatever `pg` says.
   */
  connect(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<PgClient> {
    if (this.#isClosed) return Promise.reject(poolEnded())
    const { signal } = options
    const abort = new AbortController()
    const onAbort = (): void => abort.abort(signal?.reason)
    if (signal?.aborted) onAbort()
    signal?.addEventListener('abort', onAbort, { once: true })
    const done = (): void => {
      signal?.removeEventListener('abort', onAbort)
      this.#underWay.delete(abort)
    }
    const connecting = this.#connect(abort.signal)
    this.#underWay.set(abort, connecting)
    connecting.then(done, done)
    return connecting
  }

  /** Whether waiting may mend it. */
  isTransient(error: unknown): boolean {
    return isTransient(error)
  }

  /** The role of this client's server, or of any server, is no longer what it was. */
  suspect(client?: PgClient): void {
    const host = client && this.#origins.get(client)
    if (host === undefined) this.#avoided.clear()
    else this.#avoid(host)
    this.#isDoubtful = true
  }

  stats(): ConnectorStats {
    const { waiting, underWay, failures, shutMs } = this.#gate
    return { waiting, underWay, failures, retryInMs: shutMs }
  }

  /** Ends what is under way or waits; settles when all of it is gone. */
  async close(): Promise<void> {
    this.#isClosed = true
    const connecting = [...this.#underWay.values()]
    for (const abort of this.#underWay.keys()) abort.abort(poolEnded())
    await Promise.allSettled(connecting)
  }

  async #connect(signal: AbortSignal): Promise<PgClient> {
    const passage = await this.#gate.enter(signal)
    let outcome: Outcome = 'connected'
    let cause: unknown
    try {
      return await this.#tryHosts(signal)
    } catch (error) {
      cause = error
      outcome = signal.aborted ? 'given up' : isTransient(error) ? 'transient' : 'permanent'
      throw error
    } finally {
      this.#gate.leave(passage, outcome, cause)
    }
  }

  async #tryHosts(signal: AbortSignal): Promise<PgClient> {
    const { list, target } = this.#hosts
    const failures: HostFailure[] = []
    for (const host of this.#order()) {
      try {
        return await this.#tryHost(host, signal, target)
      } catch (error) {
        if (signal.aborted || (list.length === 1 && target === 'any')) throw error
        failures.push({ host, error })
        if (isRefusal(error)) break
      }
    }
    if (target === 'prefer-standby' && failures.every(({ error }) => !isRefusal(error))) {
      for (const failure of failures.filter(({ error }) => error instanceof WrongServer)) {
        try {
          return await this.#tryHost(failure.host, signal, 'any')
        } catch (error) {
          if (signal.aborted) throw error
          failure.error = error
        }
      }
    }
    throw noHost(failures, target)
  }

  async #tryHost(host: Host, signal: AbortSignal, target: TargetSessionAttrs): Promise<PgClient> {
    const isDoubtful = this.#isDoubtful
    try {
      const client = await attemptConnect({
        Client: this.#Client,
        config: host.config,
        timeoutMs: this.#timeoutMs,
        signal,
        unfit:
          target === 'any'
            ? undefined
            : (one, reported) => unfit(one, target, reported, isDoubtful),
      })
      this.#origins.set(client, host)
      this.#avoided.delete(host)
      if (isDoubtful) this.#isDoubtful = false
      return client
    } catch (error) {
      if (!signal.aborted) this.#avoid(host)
      throw error
    }
  }

  #avoid(host: Host): void {
    this.#avoided.set(host, this.#clock.now() + RECHECK_MS)
  }

  /** Those to be avoided last; each group in the order given, or shuffled. */
  #order(): Host[] {
    const { list, isShuffled } = this.#hosts
    if (list.length === 1) return [...list]
    const now = this.#clock.now()
    const hosts = isShuffled ? shuffled(list, this.#random) : [...list]
    const isAvoided = (host: Host): boolean =>
      (this.#avoided.get(host) ?? Number.NEGATIVE_INFINITY) > now
    return [...hosts.filter((host) => !isAvoided(host)), ...hosts.filter(isAvoided)]
  }
}

interface HostFailure {
  readonly host: Host
  error: unknown
}

function noHost(failures: readonly HostFailure[], target: TargetSessionAttrs): HastenError {
  const told = failures.map(({ host, error }) => `${host.name} ${reasonOf(error)}`).join('; ')
  const error = new HastenError(
    'POOL_NO_HOST',
    `no server to connect to${target === 'any' ? '' : ` (wanted: ${target})`}: ${told}`,
    { cause: failures.at(-1)?.error },
  )
  return Object.assign(error, { errors: failures.map((failure) => failure.error) })
}

/** A localhost that is refused on both families has a code and no message. */
function reasonOf(error: unknown): string {
  if (error instanceof WrongServer) return error.message
  if (!(error instanceof Error)) return String(error)
  const { code } = error as { code?: unknown }
  return `(${error.message || (typeof code === 'string' ? code : error.name)})`
}

function shuffled<T>(list: readonly T[], random: () => number): T[] {
  const result = [...list]
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[result[i], result[j]] = [result[j] as T, result[i] as T]
  }
  return result
}
