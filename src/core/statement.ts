/**
 * Statement: what is known of a statement from its text alone, found once for each shape.
 *
 *   text as it came ──▶ by text ──▶ Statement           the usual case: one look-up
 *                          │ unknown
 *                          ▼
 *                       lexer ──▶ by shape ──▶ Statement     values pasted into the text
 *                                    │ unknown
 *                                    ▼
 *                                 verb, relation, effects
 *
 * Both maps are bounded and forget the oldest. An application that pastes values makes each text
 * another one: it pays the lexer each time, microseconds, and fills only the first map, which keeps
 * no text above 4,000 characters.
 *
 * The analysis is lexical and cheap, and each doubt about a word counts as a write. Whoever must be
 * sure parses `text`, which holds no value of a user's.
 */
import type { StatementFacts } from './facts.ts'
import { sessionEffectsOf } from './session-effects.ts'
import { stripSql } from './sql-lexer.ts'
import { TwoGenerations } from './two-generations.ts'

export interface Statement extends StatementFacts {
  /** 16 hex digits of a hash of the shape, the same everywhere and for ever. */
  readonly id: string
  /** Stripped; the first `MAX_TEXT` characters. */
  readonly text: string
  /** First keyword, of a WITH that of the main statement. `OTHER` where it is none that we know. */
  readonly verb: string
  /** Verb and first relation: `SELECT users`. */
  readonly name: string
  /**
   * No word in it writes, locks rows or changes the session, and no built-in function does. What
   * functions of the application's own do cannot be seen from a text.
   */
  readonly isRead: boolean
  /** Only reads, and calls no function but built-in ones: run twice, it does no harm. */
  readonly isRepeatable: boolean
  /** What it does to the transaction block. */
  readonly transaction: 'begin' | 'commit' | 'rollback' | undefined
  /** Bits of `sessionEffect`: what it leaves in the session beyond its end; 0: nothing. */
  readonly sessionEffects: number
  /** More than one statement in the text. */
  readonly isMulti: boolean
}

const MAX_TEXT = 10_000
const MAX_RAW_KEY = 4_000
const MAX_NAME = 80

const byText = new TwoGenerations<Statement>(2_000, 1_000_000)
const byShape = new TwoGenerations<Statement>(2_000, 1_000_000)

export function statementOf(text: string): Statement {
  const known = byText.get(text)
  if (known !== undefined) return known
  const { text: shape, tokens } = stripSql(text)
  // A long text is cut before it becomes a key; its hash is of the whole.
  const id = shape.length > MAX_TEXT ? hashOf(shape) : undefined
  const key = id ?? shape
  let statement = byShape.get(key)
  if (statement === undefined) {
    statement = analyse(id ?? hashOf(shape), shape, tokens)
    byShape.set(id ?? statement.text, statement)
  }
  if (text.length <= MAX_RAW_KEY) byText.set(text, statement)
  return statement
}

/** Entries of both maps, for tests of their bounds. */
export function statementsKept(): number {
  return byText.size + byShape.size
}

const verbs = new Set(
  'ABORT ALTER ANALYZE BEGIN CALL CHECKPOINT CLOSE CLUSTER COMMENT COMMIT COPY CREATE DEALLOCATE DECLARE DELETE DISCARD DO DROP END EXECUTE EXPLAIN FETCH GRANT IMPORT INSERT LISTEN LOAD LOCK MERGE MOVE NOTIFY PREPARE REASSIGN REFRESH REINDEX RELEASE RESET REVOKE ROLLBACK SAVEPOINT SECURITY SELECT SET SHOW START TABLE TRUNCATE UNLISTEN UPDATE VACUUM VALUES'.split(
    ' ',
  ),
)
const writingWords = new Set(['insert', 'update', 'delete', 'merge', 'into', 'truncate'])
const main = new Set(['select', 'insert', 'update', 'delete', 'merge', 'values', 'table'])
const writers =
  /^(?:nextval|setval|set_config|setseed|pg_notify|lo_\w+|loread|lowrite|dblink\w*|query_to_xml\w*|txid_current|pg_current_xact_id|pg_(?:try_)?advisory_\w+|pg_(?:cancel|terminate)_backend|pg_(?:stat\w*|replication\w*)_(?:reset|create|drop|advance)\w*|pg_(?:reload_conf|rotate_logfile|switch_wal|create_restore_point|logical_\w+|promote|prewarm|file_\w+|backup_\w+|wal_replay_\w+|import_system_collations))$/
