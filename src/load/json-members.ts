/**
 * JSON members: where the parts of one JSON object stand in its line.
 *
 * `JSON.parse` says what is wrong in words of V8 that change from line to line of Node, at times
 * without a position, and forgets where each value stood. This reader builds no values: it walks one
 * object by the grammar of RFC 8259 and notes where its members begin, or where the grammar breaks.
 * `JSON.parse` of the same text succeeds exactly when this does.
 */

export interface Member {
  readonly key: string
  /** Offsets in the text. */
  readonly keyAt: number
  readonly valueAt: number
  readonly valueEnd: number
}

export class JsonBroken extends Error {
  readonly at: number

  constructor(expected: string, at: number) {
    super(`expected ${expected}`)
    this.at = at
  }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Deeper than any body that a person writes, and far from the end of the stack. */
const MAX_DEPTH = 500

/** Members of the object that `text` holds, nothing else around it; throws `JsonBroken`. */
export function jsonMembers(text: string): Member[] {
  const reader = new Reader(text)
  reader.space()
  const members = reader.object(0)
  reader.space()
  if (reader.at < text.length) throw new JsonBroken('the end of the line', reader.at)
  return members
}

class Reader {
  readonly #text: string
  at = 0

  constructor(text: string) {
    this.#text = text
  }

  space(): void {
    this.at = this.#matchEnd(/[ \t\n\r]*/y) ?? this.at
  }

  object(depth: number): Member[] {
    const members: Member[] = []
    this.#expect('{', "'{'")
    this.space()
    if (this.#take('}')) return members
    for (;;) {
      const keyAt = this.at
      this.#string('a key in double quotes')
      const key = JSON.parse(this.#text.slice(keyAt, this.at)) as string
      this.space()
      this.#expect(':', "':'")
      this.space()
      const valueAt = this.at
      this.#value(depth + 1)
      members.push({ key, keyAt, valueAt, valueEnd: this.at })
      this.space()
      if (this.#take('}')) return members
      this.#expect(',', "',' or '}'")
      this.space()
    }
  }

  #array(depth: number): void {
    this.at += 1
    this.space()
    if (this.#take(']')) return
    for (;;) {
      this.#value(depth + 1)
      this.space()
      if (this.#take(']')) return
      this.#expect(',', "',' or ']'")
      this.space()
    }
  }

  #value(depth: number): void {
    if (depth > MAX_DEPTH) throw new JsonBroken(`at most ${MAX_DEPTH} levels`, this.at)
    const first = this.#text[this.at]
    if (first === '{') this.object(depth)
    else if (first === '[') this.#array(depth)
    else if (first === '"') this.#string('a value')
    else {
      const end = this.#matchEnd(/-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y)
      if (end === undefined) throw new JsonBroken('a value', this.at)
      this.at = end
    }
  }

  #string(expected: string): void {
    if (this.#text[this.at] !== '"') throw new JsonBroken(expected, this.at)
    this.at += 1
    // By hand: a pattern keeps a way back for each character, and a body may have millions.
    for (let code = this.#code(); code >= 0x20 && code !== QUOTE; code = this.#code()) {
      if (code !== BACKSLASH) this.at += 1
      else {
        const end = this.#matchEnd(/\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y)
        if (end === undefined) break
        this.at = end
      }
    }
    if (this.#take('"')) return
    const isEnd = this.at >= this.#text.length
    throw new JsonBroken(isEnd ? 'a closing double quote' : 'a valid character or escape', this.at)
  }

  /** Not a number at the end, which is below nothing and ends every loop. */
  #code(): number {
    return this.#text.charCodeAt(this.at)
  }

  #take(character: string): boolean {
    if (this.#text[this.at] !== character) return false
    this.at += 1
    return true
  }

  #expect(character: string, name: string): void {
    if (!this.#take(character)) throw new JsonBroken(name, this.at)
  }

  #matchEnd(pattern: RegExp): number | undefined {
    pattern.lastIndex = this.at
    return pattern.test(this.#text) ? pattern.lastIndex : undefined
  }
}
