/**
 * Request file: the traffic to drive, one JSON object a line.
 *
 *   # lines that begin with '#' and empty lines are skipped
 *   {"path": "/users/42", "weight": 5}
 *   {"method": "POST", "path": "/orders", "headers": {"authorization": "Bearer t"}, "body": {"sku": 7}}
 *
 * | key     | is                                                              | default |
 * |---------|-----------------------------------------------------------------|---------|
 * | path    | path and query string, begins with `/`                          | —       |
 * | method  | upper case                                                      | GET     |
 * | headers | object of strings                                               | none    |
 * | body    | object or array (sent as JSON), or a string (sent as it stands) | none    |
 * | weight  | share of the load, above 0                                      | 1       |
 * | route   | name under which it is counted                                  | by path |
 *
 * What is wrong is refused with file, line and column. A file of another kind (HAR, a JSON array,
 * CSV, …) is recognised by its looks, only to say in one sentence what was expected instead.
 *
 * A line is what stands between two line feeds; columns count from 1, in UTF-16 units.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { inspect } from 'node:util'
import { HastenError } from '../core/errors.ts'
import { foreignKind } from './foreign-file.ts'
import { JsonBroken, jsonMembers, type Member } from './json-members.ts'
import type { PlannedRequest } from './planned-request.ts'

/** More than a hundred thousand requests; a plan is held in memory, in two threads. */
const MAX_BYTES = 64 * 2 ** 20

const keys = ['method', 'path', 'headers', 'body', 'weight', 'route'] as const
type Key = (typeof keys)[number]

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Headers that follow from the message or the connection: the client writes them itself. */
const ownHeaders = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Reads and parses; REQUESTS_INVALID where there is no such file, or it is none. */
export async function readRequestFile(path: string): Promise<PlannedRequest[]> {
  let file: FileHandle
  try {
    file = await open(path)
  } catch (error) {
    throw unreadable(path, error)
  }
  try {
    return parseRequestFile(textOf(await bytesOf(file, path), path), path)
  } finally {
    await file.close()
  }
}

/** Parses what stands in `file`; the name is for the messages. */
export function parseRequestFile(text: string, file: string): PlannedRequest[] {
  const content = text.startsWith('\uFEFF') ? text.slice(1) : text
  const requests: PlannedRequest[] = []
  for (const [index, line] of content.split('\n').entries()) {
    const trimmed = line.trim()
    if (trimmed === '' || trimmed.startsWith('#')) continue
    if (requests.length === 0) {
      const kind = foreignKind(content, trimmed)
      if (kind !== undefined) throw invalid(file, index, columnOf(line), `${kind}; ${expected}`)
    }
    requests.push(new Line(line, index, file).request())
  }
  if (requests.length === 0) {
    throw new HastenError('REQUESTS_INVALID', `${file}: it holds no request; ${expected}`)
  }
  return requests
}

const expected =
  'a request file holds one JSON object a line, such as {"method": "GET", "path": "/users/1", "weight": 1}'

class Line {
  readonly #text: string
  readonly #index: number
  readonly #file: string
  readonly #members = new Map<Key, Member>()

  constructor(text: string, index: number, file: string) {
    this.#text = text.endsWith('\r') ? text.slice(0, -1) : text
    this.#index = index
    this.#file = file
    for (const member of this.#parse()) {
      const key = keys.find((known) => known === member.key)
      if (key === undefined) {
        const rule = `unknown key ${inspect(member.key)}, expected one of ${keys.join(', ')}`
        throw this.#invalid(member.keyAt, rule)
      }
      if (this.#members.has(key)) throw this.#invalid(member.keyAt, `'${key}' is given twice`)
      this.#members.set(key, member)
    }
  }

  request(): PlannedRequest {
    const body = this.#body()
    const headers = this.#headers(body !== undefined && !body.isText)
    const route = this.#route()
    return {
      method: this.#method(),
      path: this.#path(),
      ...(headers && { headers }),
      ...(body && { body: body.text }),
      weight: this.#weight(),
      ...(route !== undefined && { route }),
    }
  }

  #method(): string {
    const value = this.#value('method')
    if (value === undefined) return 'GET'
    if (typeof value !== 'string' || !token.test(value)) {
      throw this.#bad('method', 'must be an HTTP method such as "GET"', value)
    }
    if (value !== value.toUpperCase()) {
      throw this.#bad('method', `must be in upper case, "${value.toUpperCase()}"`, value)
    }
    if (value === 'CONNECT')
      throw this.#bad('method', 'must not be CONNECT, it has no answer', value)
    return value
  }

