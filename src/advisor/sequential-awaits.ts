/**
 * Sequential awaits: reads and outbound calls that wait for one another without needing to.
 *
 * `call-sequence.ts` finds them in requests that ran alone and whose values were hashed. A finding
 * needs the same sequence in at least `minShare` of these requests, and enough to gain: three calls or
 * more that would save `minSavesMs` and `minSavesShare`, or two that would save `minPairSavesMs` and
 * `minPairSavesShare`. Two calls are often check and work, in that order for a reason that no value
 * shows.
 *
 * Only data are seen, not reasons: `if (!user.isActive) return` makes the next call depend on the
 * first. So the title says "could", and the first statement that looks up at most one user, session,
 * token and so on, with nothing but single lookups before it, or an outbound call to something like
 * `/session`, is taken for a check that the rest must wait for.
 *
 * Not accused: writes and whatever stands in a transaction; statements on one client, which runs one
 * at a time (and no pool with more than one connection); loops over statements (n-plus-one); what was
 * sent side by side and waited for a connection; pages of a remote list; polling; retries; computing.
 *
 * Only `possible`: where values are of unknown origin, or an earlier call found no row. `id IN ()` for
 * the ids of an empty list sends nothing.
 *
 * Saving: the sum of the calls' times less the longest of them, and no more than the event loop was
 * idle during the request.
 */
import { type CallSequence, callName, constantsOf, sequencesOf } from './call-sequence.ts'
import type { Candidate } from './candidate.ts'
import { amount, figure, median, sum } from './measure.ts'
import { loopStatements } from './n-plus-one.ts'
import type { RequestView, RouteView, Situation, SpanView } from './situation.ts'

export interface SequentialAwaitsThresholds {
  /** Of the requests that ran alone. */
  readonly minShare: number
  /** Below, the connections that it takes side by side are worth more. */
  readonly minSavesMs: number
  readonly minSavesShare: number
  readonly minPairSavesMs: number
  readonly minPairSavesShare: number
}

export const sequentialAwaitsThresholds: SequentialAwaitsThresholds = {
  minShare: 0.5,
  minSavesMs: 5,
  minSavesShare: 0.1,
  minPairSavesMs: 20,
  minPairSavesShare: 0.2,
}

interface Seen {
  readonly request: RequestView
  readonly sequence: CallSequence
  readonly savesMs: number
}

export function sequentialAwaits(
  situation: Situation,
  thresholds: SequentialAwaitsThresholds,
): Candidate[] {
  return situation.routes.flatMap((route) => {
    const requests = route.soloRequests.filter(({ facts }) => facts.deep)
    const constants = constantsOf(requests)
    const byCalls = new Map<string, Seen[]>()
    for (const request of requests) {
      const skip = loopStatements(request, situation)
      for (const sequence of sequencesOf(request, situation, constants, skip)) {
        const calls = withoutLonelyPools(sequence.calls, situation)
        if (calls.length < 2) continue
        const key = subjectOf(calls)
        const seen = {
          request,
          sequence: { ...sequence, calls },
          savesMs: savingOf(request, calls),
        }
        const list = byCalls.get(key)
        if (list === undefined) byCalls.set(key, [seen])
        else list.push(seen)
      }
    }
    return [...byCalls].flatMap(([subject, seen]) => {
      const distinct = new Set(seen.map(({ request }) => request))
      if (distinct.size < thresholds.minShare * requests.length) return []
      return isWorth(seen, thresholds) ? [candidateOf(route, requests.length, subject, seen)] : []
    })
  })
}

/** A pool of one connection runs its statements one after another anyway. */
function withoutLonelyPools(calls: readonly SpanView[], { pools }: Situation): readonly SpanView[] {
  const isLonely = pools.length > 0 && pools.every(({ max }) => amount(max) <= 1)
  if (!isLonely) return calls
  const queries = calls.filter(({ kind }) => kind === 'query')
  return queries.length > 1 ? [] : calls
}

function subjectOf(calls: readonly SpanView[]): string {
  // On a developer's machine services get another port each time.
  const names = calls.map((call) => callName(call).replace(/:\d+(?=\/|$)/, ''))
  // A loop of calls is the same loop whatever its length.
  return names.filter((name, i) => name !== names[i - 1]).join('\n')
}

function savingOf({ facts }: RequestView, calls: readonly SpanView[]): number {
  const durations = calls.map(({ durationMs }) => durationMs)
  const possible = sum(durations) - Math.max(...durations)
  const idleMs = Math.max(0, facts.durationMs - amount(facts.loopActiveMs))
  return Math.min(possible, idleMs)
}