/** Words and types that a parenthesis may follow without there being a call. */
const beforeParentheses = new Set(
  'all and any array as between by case cast character char coalesce cross cube decimal distinct else except exists extract filter float from full greatest group grouping having ilike in inner intersect interval join lateral least left like limit materialized not nullif numeric offset on only or outer over overlay partition position right rollup row select sets similar some substring then time timestamp timestamptz trim union using values varchar varying when where with within'.split(
    ' ',
  ),
)
const readers =
  /^(?:abs|age|avg|bit_(?:and|or|length|count)|bool_(?:and|or)|btrim|ceil|ceiling|char_length|chr|clock_timestamp|concat|concat_ws|convert_(?:from|to)|corr|count|cume_dist|current_(?:database|schemas?|setting|user)|date_(?:add|bin|part|subtract|trunc)|decode|degrees|dense_rank|digest|div|encode|every|exp|first_value|floor|format|format_type|gen_random_uuid|generate_(?:series|subscripts)|hashtext|initcap|isfinite|jsonb?_(?:agg|array|build|each|extract|object|path|populate|pretty|query|set|insert|strip|to|typeof|value|exists|table)\w*|justify_\w+|lag|last_value|lead|length|ln|localtime|localtimestamp|log|lower|lpad|ltrim|make_(?:date|time|timestamp|timestamptz|interval)|max|md5|min|mod|mode|now|nth_value|ntile|num_nonnulls|num_nulls|octet_length|obj_description|percent_rank|percentile_(?:cont|disc)|phraseto_tsquery|plainto_tsquery|power|quote_(?:ident|literal|nullable)|radians|random|range_\w+|rank|regexp_(?:count|instr|like|match|matches|replace|split_to_array|split_to_table|substr)|repeat|replace|reverse|round|row_number|row_to_json|rpad|rtrim|setweight|sha(?:224|256|384|512)|sign|similarity|split_part|sqrt|starts_with|statement_timestamp|stddev\w*|string_(?:agg|to_array|to_table)|strpos|substr|sum|timeofday|timezone|to_(?:char|date|hex|json|jsonb|number|timestamp|tsquery|tsvector|regclass|regtype)|transaction_timestamp|translate|trunc|ts_(?:headline|rank|rank_cd)|tstzrange|tsrange|daterange|int[48]range|numrange|unnest|upper|uuid_generate_v4|uuidv[47]|var_\w+|variance|version|websearch_to_tsquery|width_bucket|array_\w+|array_agg|cardinality|pg_\w+|has_\w+_privilege|col_description|inet_\w+|txid_\w+)$/
/** Between the word that announces a relation and its name. */
const fillers = new Set(['only', 'lateral', 'table', 'if', 'not', 'exists', 'concurrently'])
const announces: Readonly<Record<string, string>> = {
  INSERT: 'into',
  MERGE: 'into',
  UPDATE: 'update',
  TRUNCATE: 'truncate',
  CALL: 'call',
  COPY: 'copy',
  LOCK: 'lock',
  TABLE: 'table',
}

function analyse(id: string, shape: string, tokens: readonly string[]): Statement {
  const semicolon = tokens.indexOf(';')
  const first = semicolon === -1 ? tokens : tokens.slice(0, semicolon)
  const verbAt = mainVerbAt(first)
  const word = (first[verbAt] ?? '').toUpperCase()
  const verb = verbs.has(word) ? word : 'OTHER'
  const isMulti = semicolon !== -1
  const isRead = !isMulti && isReadOnly(verb, first)
  return {
    id,
    text: ownCopy(shape.slice(0, MAX_TEXT)),
    verb,
    name: ownCopy(nameOf(verb, first, verbAt).slice(0, MAX_NAME)),
    isRead,
    isRepeatable: isRead && callsOnlyBuiltIns(first),
    transaction: isMulti ? effectOfAll(tokens) : effectOf(first),
    sessionEffects: sessionEffectsOf(tokens),
    isMulti,
  }
}

/** Behind the common table expressions, or at the start. */
function mainVerbAt(tokens: readonly string[]): number {
  let at = 0
  while (tokens[at] === '(') at += 1
  if (tokens[at] !== 'with') return at
  for (let depth = 0, i = at + 1; i < tokens.length; i++) {
    const token = tokens[i] as string
    if (token === '(') depth += 1
    else if (token === ')') depth -= 1
    else if (depth === 0 && main.has(token)) return i
  }
  return at
}

function nameOf(verb: string, tokens: readonly string[], verbAt: number): string {
  if (verb === 'CREATE' || verb === 'ALTER' || verb === 'DROP' || verb === 'SET') {
    const object = tokens[verbAt + 1]
    return object !== undefined && isName(object) ? `${verb} ${object}` : verb
  }
  const announced = announces[verb]
  const relation =
    announced !== undefined
      ? relationAfter(tokens, tokens.indexOf(announced, verbAt))
      : (fromRelation(tokens) ?? calledFunction(tokens, verbAt + 1))
  return relation === undefined ? verb : `${verb} ${relation}`
}

