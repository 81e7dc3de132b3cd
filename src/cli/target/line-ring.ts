/** Line ring: the last lines of an output, whatever its length. The rest is counted and forgotten. */
import { StringDecoder } from 'node:string_decoder'

/** Longer lines are cut: an application may print a document of megabytes without a line break. */
const MAX_LINE = 4_096

export class LineRing {
  readonly #limit: number
  readonly #onLine: ((line: string) => void) | undefined
  readonly #lines: string[] = []
  readonly #decoder = new StringDecoder('utf8')
  #partial = ''
  #isCut = false
  #forgotten = 0

  constructor(limit: number, onLine?: (line: string) => void) {
    this.#limit = limit
    this.#onLine = onLine
  }

  get forgotten(): number {
    return this.#forgotten
  }

  write(chunk: Buffer): void {
    const [head = '', ...rest] = this.#decoder.write(chunk).split('\n')
    this.#grow(head)
    for (const piece of rest) {
      this.#land()
      this.#grow(piece)
    }
  }

  /** The output has ended: what stands behind its last line break is a line too. */
  end(): void {
    this.#grow(this.#decoder.end())
    if (this.#partial !== '') this.#land()
  }

  last(count: number = this.#limit): string[] {
    return this.#lines.slice(-count)
  }

  #grow(piece: string): void {
    if (this.#isCut) return
    this.#partial += piece
    if (this.#partial.length <= MAX_LINE) return
    this.#partial = `${this.#partial.slice(0, MAX_LINE)}…`
    this.#isCut = true
  }

  #land(): void {
    const line = this.#partial.endsWith('\r') ? this.#partial.slice(0, -1) : this.#partial
    this.#partial = ''
    this.#isCut = false
    this.#lines.push(line)
    if (this.#lines.length > this.#limit) {
      this.#lines.shift()
      this.#forgotten += 1
    }
    this.#onLine?.(line)
  }
}
