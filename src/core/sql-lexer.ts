/**
 * SQL lexer: takes a statement's values and comments out of its text, and gives what is left one form.
 *
 *   SELECT * FROM users -- by mail
 *   WHERE mail='ann@example.org' AND id IN (7, 8, 9)
 *        │
 *        ▼
 *   select * from users where mail = $1 and id in ($2)
 *
 * The result is the key under which statements are counted, what is shown to people, and what a
 * parser may read: `$n` stands where a value stood and where a parameter stood, numbered by first
 * appearance; a parameter used twice keeps one number. So a text is the same whether its values were
 * pasted in or bound.
 *
 * Rules, for the grammar of PostgreSQL's scan.l [1] with standard_conforming_strings:
 *   1. Nothing of a literal or comment survives: strings of each kind ('', E'', U&'', B'', X'', N'',
 *      $tag$…$tag$), numbers, true, false, null. One that does not end takes the rest with it.
 *   2. Unquoted words in lower case, one form of white space, `!=` as `<>`, no semicolon at the end.
 *      Quoted identifiers stay as they are: "Users" is not users.
 *   3. A list after IN, a list of rows after VALUES and ARRAY[…] keep one item of each form: a list
 *      of any length is one shape. A subquery is no list.
 *   4. A sign before a number belongs to it, where it cannot be an operator.
 *   5. `is null`, `not null`, `set null` and DDL are about null itself, and keep it.
 *
 * One pass, linear time: it looks at each character once and compares an item of a list with at most
 * eight others. Of a text longer than `MAX_RAW` only the beginning is looked at.
 *
 * Does not know: the setting standard_conforming_strings = off, under which a backslash escapes in a
 * plain string. There a quote too many ends the literal early, and the rest of it looks like words.
 *
 * [1] https://github.com/postgres/postgres/blob/master/src/backend/parser/scan.l
 */

export interface StrippedSql {
  readonly text: string
  /** In order; a NUL character where a literal stood, `$n` as the user wrote it where a parameter stood. */
  readonly tokens: readonly string[]
}

/** A token that no text can contain. */
const VALUE = '\u0000'

/** Characters looked at. A longer text is a bulk insert, whose beginning tells its shape. */
const MAX_RAW = 256 * 1024
const MAX_FORMS = 8
/** PostgreSQL refuses an operator of 64. Without a bound a run of signs is read again for each. */
const MAX_OPERATOR = 64

const kind = { word: 1, quoted: 2, string: 3, number: 4, parameter: 5, operator: 6, mark: 7 }
const { word: WORD, quoted: QUOTED, string: STRING, number: NUMBER } = kind
const { parameter: PARAMETER, operator: OPERATOR, mark: MARK } = kind

const isSpace = classOf(' \t\n\r\f\v')
const isDigit = classOf('0123456789')
const isOperator = classOf('+-*/<>=~!@#%^&|`?')
/** Operators that hold one of these may end in a sign. */
const isSpecial = classOf('~!@#%^&|`?')
const isWordStart = classOf('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_')
const isWordPart = classOf('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789$')

/** After these an expression begins, so that a sign is a sign. */
const beforeExpression = new Set(
  'all and any between by case distinct else end from having ilike in is like limit not offset on or returning select set similar some then to using values when where'.split(
    ' ',
  ),
)
/** A parenthesis after one of these is not that of a function's arguments. */
const beforeParenthesis = new Set([
  ...beforeExpression,
  ...'as check conflict copy cross except exists explain filter full group inner insert intersect into join key lateral left materialized natural only order outer over partition primary references right table union unique update window with within'.split(
    ' ',
  ),
])
const aboutNull = new Set(['is', 'not', 'set'])
const subquery = new Set(['select', 'with', 'table', 'values'])

/** A list under way whose items of one form become one. */
interface List {
  /** Of nesting at which its commas stand. */
  readonly depth: number
  /** VALUES: items in parentheses, none around them. */
  readonly isRows: boolean
  /** Index of the first token of the item under way. */
  itemStart: number
  /** Start and end of kept items. */
  readonly forms: number[]
}

