/**
 * OpenAPI document: examples for parameters, from the one who wrote the API.
 *
 * Read from `--openapi file`, or from a route of the server that serves one. Understands OpenAPI 3 and
 * Swagger 2, as JSON, with references inside the document. Nothing is validated: what is not where it
 * should be gives no example.
 */
import { readFile } from 'node:fs/promises'
import { HastenError } from '../../core/errors.ts'
import { RoutePattern } from './route-pattern.ts'

const MAX_REFERENCES = 10
const MAX_EXAMPLES = 20

interface Operation {
  readonly pattern: string
  readonly parameters: readonly Parameter[]
}

interface Parameter {
  readonly name: string
  readonly in: string
  readonly required: boolean
  readonly examples: readonly string[]
}

/** Paths at which the frameworks' plugins serve their document. */
const served =
  /(?:openapi|swagger|api-docs|api-doc|swagger-doc)(?:\.json)?$|\/(?:documentation|docs?|swagger|reference)\/(?:json|openapi\.json|swagger\.json)$|\/(?:api|docs?|swagger)-json$/i

export function servesOpenApi(pattern: string): boolean {
  return served.test(pattern)
}

export class OpenApi {
  /** Operations of GET, by the shape of their path. */
  readonly #operations = new Map<string, Operation>()

  /** `undefined` where it is no such document. */
  static of(document: unknown): OpenApi | undefined {
    if (!isObject(document)) return undefined
    const isOne = typeof (document['openapi'] ?? document['swagger']) === 'string'
    return isOne && isObject(document['paths']) ? new OpenApi(document) : undefined
  }

  private constructor(document: Record<string, unknown>) {
    const bases = basesOf(document)
    for (const [path, item] of Object.entries(document['paths'] as object)) {
      const resolved = deref(document, item)
      if (!isObject(resolved) || !path.startsWith('/')) continue
      const get = deref(document, resolved['get'])
      if (!isObject(get)) continue
      const parameters = [...listOf(resolved['parameters']), ...listOf(get['parameters'])]
        .map((parameter) => parameterOf(document, parameter))
        .filter((parameter) => parameter !== undefined)
      for (const base of bases) {
        const pattern = `${base}${path}`
        this.#operations.set(new RoutePattern(pattern).shape, { pattern, parameters })
      }
    }
  }

  /** Patterns of its GET operations, in its own notation, below its first base path. */
  patterns(): string[] {
    return [...this.#operations.values()].map(({ pattern }) => pattern)
  }

  /** Examples for the path parameter at `index` of a route; names may differ, places do not. */
  pathExamples(route: RoutePattern, index: number): readonly string[] {
    const operation = this.#operations.get(route.shape)
    if (operation === undefined) return []
    const name = new RoutePattern(operation.pattern).params[index]?.name
    const parameter = operation.parameters.find((one) => one.in === 'path' && one.name === name)
    return parameter?.examples ?? []
  }

  /** Query string that a route needs, or the name of the parameter for which there is no example. */
  query(route: RoutePattern): { readonly query: string } | { readonly missing: string } {
    const query = new URLSearchParams()
    for (const parameter of this.#operations.get(route.shape)?.parameters ?? []) {
      if (parameter.in !== 'query' || !parameter.required) continue
      const [example] = parameter.examples
      if (example === undefined) return { missing: parameter.name }
      query.set(parameter.name, example)
    }
    return { query: query.toString() }
  }
}

/** Reads `--openapi`; OPENAPI_INVALID where it is none. */
export async function readOpenApi(path: string): Promise<OpenApi> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error'
    const what = `${path} cannot be read (${code}); give the path of an OpenAPI document`
    throw new HastenError('OPENAPI_INVALID', what, { cause })
  }
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (cause) {
    const isYaml = /^\s*(?:#|---|openapi\s*:|swagger\s*:)/.test(text)
    const why = isYaml
      ? 'is YAML; convert it to JSON first'
      : `is not JSON: ${(cause as Error).message}`
    throw new HastenError('OPENAPI_INVALID', `${path} ${why}`, { cause })
  }
  const openApi = OpenApi.of(document)
  if (openApi !== undefined) return openApi
  const what = `${path} is no OpenAPI document: it needs 'openapi' or 'swagger', and 'paths'`
  throw new HastenError('OPENAPI_INVALID', what)
}

/** Base paths under which its paths may lie: as written, and below each server's own path. */
function basesOf(document: Record<string, unknown>): string[] {
  const urls = listOf(document['servers']).map((server) => (isObject(server) ? server['url'] : ''))
  const bases = [document['basePath'], ...urls]
    .filter((url) => typeof url === 'string')
    .map((url) => (URL.canParse(url, 'http://base') ? new URL(url, 'http://base').pathname : ''))
    .map((path) => decodeURI(path).replace(/\/+$/, ''))
  return [...new Set([...bases, ''])].slice(0, 5)
}

function parameterOf(document: Record<string, unknown>, value: unknown): Parameter | undefined {
  const parameter = deref(document, value)
  if (!isObject(parameter) || typeof parameter['name'] !== 'string') return undefined
  const schema = deref(document, parameter['schema'])
  const named = isObject(parameter['examples']) ? Object.values(parameter['examples']) : []
  const candidates = [
    parameter['example'],
    ...named.map((example) => (deref(document, example) as { value?: unknown } | undefined)?.value),
    ...examplesOf(schema),
    // Swagger 2 has no schema: they stand in the parameter itself.
    ...examplesOf(parameter),
  ]
  const examples = candidates
    .filter((example) => ['string', 'number', 'boolean'].includes(typeof example))
    .map(String)
    .filter((example) => example !== '')
  return {
    name: parameter['name'],
    in: String(parameter['in']),
    required: parameter['required'] === true,
    examples: [...new Set(examples)].slice(0, MAX_EXAMPLES),
  }
}

function examplesOf(schema: unknown): unknown[] {
  if (!isObject(schema)) return []
  const { example, examples, default: initial, enum: values, const: only } = schema
  return [example, ...listOf(examples), only, initial, schema['x-example'], ...listOf(values)]
}

function deref(document: Record<string, unknown>, value: unknown): unknown {
  let current = value
  for (let hops = 0; isObject(current) && typeof current['$ref'] === 'string'; hops++) {
    const reference = current['$ref']
    if (hops === MAX_REFERENCES || !reference.startsWith('#/')) return undefined
    current = reference
      .slice(2)
      .split('/')
      .map((step) => decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~'))
      .reduce<unknown>((at, step) => (isObject(at) ? at[step] : undefined), document)
  }
  return current
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
