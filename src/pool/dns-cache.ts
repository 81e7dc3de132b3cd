/**
 * DNS cache: addresses of names, for as long as they may be believed.
 *
 *   lookup ─▶ known and fresh ─────────────▶ answer
 *        ├──▶ known and old ──▶ answer, and ask again behind the caller's back
 *        └──▶ unknown ────────▶ ask, one question for all who wait
 *
 * Node asks the system for each connection, four at a time in the thread pool that files and
 * compression use as well. It stands where `net.connect` takes a `lookup`, so that names stay names
 * (TLS, `Host`, the timeline) and Node goes on trying both families of addresses.
 *
 * - Names that move: whoever keeps connections alive never asks again. `touch`, called for each
 *   request, asks once a lifetime; where not one address is left of the old ones, `onMoved` tells.
 * - A name server that fails: the old addresses serve on, for an hour at the most.
 * - Errors are not kept.
 *
 * Bound: `maxNames`; beyond, the one that was asked for least recently is forgotten.
 */
import { lookup as systemLookup, type LookupAddress, type LookupAllOptions } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { type Clock, monotonic } from '../core/clock.ts'

export type LookupAll = (
  name: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

export interface DnsCacheOptions {
  readonly ttlMs: number
  readonly maxNames: number
  /** @default dns.lookup */
  readonly lookup?: LookupAll | undefined
  /** No address of before is left. */
  readonly onMoved?: ((name: string) => void) | undefined
  readonly clock?: Clock | undefined
}

export interface DnsStats {
  readonly names: number
  /** Answered from the cache. */
  readonly hits: number
  /** Questions to the system. */
  readonly lookups: number
  readonly failures: number
}

interface Entry {
  readonly addresses: readonly LookupAddress[]
  readonly askedAt: number
}

type Answer = (error: NodeJS.ErrnoException | null, addresses: readonly LookupAddress[]) => void

const LONGEST_STALE_MS = 3_600_000

export class DnsCache {
  readonly #ttlMs: number
  readonly #maxNames: number
  readonly #lookup: LookupAll
  readonly #onMoved: (name: string) => void
  readonly #clock: Clock
  readonly #entries = new Map<string, Entry>()
  readonly #asking = new Map<string, Answer[]>()
  #hits = 0
  #lookups = 0
  #failures = 0

  constructor(options: DnsCacheOptions) {
    this.#ttlMs = options.ttlMs
    this.#maxNames = options.maxNames
    this.#lookup = options.lookup ?? systemLookup
    this.#onMoved = options.onMoved ?? (() => {})
    this.#clock = options.clock ?? monotonic
  }

  /** For `net.connect` and `tls.connect`. */
  readonly lookup: LookupFunction = (name, options, callback) => {
    this.#addresses(name, (error, all) => {
      if (error !== null) {
        callback(error, [])
        return
      }
      const family = options.family === 'IPv4' ? 4 : options.family === 'IPv6' ? 6 : options.family
      const fitting = family === 4 || family === 6 ? all.filter((a) => a.family === family) : all
      const [first] = fitting
      if (first === undefined) {
        const message = `${name} has no address of family ${family ?? 'any'}`
        callback(Object.assign(new Error(message), { code: 'ENOTFOUND' }), [])
      } else if (options.all) callback(null, [...fitting])
      else callback(null, first.address, first.family)
    })
  }

  /** The name is in use: asks again once its lifetime is over. */
  touch(name: string): void {
    const entry = this.#entries.get(name)
    if (entry !== undefined && !this.#isFresh(entry)) this.#ask(name)
  }

  stats(): DnsStats {
    return {
      names: this.#entries.size,
      hits: this.#hits,
      lookups: this.#lookups,
      failures: this.#failures,
    }
  }

  #addresses(name: string, answer: Answer): void {
    const entry = this.#entries.get(name)
    if (entry === undefined || !this.#mayServe(entry)) {
      this.#ask(name, answer)
      return
    }
    this.#hits++
    // To the end: the least recently used is the first.
    this.#entries.delete(name)
    this.#entries.set(name, entry)
    if (!this.#isFresh(entry)) this.#ask(name)
    // A connection attempt listens for errors only once `net.connect` has returned.
    process.nextTick(answer, null, entry.addresses)
  }

  #mayServe({ askedAt }: Entry): boolean {
    return this.#clock.now() - askedAt <= LONGEST_STALE_MS
  }

  #isFresh({ askedAt }: Entry): boolean {
    return this.#clock.now() - askedAt < this.#ttlMs
  }

  #ask(name: string, answer?: Answer): void {
    const asking = this.#asking.get(name)
    if (asking !== undefined) {
      if (answer) asking.push(answer)
      return
    }
    const answers = answer ? [answer] : []
    this.#asking.set(name, answers)
    this.#lookups++
    this.#lookup(name, { all: true }, (error, addresses) => {
      this.#asking.delete(name)
      if (error !== null) {
        this.#failures++
        const known = this.#entries.get(name)
        for (const one of answers) {
          if (known !== undefined && this.#mayServe(known)) one(null, known.addresses)
          else one(error, [])
        }
        return
      }
      this.#keep(name, addresses)
      for (const one of answers) one(null, addresses)
    })
  }

  #keep(name: string, addresses: readonly LookupAddress[]): void {
    const before = this.#entries.get(name)
    this.#entries.delete(name)
    this.#entries.set(name, { addresses, askedAt: this.#clock.now() })
    if (this.#entries.size > this.#maxNames) {
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest)
        break
      }
    }
    if (before === undefined) return
    const now = new Set(addresses.map(({ address }) => address))
    if (!before.addresses.some(({ address }) => now.has(address))) this.#onMoved(name)
  }
}
