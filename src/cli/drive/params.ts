/**
 * Params: values for parameters of routes, as the user gives them.
 *
 *   --params id=1,slug=abc            for each parameter of that name
 *   --params id=1,id=2                several values: the load asks for each
 *   --params '/users/:id#id=7'        for that route alone
 *   --params params.json              { "id": [1, 2], "/users/:id": { "id": 7 } }
 */
import { readFile } from 'node:fs/promises'
import { inspect } from 'node:util'
import { HastenError } from '../../core/errors.ts'

export class Params {
  readonly #byName = new Map<string, string[]>()
  /** By `pattern#name`. */
  readonly #byRoute = new Map<string, string[]>()

  add(name: string, value: string, pattern?: string): void {
    const map = pattern === undefined ? this.#byName : this.#byRoute
    const key = pattern === undefined ? name : `${pattern}#${name}`
    map.set(key, [...(map.get(key) ?? []), value])
  }

  valuesFor(pattern: string, name: string): readonly string[] {
    return this.#byRoute.get(`${pattern}#${name}`) ?? this.#byName.get(name) ?? []
  }
}

/** Parses each that was given with `--params`: pairs, or the path of a JSON file. */
export async function readParams(texts: readonly string[]): Promise<Params> {
  const params = new Params()
  for (const text of texts) {
    if (text.includes('=')) parsePairs(text, params)
    else await parseFile(text, params)
  }
  return params
}

function parsePairs(text: string, params: Params): void {
  // A comma separates only where a name and `=` follow: `at=1,2` is one value.
  for (const pair of text.split(/,(?=[^,=]+=)/)) {
    const at = pair.indexOf('=')
    const name = pair.slice(0, at).trim()
    const value = pair.slice(at + 1).trim()
    if (at < 1 || name === '' || value === '') {
      throw invalid(`${inspect(pair)} is not of the form name=value`)
    }
    const hash = name.lastIndexOf('#')
    if (hash === -1) params.add(name, value)
    else params.add(name.slice(hash + 1), value, name.slice(0, hash))
  }
}

async function parseFile(path: string, params: Params): Promise<void> {
  let document: unknown
  try {
    document = JSON.parse(await readFile(path, 'utf8'))
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    const why = code === undefined ? `is not JSON: ${message}` : `cannot be read (${code})`
    throw invalid(`${path} ${why}; give name=value, or the path of a JSON file`, cause)
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw invalid(`${path} must hold an object of values by parameter, got ${inspect(document)}`)
  }
  for (const [key, value] of Object.entries(document)) {
    if (!key.startsWith('/')) addAll(params, path, key, value)
    else if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw invalid(`${path}: ${key} must hold an object of values, got ${inspect(value)}`)
    } else for (const [name, own] of Object.entries(value)) addAll(params, path, name, own, key)
  }
}

function addAll(
  params: Params,
  path: string,
  name: string,
  value: unknown,
  pattern?: string,
): void {
  for (const one of Array.isArray(value) ? value : [value]) {
    const isValue = (typeof one === 'string' && one !== '') || typeof one === 'number'
    if (!isValue) throw invalid(`${path}: ${name} must be a string or number, got ${inspect(one)}`)
    params.add(name, String(one), pattern)
  }
}

function invalid(what: string, cause?: unknown): HastenError {
  return new HastenError('PARAMS_INVALID', `--params: ${what}`, { cause })
}
