/**
 * Event loop blocked: one function computes so long that nothing else of the process goes on.
 *
 * The stretches are found by the CPU profile of requests that ran alone (`BlockFacts`). Accused is a
 * function that took `minMs` in at least `minShare` of the route's profiled requests, of which there
 * were `minRequests`: the first ones compile and fill caches.
 *
 * Saving: for a request of the route itself the length of the stretch, as if the work were no longer
 * done there; a worker thread takes it off the loop, and the request still waits for its result unless
 * less is computed. For the others: whoever comes during a stretch of `b` ms waits half of it on
 * average, so at `r` such requests per second `r · b · λ · b/2` ms, where `λ` is the rate of the other
 * requests of the same process.
 */
import type { BlockFacts } from '../core/facts.ts'
import type { Candidate } from './candidate.ts'
import { amount, figure, sum } from './measure.ts'
import type { RouteView, Situation } from './situation.ts'

export interface EventLoopBlockedThresholds {
  /** At 20 ms a process that is asked 50 times per second delays every other request. */
  readonly minMs: number
  readonly minShare: number
  readonly minRequests: number
}

export const eventLoopBlockedThresholds: EventLoopBlockedThresholds = {
  minMs: 20,
  minShare: 0.5,
  minRequests: 2,
}

export function eventLoopBlocked(
  situation: Situation,
  thresholds: EventLoopBlockedThresholds,
): Candidate[] {
  const found = new Map<string, Candidate>()
  for (const block of situation.blocks) {
    const { method, route: pattern } = block
    const route = situation.routes.find(({ key }) => key === `${method} ${pattern}`)
    const isSeen =
      block.requests >= thresholds.minRequests && block.seen >= block.requests * thresholds.minShare
    if (route === undefined || !isSeen || amount(block.ms) < thresholds.minMs) continue
    const candidate = candidateOf(situation, route, block)
    const key = `${candidate.subject}\n${route.key}`
    const known = found.get(key)
    const isMore =
      known === undefined || (candidate.claims[0]?.ms ?? 0) > (known.claims[0]?.ms ?? 0)
    if (isMore) found.set(key, candidate)
  }
  return [...found.values()]
}

function candidateOf(situation: Situation, route: RouteView, block: BlockFacts): Candidate {
  const ms = amount(block.ms)
  const all = sum(
    situation.routes.map(({ load, perSecond }) => (load === undefined ? 0 : perSecond)),
  )
  const others = Math.max(0, all - route.perSecond) / situation.processes
  const waitMs = route.perSecond * (ms / 1000) * others * (ms / 2)
  const inside = block.inside.filter((each) => amount(each.ms) > 0)
  const [most] = inside
  const kind = kindOf(block)
  return {
    kind: 'event-loop-blocked',
    subject: `${block.file}\n${block.function}`,
    route,
    title: `${block.function || 'An anonymous function'} blocks the event loop for ${figure(ms)} ms`,
    evidence: [
      `${block.function || '(anonymous)'} at ${block.file}:${block.line} runs for ${figure(ms)} ms without a pause, in ${block.seen} of ${block.requests} profiled requests.`,
      ...(most === undefined
        ? []
        : [
            `Inside of it: ${inside
              .slice(0, 3)
              .map(
                (each) =>
                  `${each.function || '(anonymous)'}${each.file === '' ? '' : ` (${each.file}:${each.line})`} ${figure(each.ms)} ms`,
              )
              .join(', ')}.`,
          ]),
      ...(situation.loopUtilisation > 0
        ? [
            `Under load the event loop was busy ${figure(situation.loopUtilisation * 100)} % of the time; nobody is answered meanwhile.`,
          ]
        : []),
      ...(waitMs > 0
        ? [
            `Whoever comes during the stretch waits half of it on average: about ${figure(waitMs)} ms per second for the other routes.`,
          ]
        : []),
    ],
    confidence: 'likely',
    remedy: remedies[kind](block),
    claims: [{ resource: 'loop', ms: ms * (block.seen / block.requests) }],
    othersMsPerSecond: waitMs,
    ...(kind === 'stringify' && {
      blame: { statements: [], routes: [route.key], kinds: ['large-response' as const] },
    }),
  }
}

type BlockKind = 'stringify' | 'parse' | 'sync' | 'compute'

function kindOf({ inside, ms, function: own }: BlockFacts): BlockKind {
  const names = [own, ...inside.filter((each) => each.ms * 2 >= ms).map((each) => each.function)]
  if (names.some((name) => /^(?:JSON\.)?stringify$|^serialize/i.test(name))) return 'stringify'
  if (names.some((name) => /^(?:JSON\.)?parse$/.test(name))) return 'parse'
  return names.some((name) => name.endsWith('Sync')) ? 'sync' : 'compute'
}

const remedies: Record<BlockKind, (block: BlockFacts) => Candidate['remedy']> = {
  stringify: () => ({
    note: 'The time goes into writing JSON. Send less (a page, fewer columns), or write it row by row as the rows come; a worker thread would only copy the data once more.',
  }),
  parse: () => ({
    note: 'The time goes into reading JSON. Ask for less of it, or parse it in a worker thread from the bytes (`worker.postMessage(buffer, [buffer])` copies nothing).',
  }),
  sync: (block) => {
    const name = [block.function, ...block.inside.map((each) => each.function)].find((each) =>
      each.endsWith('Sync'),
    )
    return {
      code: `await ${name?.replace(/Sync$/, '') ?? 'work'}(…) // instead of ${name ?? 'workSync'}(…): same result, off the event loop`,
      note: 'Node has an asynchronous form of it (`node:fs/promises`, or `promisify` for `node:crypto` and `node:zlib`), which runs on the thread pool.',
    }
  },
  compute: (block) => {
    const name = /^[A-Za-z_$][\w$]*$/.test(block.function) ? block.function : 'compute'
    return {
      code: [
        `// ${name}-worker.js`,
        `import { parentPort } from 'node:worker_threads'`,
        `parentPort.on('message', ({ id, input }) => parentPort.postMessage({ id, result: ${name}(input) }))`,
        '',
        '// once for the process',
        `const worker = new Worker(new URL('./${name}-worker.js', import.meta.url)) // from node:worker_threads`,
      ].join('\n'),
      note: 'Off the event loop it goes into a worker thread, kept for the life of the process. Better still, compute less: in SQL, ahead of time, or once for many requests. Work that cannot move can pause: `await setImmediate()` (node:timers/promises) every few milliseconds.',
    }
  },
}
