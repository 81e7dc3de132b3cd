/**
 * Value hash: a salted 32-bit number that stands for a value, so that two values can be compared
 * without either leaving the process.
 *
 * FNV-1a over the UTF-16 units of the value's text, begun at the salt and finished with the mixer of
 * MurmurHash3, because FNV alone leaves the high bits of short texts nearly alike. `42` and `'42'`
 * are the same: a value comes out of PostgreSQL as text, goes into a URL as text and stands in JSON
 * as a number.
 *
 * Not for security against somebody who has salt and hash: 32 bits can be tried. The salt lives as
 * long as the process (or one run of the doctor, by `HASTEN_SALT`) and is never written down.
 */
import { randomInt } from 'node:crypto'

const salt = saltOf(process.env.HASTEN_SALT)

export function hashValue(value: unknown): number {
  const text = typeof value === 'string' ? value : textOf(value)
  let hash = salt
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function textOf(value: unknown): string {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? '' : value.toISOString()
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (typeof value !== 'object' || value === null) return String(value)
  try {
    return JSON.stringify(value)
  } catch {
    // Circular, or holding a bigint: all of these are alike.
    return ''
  }
}

function saltOf(given: string | undefined): number {
  if (given === undefined || given === '') return randomInt(2 ** 32 - 1) | 0
  let hash = 0x811c9dc5
  for (let i = 0; i < given.length; i++) hash = Math.imul(hash ^ given.charCodeAt(i), 0x01000193)
  return hash
}
