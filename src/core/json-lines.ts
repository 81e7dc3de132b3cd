/**
 * JSON lines: cuts a stream of bytes into documents, one a line.
 *
 * The other side may be anything: what is no JSON object is dropped and counted, and a line that
 * outgrows the limit is dropped without being kept in memory. Chunks of a long line are joined once,
 * when it is complete.
 */

export interface JsonLinesOptions {
  readonly maxBytes: number
  /** What it throws is the caller's own affair and comes out of `write`. */
  readonly onDocument: (document: Record<string, unknown>) => void
}

const LINE_FEED = 0x0a

export class JsonLines {
  readonly #maxBytes: number
  readonly #onDocument: (document: Record<string, unknown>) => void
  #chunks: Buffer[] = []
  #bytes = 0
  #garbage = 0

  constructor({ maxBytes, onDocument }: JsonLinesOptions) {
    this.#maxBytes = maxBytes
    this.#onDocument = onDocument
  }

  /** Lines that were dropped. */
  get garbage(): number {
    return this.#garbage
  }

  write(chunk: Buffer): void {
    let start = 0
    for (;;) {
      const end = chunk.indexOf(LINE_FEED, start)
      if (end === -1) break
      this.#keep(chunk.subarray(start, end))
      start = end + 1
      this.#land()
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start))
  }

  #keep(piece: Buffer): void {
    this.#bytes += piece.length
    if (this.#bytes > this.#maxBytes) this.#chunks = []
    else if (piece.length > 0) this.#chunks.push(piece)
  }

  #land(): void {
    const isTooLong = this.#bytes > this.#maxBytes
    const line = isTooLong ? '' : Buffer.concat(this.#chunks).toString('utf8')
    this.#chunks = []
    this.#bytes = 0
    const document = objectOf(line)
    if (document === undefined) this.#garbage += 1
    else this.#onDocument(document)
  }
}

function objectOf(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    return value as Record<string, unknown>
  } catch {
    return undefined
  }
}
