/** Planned request: one kind of request that the load is made of, and how often it is asked. */
import { foldPath } from '../core/fold-path.ts'

export interface PlannedRequest {
  readonly method: string
  /** Path and query string, begins with `/`. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Share of the load, against the sum of all weights. Above 0. */
  readonly weight: number
  /** Under this name it is counted: `/users/:id`. @default the folded path */
  readonly route?: string
}

/** Pattern under which a request is counted; several requests may share one. */
export function routeOf(request: PlannedRequest): string {
  return request.route ?? foldPath(request.path)
}
