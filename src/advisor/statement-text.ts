/**
 * Statement text: as much of a statement as can be read without a parser.
 *
 * The text is stripped already: no comments, literals as `$n`. A flat walk over its tokens tells the
 * verb, the relations, what stands in the way of combining or repeating it, and the equality that a
 * loop varies. Where the text is more than that, the answer is "cannot tell", and a remedy is words
 * instead of SQL.
 *
 * Not a validator, and never asked whether two statements are equivalent.
 */

export interface Token {
  readonly text: string
  /** Upper case where it is a word. */
  readonly word: string
  readonly at: number
  /** Parentheses around it. */
  readonly depth: number
}

export interface StatementText {
  readonly text: string
  readonly verb: string
  /** Reads, changes nothing, locks nothing. */
  readonly isRead: boolean
  /** BEGIN, COMMIT, SET and their like. */
  readonly isControl: boolean
  /** Called twice it may answer twice: sequences, clocks, locks, randomness. */
  readonly isVolatile: boolean
  /** `IN (…)` or `= ANY(…)`. */
  readonly hasList: boolean
  /** Continues where a page before it ended: OFFSET, or LIMIT with a range. */
  readonly isPage: boolean
  /** Without schema `public`, lower case unless quoted. */
  readonly relations: readonly string[]
  readonly tokens: readonly Token[]
}

const tokenPattern =
  /"(?:[^"]|"")*"|'(?:[^']|'')*'|\$\d+|[\p{L}_][\p{L}\p{N}_$]*|\d+(?:\.\d+)?|<>|<=|>=|!=|::|\S/gu
const control =
  /^(?:BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|SET|RESET|SHOW|DISCARD|LISTEN|UNLISTEN|NOTIFY|DEALLOCATE|PREPARE)$/
const volatileCall =
  /^(?:NEXTVAL|SETVAL|CURRVAL|LASTVAL|RANDOM|CLOCK_TIMESTAMP|STATEMENT_TIMESTAMP|TIMEOFDAY|GEN_RANDOM_UUID|UUID_GENERATE_V\d|UUIDV[47]|PG_\w*ADVISORY\w*|PG_SLEEP\w*|PG_NOTIFY|TXID_CURRENT|PG_CURRENT_XACT_ID|SET_CONFIG)$/
const writing =
  /^(?:INSERT|UPDATE|DELETE|MERGE|TRUNCATE|COPY|CALL|DO|CREATE|ALTER|DROP|GRANT|LOCK)$/

export function readStatement(text: string): StatementText {
  const tokens = tokensOf(text)
  const verb = tokens.find(({ text: each }) => each !== '(')?.word ?? ''
  const words = new Set(tokens.map(({ word }) => word))
  const writes = tokens.some(({ word }, i) => isWriting(tokens, word, i))
  const locks = tokens.some(
    ({ word }, i) => word === 'FOR' && /^(?:UPDATE|SHARE|NO|KEY)$/.test(tokens[i + 1]?.word ?? ''),
  )
  const reads = verb === 'SELECT' || verb === 'WITH' || verb === 'VALUES' || verb === 'TABLE'
  return {
    text,
    verb,
    isRead: reads && !writes && !locks && !words.has('INTO'),
    isControl: control.test(verb),
    isVolatile: tokens.some(
      ({ word }, i) => volatileCall.test(word) && tokens[i + 1]?.text === '(',
    ),
    hasList: tokens.some(
      ({ word }, i) =>
        (word === 'IN' && tokens[i + 1]?.text === '(' && tokens[i + 2]?.word !== 'SELECT') ||
        ((word === 'ANY' || word === 'UNNEST') && tokens[i + 1]?.text === '('),
    ),
    isPage: words.has('OFFSET') || ((words.has('LIMIT') || words.has('FETCH')) && hasRange(tokens)),
    relations: relationsOf(tokens),
    tokens,
  }
}

/** What the name of a span tells, `SELECT users`, where the text is not known. */
export function readName(name: string): StatementText {
  const [verb = '', relation = ''] = name.split(/\s+/, 2)
  const known = readStatement(verb)
  return { ...known, text: '', relations: relation === '' ? [] : [relation], tokens: [] }
}

