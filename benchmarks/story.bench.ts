/**
 * The story's table: the shop before and the shop after, under the same traffic.
 *
 *   npm run bench -- story [--quick]
 *
 * Question: what have the parts that are finished given the shop, in mean, 95th percentile, throughput
 * at a latency goal, and time of the database? Each part switches itself on in examples/shop/after and
 * moves the figures; the goals are those of the whole story, so most are not met until the last part.
 *
 * Conditions: fresh processes in turn, an open loop, the database and the load on the same machine. A
 * claim rests on ratios within rounds. `--quick` shows the order of magnitude.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { CompareDocument } from '#src/compare/index.js'
import { printed } from './claim.ts'
import { compareStory } from './story-claims.ts'

const isQuick = process.argv.includes('--quick')
const { claims, documents, table } = await compareStory({ isQuick })

process.stdout.write(printed(table))
for (const { id, measured, unit, peer, peerMeasured, ratio, goal, met } of claims) {
  const theirs = peer === null ? '' : `  ${peer} ${peerMeasured ?? '–'}`
  const times = ratio === null ? '' : `  ${ratio} times`
  const state = met ? 'met' : 'NOT MET'
  process.stdout.write(
    `${id.padEnd(17)} ${String(measured ?? '–').padStart(8)} ${unit}${theirs}${times}  goal ${goal}: ${state}\n`,
  )
}

const require = createRequire(import.meta.url)
const versionOf = (name: string) =>
  (require(`${name}/package.json`) as { readonly version: string }).version
const result = {
  part: 'story',
  date: new Date().toISOString(),
  machine: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${process.platform} ${process.arch}`,
  versions: { node: process.version, pg: versionOf('pg'), fastify: versionOf('fastify') },
  // Whole documents of `hasten compare`: commands hold paths of this machine and are left out.
  rounds: Object.fromEntries(
    Object.entries<CompareDocument>({ ...documents }).map(([name, document]) => [
      name,
      {
        ...document,
        load: { ...document.load, requests: 'examples/shop/requests.jsonl' },
        sides: document.sides.map((side) => ({ ...side, command: nameOf(side.command) })),
      },
    ]),
  ),
  isQuick,
  claims,
}
// Compiled this lies in build/benchmarks.
const folder = fileURLToPath(new URL('../../benchmarks/results/', import.meta.url))
mkdirSync(folder, { recursive: true })
writeFileSync(`${folder}story.json`, `${JSON.stringify(result, null, 2)}\n`)

function nameOf(command: string): string {
  return /examples\/shop\/\w+\/server\.js/.exec(command.replaceAll('\\', '/'))?.[0] ?? 'a server'
}
