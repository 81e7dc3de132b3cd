/**
 * Verdict: whether a route that was called once may be called a thousand times.
 *
 * Judged by what the server did (its facts) first, by what it answered second: a route that wrote and
 * then failed is listed as one that writes. A reason is the rest of a sentence that begins with the
 * route, and says what to give where that would help.
 */
import type { RequestFacts } from '../../core/facts.ts'
import { type Answer, isLoopback } from '../../load/index.ts'
import type { Effect } from './sql-effects.ts'

export interface VerdictOptions {
  readonly allowWrites: boolean
  readonly allowOutbound: boolean
  /** The user gave headers: a 401 then says that they do not suffice. */
  readonly hasHeaders: boolean
}

/** `undefined`: nothing speaks against it. */
export type Reason = string | undefined

const signIn = /(?:^|[/_-])(?:login|log-in|signin|sign-in|auth|oauth2?|sso|session)(?:[/?_-]|$)/i

/** Filling a cache harms nobody; a job or a message does something elsewhere, for each request. */
const handsOn: ReadonlySet<string> = new Set([
  ...['publish', 'spublish', 'lpush', 'lpushx', 'rpush', 'rpushx', 'xadd', 'flushall', 'flushdb'],
])

/** What the request did. `effectOf` knows the effect of a statement by its id. */
export function reasonOfFacts(
  facts: RequestFacts,
  effectOf: (statement: string) => Effect,
  options: VerdictOptions,
): Reason {
  for (const span of facts.spans) {
    if (span.kind === 'query' && !options.allowWrites) {
      const effect = effectOf(span.statement ?? '')
      if (effect !== undefined) return writes(effect)
    }
    if (span.kind === 'cache' && !options.allowWrites && handsOn.has(span.name)) {
      return `hands something on through Redis (${span.name.toUpperCase()}); --allow-writes drives it nevertheless`
    }
    if (span.kind === 'http' && !options.allowOutbound && !isLoopback(hostOf(span.host ?? ''))) {
      return `calls ${span.host ?? 'another host'}; --allow-outbound drives it nevertheless`
    }
  }
  const isAllSeen = facts.droppedSpans === 0 || options.allowOutbound
  if (isAllSeen) return undefined
  return `did so much that ${facts.droppedSpans} of its calls were not seen; --allow-outbound drives it nevertheless`
}

export function writes(effect: string): string {
  return `writes to the database (${effect}); --allow-writes drives it nevertheless`
}

/** What it answered. */
export function reasonOfAnswer(answer: Answer, options: VerdictOptions): Reason {
  const { status, error, errorMessage, headers } = answer
  if (error === 'endless') return 'answers without an end (a stream of events)'
  if (error === 'timeout') return 'did not answer in time'
  if (error !== undefined) return `was not answered (${errorMessage ?? error})`
  if (status === 401 || status === 403) {
    const scheme = /^\w+/.exec(headers['www-authenticate'] ?? '')?.[0] ?? 'Bearer'
    const needs = options.hasHeaders ? 'other rights than the headers given' : 'signing in'
    return `answers ${status}, it needs ${needs}: give --header 'authorization: ${scheme} …' or --header 'cookie: …'`
  }
  if (status >= 300 && status < 400 && signIn.test(pathOf(headers['location'] ?? ''))) {
    return `redirects to ${pathOf(headers['location'] ?? '')}, it needs signing in: give --header 'cookie: …'`
  }
  if (status >= 400 || status < 200) return `answers ${status}`
  return undefined
}

/** Another value of its parameters may be answered better. */
export function isWorthRetrying({ status }: Answer): boolean {
  return status === 400 || status === 404 || status === 410 || status === 422
}

/** `api.test:443` → `api.test`, `[::1]:80` → `[::1]`. */
function hostOf(host: string): string {
  return host.replace(/:\d+$/, '')
}

function pathOf(location: string): string {
  return URL.canParse(location, 'http://base') ? new URL(location, 'http://base').pathname : ''
}
