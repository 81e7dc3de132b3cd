/**
 * Path filler: concrete paths of a route, from all that is known of its parameters.
 *
 * From left to right, because the values of a parameter depend on what stands before it: the orders of
 * user 7 are those that `/users/7/orders` listed. For each parameter the first source that has values
 * decides: what the user gave, what the OpenAPI document shows, what earlier answers held.
 */
import type { KnownValues } from './known-values.ts'
import type { OpenApi } from './openapi.ts'
import type { Params } from './params.ts'
import type { RoutePattern } from './route-pattern.ts'

export interface Sources {
  readonly params: Params
  readonly known: KnownValues
  /** The one given first, then those that the server serves. */
  readonly openApis: readonly OpenApi[]
}

export type Filled =
  | { readonly paths: readonly string[] }
  /** No value for this parameter. */
  | { readonly missing: string }

/** At most `most` different paths. */
export function fillPath(route: RoutePattern, sources: Sources, most: number): Filled {
  let paths = ['']
  let index = 0
  for (const part of route.parts) {
    if (typeof part === 'string') {
      paths = paths.map((path) => path + part)
      continue
    }
    // Where some parents are known to have children, the others are left out: a pair of a parent and
    // somebody else's child is not found.
    const { known, params } = sources
    const isGiven = params.valuesFor(route.pattern, part.name).length > 0
    const parents = isGiven
      ? []
      : paths.filter((path) => known.childrenOf(path, part.name).length > 0)
    if (parents.length > 0) paths = parents
    const grown: string[][] = paths.map((path) =>
      valuesOf(route, index, path, sources)
        .filter((value) => part.rule === undefined || part.rule.test(value))
        .map((value) => path + encodeURIComponent(value)),
    )
    index += 1
    paths = interleave(grown, most)
    if (paths.length === 0) return { missing: part.name }
  }
  return withQuery(route, paths, sources)
}

function withQuery(route: RoutePattern, paths: readonly string[], sources: Sources): Filled {
  for (const openApi of sources.openApis) {
    const found = openApi.query(route)
    if ('missing' in found) {
      const [given] = sources.params.valuesFor(route.pattern, found.missing)
      if (given === undefined) return { missing: found.missing }
      const query = new URLSearchParams([[found.missing, given]]).toString()
      return { paths: paths.map((path) => `${path}?${query}`) }
    }
    if (found.query !== '') return { paths: paths.map((path) => `${path}?${found.query}`) }
  }
  return { paths }
}

function valuesOf(
  route: RoutePattern,
  index: number,
  before: string,
  { params, known, openApis }: Sources,
): readonly string[] {
  const name = route.params[index]?.name ?? ''
  const given = params.valuesFor(route.pattern, name)
  if (given.length > 0) return given
  for (const openApi of openApis) {
    const examples = openApi.pathExamples(route, index)
    if (examples.length > 0) return examples
  }
  return known.valuesFor(before, name)
}

/** First of each, second of each …: different parents before many children of one. */
function interleave(lists: readonly (readonly string[])[], most: number): string[] {
  const taken: string[] = []
  const longest = Math.max(0, ...lists.map((list) => list.length))
  for (let at = 0; at < longest; at++) {
    for (const list of lists) {
      const value = list[at]
      if (value === undefined) continue
      taken.push(value)
      if (taken.length === most) return taken
    }
  }
  return taken
}
