/**
 * Two generations: a map that forgets what has not been asked for lately.
 *
 *   set ──▶ young ── full ──▶ becomes old, the old one is dropped
 *             ▲                 │
 *             └──── asked for ◀─┘
 *
 * Reading costs one look-up of `Map`, where a list in order of use would write at each. Bounded by
 * the number of entries and by the characters of their keys: at most twice each of the limits.
 */
export class TwoGenerations<T> {
  readonly #maxEntries: number
  readonly #maxCharacters: number
  #young = new Map<string, T>()
  #old = new Map<string, T>()
  #characters = 0

  constructor(maxEntries: number, maxCharacters: number) {
    this.#maxEntries = maxEntries
    this.#maxCharacters = maxCharacters
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }

  get(key: string): T | undefined {
    const value = this.#young.get(key)
    if (value !== undefined) return value
    const saved = this.#old.get(key)
    if (saved !== undefined) {
      this.#old.delete(key)
      this.set(key, saved)
    }
    return saved
  }

  set(key: string, value: T): void {
    this.#characters += key.length
    if (this.#young.size >= this.#maxEntries || this.#characters > this.#maxCharacters) {
      this.#old = this.#young
      this.#young = new Map()
      this.#characters = key.length
    }
    this.#young.set(key, value)
  }

  values(): T[] {
    return [...this.#young.values(), ...this.#old.values()]
  }
}
