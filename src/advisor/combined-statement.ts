/**
 * Combined statement: one that answers what a loop asks one by one.
 *
 *   SELECT id, total FROM orders WHERE user_id = $1 ORDER BY id
 *   SELECT user_id, id, total FROM orders WHERE user_id = ANY($1) ORDER BY user_id, id
 *
 * Four forms, from the simplest that keeps the answer:
 *   - rows by key: `= ANY($1)`, the key joins the result so that rows find their way back;
 *   - aggregates without GROUP BY: the same, grouped by the key. A key without rows has no group, where
 *     the single statement answered one row: said in the note;
 *   - a LIMIT for each key: LATERAL over the keys;
 *   - all else (UNION, DISTINCT, windows, conditions under OR): no SQL, words.
 */
import type { StatementText, Token } from './statement-text.ts'

export interface Combined {
  readonly sql: string
  /** Column that the key is compared with, without its alias. */
  readonly column: string
  readonly note?: string
}

const obstacles =
  /^(?:UNION|INTERSECT|EXCEPT|DISTINCT|WINDOW|OVER|HAVING|OR|NOT|OFFSET|FETCH|WITH)$/
const aggregate =
  /^(?:COUNT|SUM|AVG|MIN|MAX|BOOL_AND|BOOL_OR|ARRAY_AGG|JSON_AGG|JSONB_AGG|STRING_AGG)$/

/** `parameter`: number of the one that the loop varies, where it is known. */
export function combinedOf(
  statement: StatementText,
  parameter: number | undefined,
): Combined | undefined {
  const { tokens, text } = statement
  if (tokens[0]?.word !== 'SELECT' || !statement.isRead) return undefined
  if (tokens.some(({ word }) => obstacles.test(word))) return undefined
  if (tokens.filter(({ word }) => word === 'SELECT').length > 1) return undefined
  const top = tokens.filter(({ depth }) => depth === 0)
  const from = top.find(({ word }) => word === 'FROM')
  const where = top.find(({ word }) => word === 'WHERE')
  if (from === undefined || where === undefined) return undefined
  const key = keyOf(tokens, where, parameter)
  if (key === undefined) return undefined

  // Keywords of ours are written as the statement writes its own.
  const spelt = (words: string) => (tokens[0]?.text === 'SELECT' ? words : words.toLowerCase())
  const limit = top.find(({ word }) => word === 'LIMIT')
  const group = top.find(({ word }) => word === 'GROUP')
  const order = top.find(({ word }) => word === 'ORDER')
  if (limit !== undefined) return lateralOf(text, key, spelt)

  const select = text.slice('SELECT'.length, from.at).trim()
  const calls = tokens.filter(
    ({ word, at }, i) => aggregate.test(word) && tokens[i + 1]?.text === '(' && at < from.at,
  )
  if (calls.length === 0 && group === undefined) {
    const lists = isListed(tokens, from, key.column)
    const body = replaced(text.slice(from.at, order?.at), key, from.at, spelt)
    const columns = lists ? select : `${key.reference}, ${select}`
    const sorted = order === undefined ? '' : orderedBy(key.reference, text.slice(order.at))
    return { sql: `${spelt('SELECT')} ${columns} ${body.trim()}${sorted}`, column: key.column }
  }
  if (group !== undefined || order !== undefined || !isAllAggregate(tokens, from)) return undefined
  const body = replaced(text.slice(from.at), key, from.at, spelt).trim()
  return {
    sql: `${spelt('SELECT')} ${key.reference}, ${select} ${body} ${spelt('GROUP BY')} ${key.reference}`,
    column: key.column,
    note: 'A key without rows has no row in the result, where the single statement gave one.',
  }
}

interface Key {
  /** As it stands in the text, `o.user_id`. */
  readonly reference: string
  readonly column: string
  readonly parameter: string
  readonly start: number
  readonly end: number
}

/** The equality of the condition that the loop varies; undefined where there may be several. */
function keyOf(
  tokens: readonly Token[],
  where: Token,
  parameter: number | undefined,
): Key | undefined {
  const keys: Key[] = []
  for (const [i, token] of tokens.entries()) {
    if (token.at < where.at || token.text !== '=' || token.depth > where.depth + 1) continue
    const left = tokens[i - 1]
    const right = tokens[i + 1]
    if (left === undefined || right === undefined || !/^\$\d+$/.test(right.text)) continue
    if (!/^["\p{L}_]/u.test(left.text)) continue
    const after = tokens[i + 2]
    const isCast = after?.text === '::'
    if (after !== undefined && !isCast && !/^(?:AND|ORDER|LIMIT|GROUP|\)|;)$/.test(after.word))
      continue
    const last = isCast ? (tokens[i + 3] ?? after) : right
    const isQualified = tokens[i - 2]?.text === '.'
    const qualifier = isQualified ? `${tokens[i - 3]?.text}.` : ''
    const column = left.text.replaceAll('"', '')
    keys.push({
      reference: `${qualifier}${left.text}`,
      column,
      parameter: right.text,
      start: token.at,
      end: last.at + last.text.length,
    })
  }
  const chosen = keys.filter((key) => parameter === undefined || key.parameter === `$${parameter}`)
  const only = chosen.length === 1 ? chosen[0] : undefined
  const isUsedOnce =
    only !== undefined && tokens.filter(({ text }) => text === only.parameter).length === 1
  return isUsedOnce ? only : undefined
}

type Spelling = (words: string) => string

function replaced(part: string, key: Key, offset: number, spelt: Spelling): string {
  const start = key.start - offset
  return `${part.slice(0, start)}= ${spelt('ANY')}(${key.parameter})${part.slice(key.end - offset)}`
}

function lateralOf(text: string, key: Key, spelt: Spelling): Combined {
  const body = `${text.slice(0, key.start)}= keys.key${text.slice(key.end)}`.replace(/;\s*$/, '')
  return {
    sql: `${spelt('SELECT keys.key, one.* FROM')} unnest(${key.parameter}::bigint[]) ${spelt('AS keys (key) CROSS JOIN LATERAL')} (${body}) ${spelt('AS')} one`,
    column: 'key',
    note: `Put the type of ${key.reference} in the place of bigint.`,
  }
}

function orderedBy(reference: string, clause: string): string {
  return ` ${clause.replace(/^ORDER\s+BY\s+/i, (head) => `${head}${reference}, `).replace(/;\s*$/, '')}`
}

function isListed(tokens: readonly Token[], from: Token, column: string): boolean {
  const list = tokens.filter(({ at, depth }) => at < from.at && depth === 0)
  return list.some(({ text }, i) => {
    const isStar = text === '*' && (list[i - 1]?.word === 'SELECT' || list[i - 1]?.text === ',')
    const isColumn = text.replaceAll('"', '') === column && list[i + 1]?.word !== 'AS'
    return isStar || isColumn || (text === '*' && list[i - 1]?.text === '.')
  })
}

/** Every item of the list is one aggregate, whatever is done with its result. */
function isAllAggregate(tokens: readonly Token[], from: Token): boolean {
  const list = tokens.slice(1).filter(({ at }) => at < from.at)
  let isFirst = true
  for (const { word, text, depth } of list) {
    if (isFirst && !aggregate.test(word)) return false
    isFirst = text === ',' && depth === 0
  }
  return true
}