/** `literals`, where given, receives the values taken out, in order: text of strings, digits of numbers. */
export function stripSql(raw: string, literals?: string[]): StrippedSql {
  lexer.run(raw, literals)
  const { tokens, kinds } = lexer
  return { text: render(tokens, kinds), tokens }
}

class Lexer {
  tokens: string[] = []
  kinds: number[] = []
  #raw = ''
  #end = 0
  #literals: string[] | undefined
  #lists: List[] = []
  #list: List | undefined
  #depth = 0
  #at = 0
  #isDefinition = false

  run(raw: string, literals: string[] | undefined): void {
    this.tokens = []
    this.kinds = []
    this.#raw = raw
    this.#end = Math.min(raw.length, MAX_RAW)
    this.#literals = literals
    this.#lists = []
    this.#list = undefined
    this.#depth = 0
    this.#at = 0
    this.#isDefinition = false
    while (this.#at < this.#end) {
      const c = raw.charCodeAt(this.#at)
      if (isSpace[c] === 1) this.#at += 1
      else if (c >= 128 || isWordStart[c] === 1) this.#word()
      else if (isDigit[c] === 1) this.#number(this.#at)
      else if (isOperator[c] === 1) this.#operator()
      else if (c === 39 /* ' */) this.#plainString(this.#at + 1)
      else if (c === 34 /* " */) this.#quoted(this.#at)
      else if (c === 36 /* $ */) this.#dollar()
      else this.#mark(c)
    }
    this.#closeLists()
    while (this.tokens.at(-1) === ';') this.#truncate(this.tokens.length - 1)
    this.#raw = ''
    this.#literals = undefined
  }

  #push(token: string, kind: number): void {
    const list = this.#list
    if (list !== undefined && list.depth === this.#depth) {
      if (list.isRows) {
        if (token !== '(' && token !== ',') this.#endList()
      } else if (kind === WORD && list.itemStart === this.tokens.length && subquery.has(token)) {
        this.#dropList()
      }
    }
    this.tokens.push(token)
    this.kinds.push(kind)
  }