function isWorth(seen: readonly Seen[], thresholds: SequentialAwaitsThresholds): boolean {
  const savesMs = median(seen.map((each) => each.savesMs))
  const share = median(seen.map((each) => each.savesMs / each.request.facts.durationMs))
  const calls = median(seen.map((each) => each.sequence.calls.length))
  return calls >= 3
    ? savesMs >= thresholds.minSavesMs && share >= thresholds.minSavesShare
    : savesMs >= thresholds.minPairSavesMs && share >= thresholds.minPairSavesShare
}

function candidateOf(
  route: RouteView,
  sampled: number,
  subject: string,
  seen: readonly Seen[],
): Candidate {
  const savesMs = median(seen.map((each) => each.savesMs))
  const [example] = seen.toSorted((a, b) => a.savesMs - b.savesMs).slice(seen.length >> 1)
  const { calls } = (example as Seen).sequence
  const isExplained = seen.length > 1 && seen.every(({ sequence }) => sequence.isExplained)
  const hasEmpty = seen.some(({ sequence }) => sequence.hasEmpty)
  const total = sum(calls.map(({ durationMs }) => durationMs))
  const names = calls.map(({ name }) => name)
  const isLoop = new Set(names).size === 1
  return {
    kind: 'sequential-awaits',
    subject,
    route,
    title: `${figure(calls.length)} calls in a row could run side by side`,
    evidence: [
      `One after another, asked alone: ${calls
        .map(({ name, durationMs }) => `${name} ${figure(durationMs)} ms`)
        .slice(0, 6)
        .join(', then ')}${calls.length > 6 ? ', …' : ''}.`,
      `None of them sends a value that another of them brought, in ${seen.length} of ${sampled} requests.`,
      `Together they take ${figure(total)} ms, the longest ${figure(Math.max(...calls.map(({ durationMs }) => durationMs)))} ms.`,
      ...(isExplained
        ? []
        : [
            'Some values that they send are of unknown origin, so one may still be computed from another.',
          ]),
      ...(hasEmpty
        ? ['One of them found no row, so what the next would take from its rows could not be seen.']
        : []),
      'A condition between the calls (`if`) cannot be seen: whether one decides about the next, the code tells.',
    ],
    confidence: isExplained && !hasEmpty ? 'likely' : 'possible',
    remedy: {
      code: isLoop ? loopCode(calls[0] as SpanView) : allCode(calls),
      note: calls.some(({ kind }) => kind === 'query')
        ? 'Statements side by side need a connection each: `pool.query`, not one client. `Promise.all` rejects with the first failure; use `Promise.allSettled` where a part may be missing.'
        : '`Promise.all` rejects with the first failure; use `Promise.allSettled` where a part may be missing.',
    },
    claims: claimsOf(calls, savesMs),
    statements: calls.flatMap(({ statement }) => statement ?? []),
  }
}

/** All but the longest disappear behind it. */
function claimsOf(calls: readonly SpanView[], savesMs: number): Candidate['claims'] {
  const others = calls.toSorted((a, b) => b.durationMs - a.durationMs).slice(1)
  const total = sum(others.map(({ durationMs }) => durationMs))
  const byResource = new Map<string, number>()
  for (const call of others) {
    const resource = call.kind === 'http' ? 'http' : `query:${call.statement ?? ''}`
    const ms = total > 0 ? (call.durationMs / total) * savesMs : 0
    byResource.set(resource, (byResource.get(resource) ?? 0) + ms)
  }
  return [...byResource].map(([resource, ms]) => ({ resource, ms }))
}

function allCode(calls: readonly SpanView[]): string {
  const used = new Set<string>()
  const names = calls.map((call) => {
    const base = variableOf(call)
    let name = base
    for (let i = 2; used.has(name); i++) name = `${base}${i}`
    used.add(name)
    return name
  })
  const lines = calls.map((call, i) => `  read${capital(names[i] as string)}(), // ${call.name}`)
  return `const [${names.join(', ')}] = await Promise.all([\n${lines.join('\n')}\n])`
}

function loopCode(call: SpanView): string {
  const name = variableOf(call)
  return `const results = await Promise.all(keys.map((key) => read${capital(name)}(key))) // ${call.name}`
}

/** The last word of a path, or the first relation. */
function variableOf({ kind, name }: SpanView): string {
  const last = name
    .split(/[\s?]+/)
    .slice(1)
    .join(' ')
  const words =
    kind === 'http'
      ? last
          .split('/')
          .slice(1)
          .filter((each) => /^[A-Za-z]/.test(each))
      : last.split(/[.\s]+/)
  const word = words.at(-1) ?? ''
  const camel = word
    .replaceAll(/[^A-Za-z0-9]+(\w)?/g, (_, letter: string | undefined) =>
      (letter ?? '').toUpperCase(),
    )
    .replace(/^\d+/, '')
  return camel === '' ? 'part' : `${camel[0]?.toLowerCase()}${camel.slice(1)}`
}

function capital(name: string): string {
  return `${name[0]?.toUpperCase()}${name.slice(1)}`
}
