/**
 * Route names: which route answers a path, as far as the server has told.
 *
 * The load generator sees paths, the server sees patterns. Requests sent one at a time teach the
 * pairs exactly; for the other paths the patterns seen so far are matched, segment by segment, the
 * one with the fewest parameters first, as routers do. What no pattern explains is folded.
 *
 * Operations of GraphQL share a path and are routes nevertheless, as they are for the server.
 */
import { foldPath } from '../../core/fold-path.ts'
import { graphqlOperation, isGraphqlPath } from '../../core/graphql-operation.ts'
import type { PlannedRequest } from '../../load/index.ts'

type Asked = Pick<PlannedRequest, 'method' | 'path' | 'body'>

interface Pattern {
  readonly method: string
  readonly route: string
  readonly segments: readonly string[]
  readonly parameters: number
}

export class RouteNames {
  readonly #exact = new Map<string, string>()
  readonly #patterns = new Map<string, Pattern>()

  /** The server booked this request to this route. */
  learn(request: Asked, route: string): void {
    this.#exact.set(keyOf(request), route)
    this.learnPattern(request.method, route)
  }

  learnPattern(method: string, route: string): void {
    const segments = route.split('/')
    const parameters = segments.filter((segment) => /[:*(]/.test(segment)).length
    this.#patterns.set(`${method} ${route}`, { method, route, segments, parameters })
  }

  nameOf(request: Asked): string {
    const exact = this.#exact.get(keyOf(request))
    if (exact !== undefined) return exact
    const operation = operationOf(request)
    const route = this.#patternOf(request) ?? foldPath(request.path)
    return operation === undefined ? route : `${route} ${operation}`
  }

  #patternOf({ method, path }: Asked): string | undefined {
    const segments = (path.split('?', 1)[0] ?? path).split('/')
    let best: Pattern | undefined
    for (const pattern of this.#patterns.values()) {
      if (pattern.method !== method || !matches(pattern.segments, segments)) continue
      if (best === undefined || pattern.parameters < best.parameters) best = pattern
    }
    return best?.route
  }
}

function keyOf(request: Asked): string {
  return `${request.method} ${request.path} ${operationOf(request) ?? ''}`
}

function operationOf({ method, path, body }: Asked): string | undefined {
  if ((method !== 'POST' && method !== 'GET') || !isGraphqlPath(path)) return undefined
  return graphqlOperation(path, parsed(body))
}

function parsed(body: string | undefined): unknown {
  try {
    return JSON.parse(body ?? 'null')
  } catch {
    return undefined
  }
}

function matches(pattern: readonly string[], segments: readonly string[]): boolean {
  if (pattern.length !== segments.length) return false
  return pattern.every((part, index) =>
    part.startsWith(':') ? segments[index] !== '' : part === segments[index],
  )
}