  #truncate(length: number): void {
    this.tokens.length = length
    this.kinds.length = length
  }

  #word(): void {
    const raw = this.#raw
    const start = this.#at
    let at = start
    let isPlain = true
    let hasCapital = false
    for (; at < this.#end; at++) {
      const c = raw.charCodeAt(at)
      if (c >= 128) isPlain = false
      else if (isWordPart[c] !== 1) break
      else if (c >= 65 && c <= 90) hasCapital = true
    }
    if (at < this.#end && this.#prefixed(start, at)) return
    this.#at = at
    let word = raw.slice(start, at)
    // As the server folds: outside of ASCII only the encoding knows.
    if (hasCapital) {
      word = isPlain ? word.toLowerCase() : word.replace(/[A-Z]+/g, (part) => part.toLowerCase())
    }
    this.#pushWord(word)
  }

  #pushWord(word: string): void {
    const { tokens } = this
    if (tokens.length === 0) this.#isDefinition = word === 'create' || word === 'alter'
    if (word === 'null' || word === 'true' || word === 'false') {
      const previous = tokens.at(-1)
      if (!this.#isDefinition && (previous === undefined || !aboutNull.has(previous))) {
        return this.#push(VALUE, NUMBER)
      }
    }
    // U&'…' UESCAPE '!': the strings on both sides are one literal.
    if (word === 'uescape' && this.kinds.at(-1) === STRING) return
    this.#push(word, WORD)
    if (word === 'values') this.#openList(true)
  }

  /** Whether the word from `start` to `at` is the prefix of a string; then takes that. */
  #prefixed(start: number, at: number): boolean {
    const raw = this.#raw
    const c = raw.charCodeAt(at)
    const first = raw.charCodeAt(start) | 32
    if (c === 39 && at === start + 1) {
      if (first === 101 /* e */) this.#escapeString(at + 1)
      else if (first === 98 /* b */ || first === 120 /* x */ || first === 110 /* n */) {
        this.#plainString(at + 1)
      } else return false
      return true
    }
    if (c === 38 /* & */ && at === start + 1 && first === 117 /* u */) {
      const quote = raw.charCodeAt(at + 1)
      if (quote === 39) this.#plainString(at + 2)
      else if (quote === 34) this.#quoted(start)
      else return false
      return true
    }
    return false
  }

  #literal(kind: number, text: string): void {
    const isContinued = kind === STRING && this.kinds.at(-1) === STRING
    if (this.#literals !== undefined) {
      if (isContinued) this.#literals.push(`${this.#literals.pop() ?? ''}${text}`)
      else this.#literals.push(text)
    }
    // 'two' 'strings' with a line break between are one.
    if (!isContinued) this.#push(VALUE, kind)
  }

  /** From behind the opening quote. */
  #plainString(from: number): void {
    const raw = this.#raw
    let at = from
    for (;;) {
      at = raw.indexOf("'", at)
      if (at === -1) at = raw.length
      if (raw.charCodeAt(at + 1) !== 39) break
      at += 2
    }
    this.#at = at + 1
    this.#literal(
      STRING,
      this.#literals === undefined ? '' : raw.slice(from, at).replaceAll("''", "'"),
    )
  }

  #escapeString(from: number): void {
    const raw = this.#raw
    let at = from
    for (; at < raw.length; at++) {
      const c = raw.charCodeAt(at)
      if (c === 92 /* \ */) at += 1
      else if (c === 39) {
        if (raw.charCodeAt(at + 1) !== 39) break
        at += 1
      }
    }
    this.#at = at + 1
    this.#literal(STRING, this.#literals === undefined ? '' : unescape(raw.slice(from, at)))
  }

  #quoted(start: number): void {
    const raw = this.#raw
    let at = raw.indexOf('"', start) + 1
    for (;;) {
      at = raw.indexOf('"', at)
      // An identifier that does not end may be anything.
      if (at === -1) {
        this.#at = raw.length
        return
      }
      if (raw.charCodeAt(at + 1) !== 34) break
      at += 2
    }
    this.#at = at + 1
    this.#push(raw.slice(start, at + 1), QUOTED)
  }

  /** Parameter, dollar-quoted string, or a stray sign. */
  #dollar(): void {
    const raw = this.#raw
    let at = this.#at + 1
    if (isDigit[raw.charCodeAt(at)] === 1) {
      while (isDigit[raw.charCodeAt(at)] === 1) at += 1
      this.#push(raw.slice(this.#at, at), PARAMETER)
      this.#at = at
      return
    }
    for (; at < raw.length; at++) {
      const c = raw.charCodeAt(at)
      if (c === 36 || (c < 128 && isWordPart[c] !== 1)) break
    }
    if (raw.charCodeAt(at) !== 36) {
      this.#push('$', OPERATOR)
      this.#at += 1
      return
    }
    const tag = raw.slice(this.#at, at + 1)
    const end = raw.indexOf(tag, at + 1)
    const stop = end === -1 ? raw.length : end
    this.#at = stop + tag.length
    this.#literal(STRING, this.#literals === undefined ? '' : raw.slice(at + 1, stop))
  }

  /** Digits, also with what cannot follow them: nobody gains by seeing half a number. */
  #number(start: number): void {
    const raw = this.#raw
    let at = this.#at
    for (; at < this.#end; at++) {
      const c = raw.charCodeAt(at)
      if (c === 46 /* . */) {
        if (raw.charCodeAt(at + 1) === 46) break
      } else if (c === 43 || c === 45) {
        const before = raw.charCodeAt(at - 1) | 32
        const isHex = (raw.charCodeAt(this.#at + 1) | 32) === 120
        if (before !== 101 || isHex || isDigit[raw.charCodeAt(at + 1)] !== 1) break
      } else if (c < 128 && isWordPart[c] !== 1) break
    }
    this.#at = at
    this.#literal(NUMBER, this.#literals === undefined ? '' : raw.slice(start, at))
  }

  #operator(): void {
    const raw = this.#raw
    const start = this.#at
    const end = Math.min(this.#end, start + MAX_OPERATOR)
    let at = start
    let mayEndInSign = false
    for (; at < end; at++) {
      const c = raw.charCodeAt(at)
      if (isOperator[c] !== 1) break
      const next = raw.charCodeAt(at + 1)
      if ((c === 45 && next === 45) || (c === 47 && next === 42)) break
      if (isSpecial[c] === 1) mayEndInSign = true
    }
    if (at === start) return this.#comment()
    if (!mayEndInSign) {
      while (at > start + 1 && isSign(raw.charCodeAt(at - 1))) at -= 1
    }
    this.#at = at
    const token = raw.slice(start, at)
    if (isSign(raw.charCodeAt(start)) && at === start + 1 && this.#isSignHere()) {
      const next = raw.charCodeAt(at)
      if (isDigit[next] === 1 || (next === 46 && isDigit[raw.charCodeAt(at + 1)] === 1)) {
        return this.#number(start)
      }
    }
    this.#push(token === '!=' ? '<>' : token, OPERATOR)
  }

  #isSignHere(): boolean {
    const previous = this.tokens.at(-1)
    if (previous === undefined) return true
    const kind = this.kinds.at(-1)
    if (kind === OPERATOR) return previous !== '*' || this.tokens.at(-2) !== '.'
    if (kind === WORD) return beforeExpression.has(previous)
    return previous === '(' || previous === ',' || previous === '['
  }

  #comment(): void {
    const raw = this.#raw
    if (raw.charCodeAt(this.#at) === 45) {
      let at = this.#at + 2
      for (; at < raw.length; at++) {
        const c = raw.charCodeAt(at)
        if (c === 10 || c === 13) break
      }
      this.#at = at
      return
    }
    let depth = 1
    let at = this.#at + 2
    for (; at < raw.length && depth > 0; at++) {
      const c = raw.charCodeAt(at)
      const next = raw.charCodeAt(at + 1)
      if (c === 42 && next === 47) {
        depth -= 1
        at += 1
      } else if (c === 47 && next === 42) {
        depth += 1
        at += 1
      }
    }
    this.#at = at
  }

  #mark(c: number): void {
    const raw = this.#raw
    const next = raw.charCodeAt(this.#at + 1)
    if (c === 46 && isDigit[next] === 1) return this.#number(this.#at)
    if (c === 58 /* : */ && (next === 58 || next === 61)) {
      this.#at += 2
      return this.#push(next === 58 ? '::' : ':=', next === 58 ? MARK : OPERATOR)
    }
    this.#at += 1
    if (c === 40 || c === 91) this.#open(c)
    else if (c === 41 || c === 93) this.#close(c)
    else if (c === 44) this.#comma()
    else if (c === 59) this.#push(';', MARK)
    else if (c === 46) this.#push('.', MARK)
    // What the grammar has no use for stands alone; control characters do not stand at all.
    else if (c > 32) this.#push(String.fromCharCode(c), OPERATOR)
  }

  #open(c: number): void {
    const previous = this.tokens.at(-1)
    const list = this.#list
    const isNested =
      c === 91 && list?.depth === this.#depth && list.itemStart === this.tokens.length
    const isList =
      (c === 40 ? previous === 'in' : previous === 'array') || (isNested && !list.isRows)
    this.#push(c === 40 ? '(' : '[', MARK)
    this.#depth += 1
    if (isList) this.#openList(false)
  }

  #close(c: number): void {
    const { depth } = this.#list ?? { depth: -1 }
    // `values (1), (2))`: the parenthesis around the rows ends them.
    if (this.#list?.isRows === true && depth === this.#depth) this.#endList()
    if (this.#list?.isRows === false && this.#list.depth === this.#depth) this.#endList()
    this.#push(c === 41 ? ')' : ']', MARK)
    this.#depth -= 1
  }

  #comma(): void {
    const list = this.#list
    if (list === undefined || list.depth !== this.#depth) return this.#push(',', MARK)
    this.#endItem(list)
    this.#push(',', MARK)
    list.itemStart = this.tokens.length
  }

  #openList(isRows: boolean): void {
    const list = { depth: this.#depth, isRows, itemStart: this.tokens.length, forms: [] }
    this.#lists.push(list)
    this.#list = list
  }

  #endList(): void {
    if (this.#list !== undefined) this.#endItem(this.#list)
    this.#dropList()
  }

  #dropList(): void {
    this.#lists.pop()
    this.#list = this.#lists.at(-1)
  }

  /** Takes the item away again, and the comma before it, where one of its form is there. */
  #endItem({ itemStart, forms }: List): void {
    const end = this.tokens.length
    if (end === itemStart) return
    for (let i = 0; i < forms.length; i += 2) {
      const [start, stop] = [forms[i] as number, forms[i + 1] as number]
      if (stop - start === end - itemStart && this.#isAlike(start, itemStart, end)) {
        return this.#truncate(itemStart - 1)
      }
    }
    if (forms.length < MAX_FORMS * 2) forms.push(itemStart, end)
  }

  #isAlike(a: number, b: number, end: number): boolean {
    const { tokens, kinds } = this
    for (; b < end; a++, b++) {
      if (tokens[a] !== tokens[b] && !(isValue(kinds[a]) && isValue(kinds[b]))) return false
    }
    return true
  }

  /** The text has ended, or we look no further: half an item is none. */
  #closeLists(): void {
    for (; this.#list !== undefined; this.#dropList()) {
      const { isRows, depth, itemStart, forms } = this.#list
      if (isRows && depth === this.#depth) this.#endItem(this.#list)
      else if (forms.length > 0) this.#truncate(itemStart - 1)
    }
  }
}

