/**
 * Plan reading: what stands out in a plan by `EXPLAIN (FORMAT JSON)`, without its execution.
 *
 * A plan tells what the planner expects, and nothing about time. Used are shares of its cost, never
 * the cost itself. How many rows a sequential scan goes through is not in the plan, only how many are
 * left; but nearly all of its cost is paid per row (cpu_tuple_cost 0.01, an operator 0.0025, its part
 * of a page), so the cost divided by `COST_PER_ROW` is the number of rows within a factor of two. That
 * is enough to tell a scan that keeps one row of a million from one that needs them all.
 */

export interface SequentialScan {
  readonly relation: string
  readonly filter: string | undefined
  readonly rowsOut: number
  /** About. */
  readonly rowsScanned: number
  /** Of the cost of the whole plan, 0 to 1. */
  readonly costShare: number
  /** Run again for each row of the other side of a nested loop. */
  readonly isRepeated: boolean
  /** Keeps so little that an index on the filter would be used. */
  readonly isSelective: boolean
}

export interface PlanReading {
  /** Of the whole statement, in the planner's unit: one page read in sequence. */
  readonly cost: number
  readonly scans: readonly SequentialScan[]
  /** Sentences: sorts, aggregates. */
  readonly others: readonly string[]
}

interface Node {
  readonly [field: string]: unknown
}

const COST_PER_ROW = 0.02
const SELECTIVE = 0.05
/** A scan over fewer rows takes a millisecond: it is not what makes a statement slow. */
const MIN_ROWS = 10_000
/** `work_mem` as it comes. */
const SORT_BYTES = 4 * 2 ** 20
const MAX_NODES = 2000

export function readPlan(plan: unknown): PlanReading {
  const scans: SequentialScan[] = []
  const others: string[] = []
  const whole = number(fieldOf(plan, 'Total Cost'))
  let left = MAX_NODES
  const walk = (node: unknown, loops: number): void => {
    if (!isNode(node) || left-- <= 0) return
    const type = node['Node Type']
    if (type === 'Seq Scan') scans.push(scanOf(node, loops, whole))
    if (type === 'Sort' || type === 'Incremental Sort') {
      const bytes = number(node['Plan Rows']) * number(node['Plan Width'])
      if (bytes > SORT_BYTES) {
        others.push(
          `Sorts about ${Math.round(bytes / 2 ** 20)} MB, more than work_mem has as it comes.`,
        )
      }
    }
    const children = Array.isArray(node.Plans) ? (node.Plans as unknown[]) : []
    for (const [i, child] of children.entries()) {
      const isInner = type === 'Nested Loop' && i === 1
      const outerRows = isInner ? Math.max(1, number(fieldOf(children[0], 'Plan Rows'))) : 1
      // What is materialised or memoised is not run again for each row.
      const isKept = /^(?:Materialize|Memoize)$/.test(String(fieldOf(child, 'Node Type')))
      walk(child, isInner && !isKept ? loops * outerRows : loops)
    }
  }
  walk(plan, 1)
  scans.sort((a, b) => b.costShare - a.costShare || (a.relation < b.relation ? -1 : 1))
  return { cost: whole, scans, others }
}

function scanOf(node: Node, loops: number, whole: number): SequentialScan {
  const cost = number(node['Total Cost'])
  const rowsOut = number(node['Plan Rows'])
  const rowsScanned = Math.max(rowsOut, cost / COST_PER_ROW)
  const filter = typeof node.Filter === 'string' ? node.Filter : undefined
  return {
    relation: relationOf(node),
    filter,
    rowsOut,
    rowsScanned,
    costShare: whole > 0 ? Math.min(1, (cost * loops) / whole) : 0,
    isRepeated: loops > 1,
    isSelective:
      filter !== undefined && rowsScanned * loops >= MIN_ROWS && rowsOut <= rowsScanned * SELECTIVE,
  }
}

function relationOf(node: Node): string {
  const name = typeof node['Relation Name'] === 'string' ? node['Relation Name'] : 'a table'
  const schema = node.Schema
  return typeof schema === 'string' && schema !== 'public' ? `${schema}.${name}` : name
}

/**
 * Columns for an index that serves the filter: equalities first, then one range. Conditions that are
 * more than a comparison of a plain column are left to the scan, if an equality remains; undefined
 * where nothing does.
 */
export function indexColumnsOf(filter: string): string[] | undefined {
  const equal: string[] = []
  const range: string[] = []
  let hasOthers = false
  for (const part of conjunctsOf(filter)) {
    const [, column, operator] = isPlain(part) ? (comparison.exec(part) ?? []) : []
    if (column === undefined || /^\d/.test(column)) hasOthers = true
    else if (operator === '=') equal.push(column)
    else range.push(column)
  }
  if (hasOthers && equal.length === 0) return undefined
  const columns = [...new Set([...equal, ...range.slice(0, 1)])]
  return columns.length > 0 && columns.length <= 4 ? columns : undefined
}

const comparison =
  /^[\s(]*(?:[\w"]+\.)?("[^"]+"|\w+)\)?(?:::[\w ."]+(?:\[\])?)?\)?\s*(<=|>=|=|<|>)\s*[^\w]*\$?/

function isPlain(condition: string): boolean {
  return !/\bOR\b|\bNOT\b|~|\bANY\b|\bALL\b|<>|\bIS\b|\bSubPlan\b/i.test(condition)
}

/** `((a = $1) AND ((b = $2) OR (c = $3)))` → `(a = $1)`, `((b = $2) OR (c = $3))`. */
function conjunctsOf(filter: string): string[] {
  const text = filter.trim()
  const parts: string[] = []
  let depth = 0
  let start = 0
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '(') depth += 1
    else if (text[i] === ')') {
      depth -= 1
      // One pair of parentheses around everything.
      if (depth === 0 && text[0] === '(' && i === text.length - 1 && parts.length === 0) {
        return conjunctsOf(text.slice(1, -1))
      }
    } else if (depth === 0 && text.startsWith(' AND ', i)) {
      parts.push(text.slice(start, i))
      start = i + 5
    }
  }
  return [...parts, text.slice(start)]
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null
}

function fieldOf(value: unknown, field: string): unknown {
  return isNode(value) ? value[field] : undefined
}

function number(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : 0
}
