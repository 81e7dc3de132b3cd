/**
 * Hashed: the values in a URL and in a JSON document, as salted hashes.
 *
 * Whether a second call depends on the first is told by whether a value that came out of the first
 * goes into the second. To compare them nobody needs the values, and they never leave the process.
 *
 * A value in a path is text, in a body a number: `hashValue` of both must agree, so numbers are
 * hashed as text. Bounded: 512 values, 8 levels, 256 kB of text.
 */
import { hashValue } from '../core/value-hash.ts'

const MOST_VALUES = 512
const DEEPEST = 8
const LONGEST_TEXT = 256 * 1024

/** Segments of the path and values of the query string. */
export function hashesOfPath(url: string): number[] {
  const [path = '', query = ''] = url.split('?', 2)
  const hashes: number[] = []
  for (const segment of path.split('/')) {
    if (segment !== '') hashes.push(hashValue(decode(segment)))
  }
  if (query !== '') for (const value of new URLSearchParams(query).values()) add(hashes, value)
  return hashes.slice(0, MOST_VALUES)
}

/** Scalars in a parsed body, depth first. */
export function hashesOf(value: unknown): number[] {
  const hashes: number[] = []
  collect(hashes, value, 0)
  return hashes
}

/** Scalars of a JSON text; `undefined` where it is none, or too long to look at. */
export function hashesOfJson(text: string): number[] | undefined {
  if (text.length > LONGEST_TEXT) return undefined
  try {
    return hashesOf(JSON.parse(text))
  } catch {
    return undefined
  }
}

function collect(hashes: number[], value: unknown, depth: number): void {
  if (hashes.length >= MOST_VALUES || depth > DEEPEST) return
  if (typeof value !== 'object' || value === null) add(hashes, value)
  else if (!ArrayBuffer.isView(value)) {
    for (const each of Object.values(value)) collect(hashes, each, depth + 1)
  }
}

function add(hashes: number[], value: unknown): void {
  // Booleans, null and the empty text are everywhere: equal by chance, not by dependence.
  if (typeof value === 'string' ? value !== '' : typeof value === 'number') {
    hashes.push(hashValue(String(value)))
  }
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

/** Arguments of a Redis command: each whole, and a key (`user:42`) also in its parts. */
export function hashesOfTokens(args: readonly unknown[]): number[] {
  const hashes: number[] = []
  for (const arg of args) {
    const text = textOf(arg)
    if (text === undefined) continue
    add(hashes, text)
    if (text.length > 256 || !/[:/|]/.test(text)) continue
    for (const part of text.split(/[:/|]/)) add(hashes, part)
  }
  return hashes.slice(0, MOST_VALUES)
}

/** Values of a Redis reply; what is JSON in it also value by value. */
export function hashesOfReply(reply: unknown): number[] {
  const hashes: number[] = []
  for (const each of Array.isArray(reply) ? reply : [reply]) {
    const text = textOf(each)
    if (text === undefined) {
      collect(hashes, each, 0)
      continue
    }
    add(hashes, text)
    if (text.startsWith('{') || text.startsWith('[')) hashes.push(...(hashesOfJson(text) ?? []))
  }
  return hashes.slice(0, MOST_VALUES)
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8')
  return typeof value === 'number' ? String(value) : undefined
}