  #path(): string {
    const value = this.#value('path')
    if (value === undefined) throw this.#invalid(this.#text.search(/\S/), "'path' is missing")
    if (typeof value !== 'string') throw this.#bad('path', 'must be a string', value)
    if (/^(?:[a-z][a-z0-9+.-]*:)?\/\//i.test(value)) {
      const rule = 'must be a path of the server under test, not a URL: write what follows the host'
      throw this.#bad('path', rule, value)
    }
    if (!value.startsWith('/')) throw this.#bad('path', "must begin with '/'", value)
    const hash = value.indexOf('#')
    if (hash !== -1) {
      throw this.#bad(
        'path',
        "must hold no '#': a fragment is never sent; write %23 for the sign",
        value,
      )
    }
    if (/[^\u0021-\u007e]/.test(value)) {
      throw this.#bad('path', 'must be percent-encoded where it is not plain ASCII', value)
    }
    return value
  }

  #headers(isJson: boolean): Record<string, string> | undefined {
    const value = this.#value('headers')
    if (value === undefined) return isJson ? { 'content-type': 'application/json' } : undefined
    if (!isObject(value)) throw this.#bad('headers', 'must be an object of strings', value)
    const headers: Record<string, string> = {}
    const seen = new Set<string>()
    for (const [name, text] of Object.entries(value)) {
      const lower = name.toLowerCase()
      if (!token.test(name)) throw this.#bad('headers', 'must have names that are tokens', name)
      if (ownHeaders.has(lower)) {
        throw this.#bad('headers', `must not hold ${lower}, which the client writes itself`, text)
      }
      if (seen.has(lower)) throw this.#bad('headers', `must hold ${lower} once`, value)
      seen.add(lower)
      if (typeof text !== 'string') throw this.#bad('headers', `${name} must be a string`, text)
      if (/[^\t\u0020-\u007e\u0080-\u00ff]/.test(text)) {
        const rule = `${name} must hold no line break, control character or character above U+00FF`
        throw this.#bad('headers', rule, text)
      }
      headers[name] = text
    }
    if (isJson && !seen.has('content-type')) headers['content-type'] = 'application/json'
    return headers
  }

  #body(): { readonly text: string; readonly isText: boolean } | undefined {
    const value = this.#value('body')
    if (value === undefined) return undefined
    if (typeof value === 'string') return { text: value, isText: true }
    if (typeof value === 'object' && value !== null) {
      // As it stands in the file: numbers above 2^53 and the order of keys survive.
      const { valueAt, valueEnd } = this.#members.get('body') as Member
      return { text: this.#text.slice(valueAt, valueEnd), isText: false }
    }
    throw this.#bad('body', 'must be an object, an array or a string', value)
  }

  #weight(): number {
    const value = this.#value('weight')
    if (value === undefined) return 1
    if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) {
      throw this.#bad('weight', 'must be a finite number above 0', value)
    }
    return value
  }

  #route(): string | undefined {
    const value = this.#value('route')
    if (value === undefined) return undefined
    if (typeof value !== 'string' || value.trim() === '' || /\p{Cc}/u.test(value)) {
      throw this.#bad('route', 'must be a name without control characters', value)
    }
    return value
  }

  #parse(): Member[] {
    try {
      return jsonMembers(this.#text)
    } catch (error) {
      if (!(error instanceof JsonBroken)) throw error
      const found = this.#text.slice(error.at, error.at + 20)
      const got = found === '' ? 'the line ends' : `got ${inspect(found)}`
      throw this.#invalid(error.at, `not JSON: ${error.message}, ${got}`)
    }
  }

  #value(key: Key): unknown {
    const member = this.#members.get(key)
    if (member === undefined) return undefined
    return JSON.parse(this.#text.slice(member.valueAt, member.valueEnd))
  }

  #bad(key: Key, rule: string, value: unknown): HastenError {
    const at = this.#members.get(key)?.valueAt ?? 0
    return this.#invalid(at, `${key} ${rule}, got ${shown(value)}`)
  }

  #invalid(at: number, what: string): HastenError {
    return invalid(this.#file, this.#index, at + 1, what)
  }
}

function invalid(file: string, lineIndex: number, column: number, what: string): HastenError {
  return new HastenError('REQUESTS_INVALID', `${file}:${lineIndex + 1}:${column}: ${what}`)
}

function columnOf(line: string): number {
  return line.search(/\S/) + 1
}

function shown(value: unknown): string {
  return inspect(value, { breakLength: Number.POSITIVE_INFINITY, maxStringLength: 80, depth: 1 })
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

async function bytesOf(file: FileHandle, path: string): Promise<Buffer> {
  const stat = await file.stat()
  if (stat.isDirectory()) {
    throw new HastenError('REQUESTS_INVALID', `${path} is a directory; ${expected}`)
  }
  const chunks: Buffer[] = []
  let bytes = stat.size
  if (bytes <= MAX_BYTES) {
    bytes = 0
    // Not readFile: a pipe or /dev/zero has no size, and no end either.
    for await (const chunk of file.createReadStream({ autoClose: false })) {
      chunks.push(chunk as Buffer)
      bytes += (chunk as Buffer).length
      if (bytes > MAX_BYTES) break
    }
  }
  if (bytes <= MAX_BYTES) return Buffer.concat(chunks)
  const limit = `${MAX_BYTES / 2 ** 20} MB`
  throw new HastenError(
    'REQUESTS_INVALID',
    `${path} is larger than ${limit}, the most that is read; give a sample of it, with weights`,
  )
}

function textOf(bytes: Buffer, path: string): string {
  try {
    if (!bytes.includes(0)) return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {}
  throw new HastenError('REQUESTS_INVALID', `${path} is not UTF-8 text; ${expected}`)
}

function unreadable(path: string, cause: unknown): HastenError {
  const code = (cause as NodeJS.ErrnoException).code
  const why =
    code === 'ENOENT' ? 'does not exist' : `cannot be read (${code ?? (cause as Error).message})`
  return new HastenError('REQUESTS_INVALID', `${path} ${why}; give the path of a request file`, {
    cause,
  })
}
