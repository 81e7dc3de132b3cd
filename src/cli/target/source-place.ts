/**
 * Source place: where a line of compiled code stands in what was written.
 *
 * The compiled file names its map in its last lines (`//# sourceMappingURL=`), as a file beside it
 * or inline. Node's own decoder reads it. Without a map, or with one that cannot be read, the place
 * in the compiled file is the answer: a wrong line would be worse.
 *
 * One reader a report; bound: 1,000 files, later ones stay unmapped.
 */
import { readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { dirname, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

export interface Place {
  readonly file: string
  /** From 1. */
  readonly line: number
  /** Name in the source, where the map knows it. */
  readonly name?: string
}

type Payload = ConstructorParameters<typeof SourceMap>[0]

const MAX_FILES = 1_000

export class SourcePlaces {
  readonly #maps = new Map<string, SourceMap | undefined>()

  placeOf(file: string, line: number, column: number): Place {
    const entry = this.#mapOf(file)?.findEntry(line - 1, column - 1)
    if (entry === undefined || !('originalSource' in entry)) return { file, line }
    const { originalSource, originalLine } = entry
    if (!originalSource || originalLine === undefined) return { file, line }
    const { name } = entry as { name?: string }
    return {
      file: pathOf(originalSource, file),
      line: originalLine + 1,
      ...(name ? { name } : {}),
    }
  }

  #mapOf(file: string): SourceMap | undefined {
    if (this.#maps.has(file)) return this.#maps.get(file)
    const map = this.#maps.size < MAX_FILES ? readMap(file) : undefined
    this.#maps.set(file, map)
    return map
  }
}

function readMap(file: string): SourceMap | undefined {
  if (!/^(?:\/|[A-Za-z]:[\\/])/.test(file)) return undefined
  try {
    const source = readFileSync(file, 'utf8')
    const url = /\/\/[#@] sourceMappingURL=(\S+)\s*$/.exec(source.trimEnd())?.[1]
    if (url === undefined) return undefined
    const inline = /^data:application\/json[^,]*?(;base64)?,(.*)$/s.exec(url)
    const text =
      inline === null
        ? readFileSync(resolve(dirname(file), decodeURIComponent(url)), 'utf8')
        : Buffer.from(decodeURIComponent(inline[2] ?? ''), inline[1] ? 'base64' : 'utf8').toString()
    const payload = JSON.parse(text) as Payload
    return new SourceMap(payload)
  } catch {
    return undefined
  }
}

function pathOf(source: string, file: string): string {
  try {
    return fileURLToPath(new URL(source, pathToFileURL(file)))
  } catch {
    return source
  }
}
