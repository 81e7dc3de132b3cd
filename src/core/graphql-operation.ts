/**
 * GraphQL operation: the name that tells requests apart where all have one path.
 *
 * The observed server reads it to name a route, the doctor to know which requests are one route
 * before it sends them. Both must read it alike, so it is here. Names only, never a document: a
 * document holds what users wrote.
 */

const NAME = /^[_A-Za-z][_0-9A-Za-z]{0,79}$/
// The name stands in the first line of any document that a client library sends.
const NAMED_OPERATION = /^\s*(?:query|mutation|subscription)\s+([_A-Za-z][_0-9A-Za-z]{0,79})/

/** Is `graphql` a whole segment of the path? */
export function isGraphqlPath(url: string): boolean {
  const at = url.indexOf('graphql')
  if (at < 1 || url.charCodeAt(at - 1) !== 47) return false
  const after = url.charCodeAt(at + 7)
  return Number.isNaN(after) || after === 63 || after === 47
}

/** From the body, parsed, or from the query string. */
export function graphqlOperation(url: string, body: unknown): string | undefined {
  const query = url.includes('?') ? new URLSearchParams(url.slice(url.indexOf('?'))) : undefined
  const sent = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
  const name = sent.operationName ?? query?.get('operationName')
  if (typeof name === 'string' && NAME.test(name)) return name
  const text = sent.query ?? query?.get('query')
  return typeof text === 'string' ? NAMED_OPERATION.exec(text.slice(0, 200))?.[1] : undefined
}
