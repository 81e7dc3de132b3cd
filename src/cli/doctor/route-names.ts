/**
 * Route names: which route answers a path, as far as the server has told.
 *
 * The load generator sees paths, the server sees patterns. Requests sent one at a time teach the
 * pairs exactly; for the other paths the patterns seen so far are matched, segment by segment, the
 * one with the fewest parameters first, as routers do. What no pattern explains is folded.
 */
import { foldPath } from '../../core/fold-path.ts'

interface Pattern {
  readonly method: string
  readonly route: string
  readonly segments: readonly string[]
  readonly parameters: number
}

export class RouteNames {
  readonly #exact = new Map<string, string>()
  readonly #patterns = new Map<string, Pattern>()

  /** The server booked this path to this route. */
  learn(method: string, path: string, route: string): void {
    this.#exact.set(`${method} ${path}`, route)
    this.learnPattern(method, route)
  }

  learnPattern(method: string, route: string): void {
    const segments = route.split('/')
    const parameters = segments.filter((segment) => /[:*(]/.test(segment)).length
    this.#patterns.set(`${method} ${route}`, { method, route, segments, parameters })
  }

  nameOf(method: string, path: string): string {
    const exact = this.#exact.get(`${method} ${path}`)
    if (exact !== undefined) return exact
    const segments = (path.split('?', 1)[0] ?? path).split('/')
    let best: Pattern | undefined
    for (const pattern of this.#patterns.values()) {
      if (pattern.method !== method || !matches(pattern.segments, segments)) continue
      if (best === undefined || pattern.parameters < best.parameters) best = pattern
    }
    return best?.route ?? foldPath(path)
  }
}

function matches(pattern: readonly string[], segments: readonly string[]): boolean {
  if (pattern.length !== segments.length) return false
  return pattern.every((part, index) =>
    part.startsWith(':') ? segments[index] !== '' : part === segments[index],
  )
}