/** One for all: making one takes as long as reading a short statement. */
const lexer = new Lexer()

function isValue(kind: number | undefined): boolean {
  return kind === STRING || kind === NUMBER || kind === PARAMETER
}

function isSign(c: number): boolean {
  return c === 43 || c === 45
}

function render(tokens: readonly string[], kinds: readonly number[]): string {
  let text = ''
  let values = 0
  let numbers: Map<string, number> | undefined
  let previous = ''
  let previousKind = 0
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] as string
    const kind = kinds[i] as number
    if (i > 0 && isApart(previous, previousKind, token, kind)) text += ' '
    if (kind === PARAMETER) {
      numbers ??= new Map()
      let number = numbers.get(token)
      if (number === undefined) numbers.set(token, (number = ++values))
      text += `$${number}`
    } else if (token === VALUE) text += `$${++values}`
    else text += token
    previous = token
    previousKind = kind
  }
  return text
}

function isApart(previous: string, previousKind: number, token: string, kind: number): boolean {
  if (previousKind === MARK && (previous === '(' || previous === '[' || previous === '.'))
    return false
  if (previousKind === MARK && previous === '::') return false
  if (kind !== MARK || (previousKind === OPERATOR && token === '::')) return true
  if (token === '(') {
    return previousKind === WORD ? beforeParenthesis.has(previous) : previousKind !== QUOTED
  }
  if (token === '[') return previousKind === OPERATOR || previous === ','
  return false
}

/** E'…': what the common escapes stand for. */
function unescape(text: string): string {
  return text.replace(/\\(.)|''/gs, (whole, c: string | undefined) => {
    if (c === undefined) return "'"
    const known: Record<string, string> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' }
    return known[c] ?? (/[xuU0-7]/.test(c) ? whole : c)
  })
}

/** 1 at the code of each of these characters. */
function classOf(characters: string): Uint8Array {
  const table = new Uint8Array(128)
  for (let i = 0; i < characters.length; i++) table[characters.charCodeAt(i)] = 1
  return table
}
