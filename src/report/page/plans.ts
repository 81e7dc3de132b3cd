/** Plans by EXPLAIN as an indented tree: a node a line, its conditions below it. */
import type { PlanFacts, StatementFacts } from '../../core/facts.ts'
import { count } from '../figures.ts'
import { html, type Markup } from './markup.ts'

const PLANS_MAX = 30
const LINES_MAX = 120
const DEPTH_MAX = 40
const CONDITIONS = [
  'Index Cond',
  'Recheck Cond',
  'Hash Cond',
  'Merge Cond',
  'Join Filter',
  'Filter',
]

export function plansMarkup(
  plans: readonly PlanFacts[],
  statements: readonly StatementFacts[],
): Markup {
  const texts = new Map(statements.map(({ id, text }) => [id, text]))
  return html`<div class="card long plan">${plans
    .slice(0, PLANS_MAX)
    .map(({ statement, plan, error }) => {
      const text = texts.get(statement) ?? `statement ${statement}`
      const lines =
        plan === undefined ? [`No plan: ${error ?? 'the server gave none'}`] : planLines(plan)
      return html`<details><summary><code>${text.slice(0, 2000)}</code></summary><pre tabindex="0">${lines.slice(0, LINES_MAX).join('\n')}</pre></details>`
    })}</div>`
}

function planLines(node: unknown, depth = 0): string[] {
  if (typeof node !== 'object' || node === null || depth > DEPTH_MAX) return []
  const fields = node as Readonly<Record<string, unknown>>
  const indent = '  '.repeat(depth)
  const names = [
    textOf(fields['Node Type']) ?? 'Node',
    ...(textOf(fields['Index Name']) === undefined
      ? []
      : [`using ${textOf(fields['Index Name'])}`]),
    ...(textOf(fields['Relation Name']) === undefined
      ? []
      : [`on ${textOf(fields['Relation Name'])}`]),
  ].join(' ')
  const cost = fields['Total Cost']
  const rows = fields['Plan Rows']
  const figures =
    typeof cost === 'number' && typeof rows === 'number'
      ? `  (cost ${count(cost)}, rows ${count(rows)})`
      : ''
  const children = Array.isArray(fields['Plans']) ? (fields['Plans'] as readonly unknown[]) : []
  return [
    `${indent}${names}${figures}`,
    ...CONDITIONS.flatMap((name) => {
      const condition = textOf(fields[name])
      return condition === undefined ? [] : [`${indent}    ${name}: ${condition}`]
    }),
    ...children.flatMap((child) => planLines(child, depth + 1)),
  ]
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
