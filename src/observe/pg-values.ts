/**
 * Values of statements, as salted hashes: what went in and what came out.
 *
 * Only for requests that are looked at in depth. Whether a later call needs an earlier one's answer
 * is told by whether a value of that answer goes into it, and hashes are enough to compare.
 *
 * Left out: null, booleans and the empty text, which are equal by chance. Arrays and JSON are taken
 * apart, because their elements travel alone. Bounds: 512 values, 64 rows, 8 levels.
 */
import { hashValue } from '../core/value-hash.ts'
import { stripSql } from '../core/sql-lexer.ts'

const MOST_VALUES = 512
const MOST_ROWS = 64
const DEEPEST = 8

/** Parameters in order, then the literals in the text. */
export function hashesOfInputs(text: string, values: readonly unknown[] | undefined): number[] {
  const hashes: number[] = []
  if (Array.isArray(values)) {
    for (const value of values) collect(hashes, value, 0)
  }
  const literals: string[] = []
  stripSql(text, literals)
  for (const literal of literals) collect(hashes, literal, 0)
  return hashes
}

/** Rows as objects or as arrays. */
export function hashesOfRows(rows: readonly unknown[] | undefined): number[] {
  const hashes: number[] = []
  if (!Array.isArray(rows)) return hashes
  for (let i = 0; i < rows.length && i < MOST_ROWS; i++) collect(hashes, rows[i], 0)
  return hashes
}

function collect(hashes: number[], value: unknown, depth: number): void {
  if (hashes.length >= MOST_VALUES || depth > DEEPEST) return
  if (typeof value === 'string') {
    if (value !== '') hashes.push(hashValue(value))
  } else if (typeof value === 'number' || typeof value === 'bigint') {
    hashes.push(hashValue(String(value)))
  } else if (value instanceof Date) {
    if (!Number.isNaN(value.getTime())) hashes.push(hashValue(value))
  } else if (value instanceof Uint8Array) hashes.push(hashValue(value))
  else if (typeof value === 'object' && value !== null) {
    for (const each of Object.values(value)) collect(hashes, each, depth + 1)
  }
}