/** That of the outermost FROM; of a WITH, whose outermost may be one of its own names, the first. */
function fromRelation(tokens: readonly string[]): string | undefined {
  const isWith = tokens[0] === 'with'
  // `from` within the parentheses of a function is none: extract(year from …), trim(both from …).
  const isQuery: boolean[] = [true]
  let inner: string | undefined
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]
    if (token === '(') isQuery.push(main.has(tokens[i + 1] ?? '') || tokens[i + 1] === 'with')
    else if (token === ')') isQuery.pop()
    else if (token === 'from' && isQuery.at(-1) !== false && tokens[i - 1] !== 'distinct') {
      const relation = relationAfter(tokens, i)
      if (relation !== undefined && (isWith || isQuery.length === 1)) return relation
      inner ??= relation
    }
  }
  return inner
}

function calledFunction(tokens: readonly string[], at: number): string | undefined {
  const name = tokens[at]
  return name !== undefined && tokens[at + 1] === '(' && isName(name) ? name : undefined
}

function relationAfter(tokens: readonly string[], announcer: number): string | undefined {
  if (announcer === -1) return undefined
  let at = announcer + 1
  while (fillers.has(tokens[at] ?? '') || tokens[at] === '(') at += 1
  if (main.has(tokens[at] ?? '') || tokens[at] === 'with') return undefined
  while (tokens[at + 1] === '.' && tokens[at + 2] !== undefined) at += 2
  const name = tokens[at]
  return name !== undefined && isName(name) ? name.replaceAll('"', '') : undefined
}

function isName(token: string): boolean {
  return /^["\p{L}_]/u.test(token)
}

function isReadOnly(verb: string, tokens: readonly string[]): boolean {
  if (verb === 'SHOW') return true
  if (verb !== 'SELECT' && verb !== 'VALUES' && verb !== 'TABLE' && verb !== 'EXPLAIN') return false
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] as string
    if (writingWords.has(token)) return false
    // FOR UPDATE is caught above; FOR SHARE and FOR KEY SHARE take locks too.
    if (token === 'share' && (tokens[i - 1] === 'for' || tokens[i - 1] === 'key')) return false
    if (tokens[i + 1] === '(' && writers.test(token)) return false
  }
  return true
}

/** Of a function that is not known here nobody knows what it does: an application's own may write. */
function callsOnlyBuiltIns(tokens: readonly string[]): boolean {
  for (let i = 1; i < tokens.length; i++) {
    if (tokens[i] !== '(') continue
    const name = tokens[i - 1] as string
    if (!isName(name)) continue
    if (tokens[i - 2] === '.' && tokens[i - 3] !== 'pg_catalog') return false
    if (!beforeParentheses.has(name) && !readers.test(name)) return false
  }
  return true
}

function effectOf(tokens: readonly string[]): Statement['transaction'] {
  switch (tokens[0]) {
    case 'begin':
      return 'begin'
    case 'start':
      return tokens[1] === 'transaction' ? 'begin' : undefined
    case 'commit':
    case 'end':
      return 'commit'
    case 'prepare':
      return tokens[1] === 'transaction' ? 'commit' : undefined
    case 'abort':
      return 'rollback'
    case 'rollback':
      // To a savepoint, the block goes on.
      return tokens.includes('to') ? undefined : 'rollback'
    default:
      return undefined
  }
}

/** Of several statements the last effect is what remains. */
function effectOfAll(tokens: readonly string[]): Statement['transaction'] {
  let effect: Statement['transaction']
  for (let start = 0; start < tokens.length; ) {
    const end = tokens.indexOf(';', start)
    const stop = end === -1 ? tokens.length : end
    effect = effectOf(tokens.slice(start, stop)) ?? effect
    start = stop + 1
  }
  return effect
}

/** Not a slice of the user's text, which would stay in memory as long as the slice. */
function ownCopy(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8')
}

/**
 * 64 bits by two multiplicative hashes with the finish of MurmurHash3. A collision among a million
 * shapes has odds of one in ten million.
 */
function hashOf(text: string): string {
  let a = 0xdeadbeef
  let b = 0x41c6ce57
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    a = Math.imul(a ^ c, 0x9e3779b1)
    b = Math.imul(b ^ c, 0x5f356495)
  }
  a = Math.imul(a ^ (a >>> 16), 0x85ebca6b) ^ Math.imul(b ^ (b >>> 13), 0xc2b2ae35)
  b = Math.imul(b ^ (b >>> 16), 0x85ebca6b) ^ Math.imul(a ^ (a >>> 13), 0xc2b2ae35)
  return hex(a) + hex(b)
}

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0')
}
