/**
 * SQL effects: whether a statement could change anything that outlives it.
 *
 * The question is asked before a stranger's route is called a thousand times, so every doubt is a
 * write: a text that does not parse, a kind of statement that is not on the list, a function that
 * nobody knows. Asked of the server's own grammar (libpg-query), because `WITH gone AS (DELETE …)
 * SELECT` begins with a harmless word.
 *
 * Texts come without their literals (`$n` stands there), and in some places the grammar wants one:
 * `interval $1`, `timestamp($1)`. Where the text itself does not parse, it is tried with an empty
 * string and with a number in those places; neither can turn one kind of statement into another.
 *
 * Rules, what is not a write:
 *   1. SELECT and VALUES, however nested, without FOR UPDATE/SHARE and without INTO, that call only
 *      functions known to read; EXPLAIN of such, and with ANALYZE too; cursors of such; COPY … TO
 *      STDOUT of such; SHOW.
 *   2. The borders of a transaction, without two-phase commit.
 *   3. Settings of a session that change how it reads (`timezone`, `statement_timeout`).
 */
import { isReadOnlyFunction } from './read-only-functions.ts'

/** Why a statement counts as a write: `INSERT`, `calls nextval()`; undefined where it only reads. */
export type Effect = string | undefined

type Node = Record<string, unknown>

const writes: Readonly<Record<string, string>> = {
  InsertStmt: 'INSERT',
  UpdateStmt: 'UPDATE',
  DeleteStmt: 'DELETE',
  MergeStmt: 'MERGE',
}

/** Statements that may hold others, or are harmless in themselves. */
const readers = new Set([
  'SelectStmt',
  'ExplainStmt',
  'DeclareCursorStmt',
  'FetchStmt',
  'ClosePortalStmt',
  'PrepareStmt',
  'DeallocateStmt',
  'DiscardStmt',
  'VariableShowStmt',
])

const harmlessTransactions = new Set([
  'TRANS_STMT_BEGIN',
  'TRANS_STMT_START',
  'TRANS_STMT_COMMIT',
  'TRANS_STMT_ROLLBACK',
  'TRANS_STMT_SAVEPOINT',
  'TRANS_STMT_RELEASE',
  'TRANS_STMT_ROLLBACK_TO',
])

const harmlessSettings =
  /^(?:transaction_\w+|default_transaction_\w+|timezone|client_\w+|datestyle|intervalstyle|search_path|statement_timeout|lock_timeout|idle_\w+_timeout|transaction_timeout|application_name|extra_float_digits|standard_conforming_strings|bytea_output|work_mem|jit\w*|plan_cache_mode|enable_\w+|random_page_cost|seq_page_cost|names|transaction snapshot|transaction|session characteristics|[a-z_]+\.[a-z_.]+)$/i

export class SqlEffects {
  readonly #parse: (text: string) => unknown
  /** By text. Texts are the shapes of one target's statements, whose number is bounded there. */
  readonly #known = new Map<string, Effect>()

  private constructor(parse: (text: string) => unknown) {
    this.#parse = parse
  }

  /** Loads the parser: 0.2 s and 20 MB, once in a process. */
  static async load(): Promise<SqlEffects> {
    const { loadModule, parseSync } = await import('libpg-query')
    await loadModule()
    return new SqlEffects(parseSync)
  }

  of(text: string): Effect {
    if (this.#known.has(text)) return this.#known.get(text)
    const effect = this.#judge(text)
    this.#known.set(text, effect)
    return effect
  }

  #judge(text: string): Effect {
    if (text.trim() === '') return undefined
    const tree = this.#tree(text)
    if (tree === undefined) return 'does not parse'
    for (const { stmt } of (tree['stmts'] ?? []) as { stmt?: Node }[]) {
      const effect = effectOf(stmt ?? {})
      if (effect !== undefined) return effect
    }
    return undefined
  }

  #tree(text: string): Node | undefined {
    for (const literal of ['$&', "''", '1']) {
      try {
        return this.#parse(text.replace(/\$\d+/g, literal)) as Node
      } catch {}
    }
    return undefined
  }
}

function effectOf(statement: Node): Effect {
  const [kind = '', fields] = (Object.entries(statement)[0] ?? []) as [string?, Node?]
  if (kind === 'TransactionStmt') {
    const isHarmless = harmlessTransactions.has(textOf(fields?.['kind']))
    return isHarmless ? undefined : 'two-phase commit'
  }
  if (kind === 'VariableSetStmt') {
    const name = textOf(fields?.['name'])
    const isReset = textOf(fields?.['kind']).startsWith('VAR_RESET')
    return isReset || harmlessSettings.test(name) ? undefined : `SET ${name}`
  }
  if (kind === 'CopyStmt') {
    const isOut = fields?.['is_from'] !== true && !fields?.['is_program'] && !fields?.['filename']
    return isOut ? effectWithin(statement) : 'COPY'
  }
  const written = writes[kind]
  if (written !== undefined) return written
  if (!readers.has(kind)) return wordsOf(kind)
  return effectWithin(statement)
}

/** Walks everything below a statement, without recursion: a list of ten thousand values nests deep. */
function effectWithin(root: Node): Effect {
  const open: unknown[] = [root]
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (typeof value !== 'object' || value === null) continue
    if (Array.isArray(value)) {
      for (const item of value) open.push(item)
      continue
    }
    for (const [key, child] of Object.entries(value)) {
      const effect = effectOfNode(key, child as Node)
      if (effect !== undefined) return effect
      open.push(child)
    }
  }
  return undefined
}

function effectOfNode(key: string, node: Node): Effect {
  if (writes[key] !== undefined) return writes[key]
  if (key === 'lockingClause') return 'SELECT … FOR UPDATE or SHARE'
  if (key === 'intoClause') return 'SELECT … INTO'
  if (key === 'FuncCall') {
    const parts = ((node['funcname'] ?? []) as { String?: { sval?: string } }[]).map(
      (part) => part.String?.sval ?? '',
    )
    const name = parts.at(-1) ?? ''
    if (!isReadOnlyFunction(name.toLowerCase(), parts.at(-2))) return `calls ${parts.join('.')}()`
  }
  return key.endsWith('Stmt') && !readers.has(key) && key !== 'CopyStmt' ? wordsOf(key) : undefined
}

/** `CreateTableAsStmt` → `CREATE TABLE AS`. */
function wordsOf(kind: string): string {
  return kind
    .replace(/Stmt$/, '')
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toUpperCase()
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
