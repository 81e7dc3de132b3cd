/**
 * The fault table: what test/pool/faults.test.ts does to real servers, as a claim. For each fault the
 * time to recover, as the test tells it. `--quick` takes three of them.
 */
import { run } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Claim, type Finding, type Scope, unmeasured } from './claim.ts'

const QUICK = /in mid-statement|releases twice|max_connections is reached: /
const SUMMARY = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) /
const GOAL = 'all: no hang, no lost or doubled write, no unhandled rejection, back to min'

export async function faultsClaim({ isQuick }: Scope): Promise<Finding> {
  const passed: string[] = []
  const failed: string[] = []
  const said = new Map<string, string[]>()
  // Those of a test come after its end, those of the whole at the very end.
  let last: string[] | undefined
  const file = fileURLToPath(new URL('../test/pool/faults.test.js', import.meta.url))
  const events = run({ files: [file], ...(isQuick ? { testNamePatterns: QUICK } : {}) })
  for await (const { type, data } of events as AsyncIterable<{
    type: string
    data: { name: string; message: string; skip?: unknown; file?: string }
  }>) {
    if (type === 'test:diagnostic') {
      if (!SUMMARY.test(data.message)) last?.push(data.message)
    } else if (type === 'test:pass' || type === 'test:fail') {
      // A file that is run ends as a test of its own name.
      if (!data.name.endsWith('.js') && data.skip === undefined) {
        ;(type === 'test:pass' ? passed : failed).push(data.name)
        last = []
        said.set(data.name, last)
      }
    }
  }
  const of = passed.length + failed.length
  if (of === 0) {
    return { claims: [unmeasured('faults', 'the servers cannot be had', GOAL)], tables: [] }
  }
  const claim: Claim = {
    id: 'faults',
    what: `faults that the pool comes through${failed.length > 0 ? ` (not: ${failed.join('; ')})` : ''}`,
    measured: passed.length,
    unit: `of ${of}`,
    peer: null,
    peerMeasured: null,
    ratio: null,
    goal: GOAL,
    met: failed.length === 0,
  }
  const rows = [...passed, ...failed].map((name) => [
    name,
    passed.includes(name) ? 'passed' : 'FAILED',
    (said.get(name) ?? []).join('; '),
  ])
  return { claims: [claim], tables: [{ what: 'Faults', columns: ['', 'told'], rows }] }
}
