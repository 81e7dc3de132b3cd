/**
 * Route pattern: what a framework's pattern wants in its place.
 *
 *   /users/:id/orders        static, parameter, static           Express, Fastify, Koa, Hono
 *   /files/:name.:ext        two parameters in one segment       Express, Fastify
 *   /users/:id(\\d+)          parameter with a rule               Express 4, Fastify
 *   /posts/:slug?            parameter that may be missing       Express 4, Fastify, Hono
 *   /posts{/:slug}           group that may be missing           Express 5
 *   /users/{id}              parameter                           OpenAPI
 *   /static/*, /^\/a/        not driven: nothing says what fits
 *
 * What may be missing is left out: the shorter path is a path of the route too.
 */

export interface PathParam {
  readonly name: string
  /** A value must match it whole. */
  readonly rule?: RegExp
}

export type PathPart = string | PathParam

export class RoutePattern {
  readonly pattern: string
  readonly parts: readonly PathPart[]
  /** Why it cannot be filled, where it cannot. */
  readonly obstacle: string | undefined

  constructor(pattern: string) {
    this.pattern = pattern
    const { parts, obstacle } = parse(pattern)
    this.parts = parts
    this.obstacle = obstacle
  }

  get params(): readonly PathParam[] {
    return this.parts.filter((part) => typeof part !== 'string')
  }

  /** The same for patterns of one shape in whatever notation: `/users/{}`. */
  get shape(): string {
    return this.parts.map((part) => (typeof part === 'string' ? part : '{}')).join('')
  }
}

function parse(pattern: string): { parts: PathPart[]; obstacle?: string } {
  if (!pattern.startsWith('/') || /^\/[\^(]/.test(pattern) || /[$]\/[a-z]*$/.test(pattern)) {
    return { parts: [], obstacle: 'its pattern is a regular expression' }
  }
  const withoutGroups = pattern.replace(/\{[^{}]*[/:][^{}]*\}/g, '')
  const parts: PathPart[] = []
  let text = ''
  const flush = () => {
    if (text !== '') parts.push(text)
    text = ''
  }
  for (let at = 0; at < withoutGroups.length; ) {
    const rest = withoutGroups.slice(at)
    const param = /^:([A-Za-z_$][\w$]*)|^\{([^{}/:]+)\}/.exec(rest)
    if (rest.startsWith('::')) {
      text += ':'
      at += 2
    } else if (param !== null) {
      at += param[0].length
      const rule = ruleAt(withoutGroups, at)
      if (rule === null)
        return { parts: [], obstacle: 'its parameter has a rule that cannot be read' }
      at += rule === undefined ? 0 : rule.length + 2
      const marks = /^[?*+]/.exec(withoutGroups.slice(at))?.[0]
      if (marks === '*' || marks === '+')
        return { parts: [], obstacle: 'it takes any path (wildcard)' }
      if (marks === '?') {
        at += 1
        // With the slash before it.
        text = text.replace(/\/$/, '')
        continue
      }
      flush()
      const name = param[1] ?? param[2] ?? ''
      const compiled = rule === undefined ? undefined : compile(rule)
      if (compiled === null)
        return { parts: [], obstacle: 'its parameter has a rule that cannot be read' }
      parts.push(compiled === undefined ? { name } : { name, rule: compiled })
    } else if (/^[*]/.test(rest)) {
      return { parts: [], obstacle: 'it takes any path (wildcard)' }
    } else if (/^[()+?|\\[\]{}]/.test(rest)) {
      return { parts: [], obstacle: 'its pattern is a regular expression' }
    } else {
      text += rest[0]
      at += 1
    }
  }
  flush()
  if (parts.length === 0) parts.push('/')
  return { parts }
}

/** Text between the parentheses that begin at `at`; null where they do not close. */
function ruleAt(pattern: string, at: number): string | null | undefined {
  if (pattern[at] !== '(') return undefined
  let depth = 0
  for (let end = at; end < pattern.length; end++) {
    if (pattern[end] === '\\') end += 1
    else if (pattern[end] === '(') depth += 1
    else if (pattern[end] === ')' && --depth === 0) return pattern.slice(at + 1, end)
  }
  return null
}

function compile(rule: string): RegExp | null {
  try {
    return new RegExp(`^(?:${rule})$`)
  } catch {
    return null
  }
}