export function tokensOf(text: string): Token[] {
  let depth = 0
  return [...text.matchAll(tokenPattern)].map((match) => {
    const [token] = match
    if (token === ')') depth = Math.max(0, depth - 1)
    const own = { text: token, word: token.toUpperCase(), at: match.index, depth }
    if (token === '(') depth += 1
    return own
  })
}

function isWriting(tokens: readonly Token[], word: string, i: number): boolean {
  if (!writing.test(word)) return false
  const before = tokens[i - 1]
  // At the start, or the body of a common table expression. `ON UPDATE`, a column named `do`: no.
  return i === 0 || (before?.text === '(' && tokens[i - 2]?.word !== 'IN') || before?.text === ')'
}

function hasRange(tokens: readonly Token[]): boolean {
  return tokens.some(
    ({ text }, i) =>
      /^[<>]=?$/.test(text) &&
      [1, 2, 3].some((ahead) => tokens[i + ahead]?.text.startsWith('$') === true),
  )
}

function relationsOf(tokens: readonly Token[]): string[] {
  const expressions = new Set<string>()
  for (const [i, { word }] of tokens.entries()) {
    if (word === 'AS' && tokens[i + 1]?.text === '(' && i > 0) {
      expressions.add(nameOf(tokens[i - 1] as Token))
    }
  }
  const found = new Set<string>()
  for (const [i, { word }] of tokens.entries()) {
    const isFrom = word === 'FROM' || word === 'JOIN' || word === 'INTO' || word === 'USING'
    const isUpdate = word === 'UPDATE' && !/^(?:FOR|DO|KEY)$/.test(tokens[i - 1]?.word ?? '')
    if (!isFrom && !isUpdate) continue
    if (word === 'FROM' && isArgument(tokens, i)) continue
    let next = i + 1
    do {
      next = addRelation(found, tokens, next)
    } while (isFrom && tokens[next]?.text === ',' && ++next > 0)
  }
  return [...found].filter((name) => !expressions.has(name))
}

/** `extract(epoch FROM …)`, `substring(x FROM …)`, `IS DISTINCT FROM`. */
function isArgument(tokens: readonly Token[], i: number): boolean {
  if (tokens[i - 1]?.word === 'DISTINCT') return true
  const depth = tokens[i]?.depth ?? 0
  if (depth === 0) return false
  const open = tokens.findLastIndex(
    (token, at) => at < i && token.text === '(' && token.depth === depth - 1,
  )
  return /^(?:EXTRACT|SUBSTRING|TRIM|OVERLAY|POSITION)$/.test(tokens[open - 1]?.word ?? '')
}

/** Returns the place behind the relation and its alias. */
function addRelation(found: Set<string>, tokens: readonly Token[], from: number): number {
  let i = from
  while (/^(?:ONLY|LATERAL)$/.test(tokens[i]?.word ?? '')) i += 1
  const first = tokens[i]
  if (first === undefined || !isName(first)) return i
  let name = nameOf(first)
  i += 1
  if (tokens[i]?.text === '.' && tokens[i + 1] !== undefined) {
    const inner = nameOf(tokens[i + 1] as Token)
    name = name === 'public' ? inner : `${name}.${inner}`
    i += 2
  }
  if (tokens[i]?.text !== '(' || tokens[from - 1]?.word === 'INTO') found.add(name)
  if (tokens[i]?.word === 'AS') i += 1
  const alias = tokens[i]
  if (alias !== undefined && isName(alias) && !reserved.test(alias.word)) i += 1
  return i
}

const reserved =
  /^(?:SELECT|FROM|WHERE|AND|OR|NOT|ON|JOIN|LEFT|RIGHT|INNER|OUTER|FULL|CROSS|NATURAL|GROUP|ORDER|LIMIT|OFFSET|FETCH|HAVING|UNION|INTERSECT|EXCEPT|WINDOW|FOR|SET|USING|VALUES|RETURNING|AS)$/

function isName(token: Token): boolean {
  return /^["\p{L}_]/u.test(token.text) && !reserved.test(token.word)
}

function nameOf(token: Token): string {
  return token.text.startsWith('"') ? token.text.slice(1, -1) : token.text.toLowerCase()
}
