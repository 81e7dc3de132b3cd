/**
 * Page statement: one page of what a statement reads whole, continued at the last key.
 *
 *   SELECT id, total FROM orders WHERE day = $1 ORDER BY id
 *   SELECT id, total FROM orders WHERE day = $1 AND id > $2 ORDER BY id LIMIT 100
 *
 * The key is what it is ordered by, where that is one plain column, else a column `id` that it lists.
 * With anything that a condition cannot simply be added to, there is no SQL. Whether the column is
 * unique only the schema knows: said by whoever shows it.
 */
import type { StatementText, Token } from './statement-text.ts'

const obstacles =
  /^(?:UNION|INTERSECT|EXCEPT|DISTINCT|GROUP|HAVING|WINDOW|OVER|LIMIT|OFFSET|FETCH|WITH|OR|DESC|NULLS)$/

export interface PageStatement {
  readonly sql: string
  readonly column: string
}

export function pageOf(statement: StatementText): PageStatement | undefined {
  const { tokens, text } = statement
  if (tokens[0]?.word !== 'SELECT' || !statement.isRead) return undefined
  if (tokens.some(({ word }) => obstacles.test(word))) return undefined
  const top = tokens.filter(({ depth }) => depth === 0)
  const from = top.find(({ word }) => word === 'FROM')
  if (from === undefined) return undefined
  const where = top.some(({ word }) => word === 'WHERE')
  const order = top.find(({ word }) => word === 'ORDER')
  const column = order === undefined ? listedId(top, from) : plainColumn(tokens, order)
  if (column === undefined) return undefined

  const spelt = (words: string) => (tokens[0]?.text === 'SELECT' ? words : words.toLowerCase())
  const parameters = tokens.flatMap(({ text: each }) =>
    /^\$\d+$/.test(each) ? [Number(each.slice(1))] : [],
  )
  const next = `$${Math.max(0, ...parameters) + 1}`
  const body = text.slice(0, order?.at).replace(/;?\s*$/, '')
  const sql = `${body} ${spelt(where ? 'AND' : 'WHERE')} ${column} > ${next} ${spelt('ORDER BY')} ${column} ${spelt('LIMIT')} 100`
  return { sql, column }
}

function plainColumn(tokens: readonly Token[], order: Token): string | undefined {
  const clause = tokens
    .slice(tokens.indexOf(order) + 2)
    .filter(({ text, word }) => text !== ';' && word !== 'ASC')
    .map(({ text }) => text)
    .join('')
  return /^(?:[\w"]+\.)?(?:[A-Za-z_]\w*|"[^"]+")$/.test(clause) ? clause : undefined
}

function listedId(top: readonly Token[], from: Token): string | undefined {
  const at = top.findIndex(({ text, at: place }) => text === 'id' && place < from.at)
  if (at === -1) return undefined
  const isQualified = top[at - 1]?.text === '.'
  return isQualified ? `${top[at - 2]?.text}.id` : 'id'
}
