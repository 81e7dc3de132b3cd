/** What blocks the event loop: function and line of the application's own code, from a CPU profile. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, test, type TestContext } from 'node:test'
import { build, type BuildOptions } from 'esbuild'
import type { BlockFacts } from '#src/core/facts.js'
import { findBlocks } from '#src/cli/target/block-finder.js'
import { readProfile } from '#src/cli/target/cpu-profile.js'
import { fixture, get, observeCommand } from './fixture-server.js'

const source = fixture('blocking/server.ts')
let folder = ''

before((t) => {
  folder = mkdtempSync(join(realpathSync(tmpdir()), 'hasten-test-'))
  ;(t as TestContext).after?.(() => rmSync(folder, { recursive: true }))
})

for (const [format, extension] of [
  ['esm', 'mjs'],
  ['cjs', 'cjs'],
] as const) {
  test(`the function that blocks is named, with its line: ${format}`, async (t) => {
    const file = await compile(`server.${extension}`, { format })

    const blocks = await blocksOf(t, file)

    assert.deepEqual(
      blocks.map(({ route }) => route),
      ['/report'],
    )
    const [block] = blocks
    assert.equal(block?.function, 'sumUp')
    assert.equal(block.file, `server.${extension}`)
    assert.equal(block.line, lineOf(file, 'function sumUp'))
    assert.ok(block.ms > 35 && block.ms < 200, `blocked for ${block.ms} ms`)
    assert.ok(block.seen >= 5 && block.requests === 9, `${block.seen} of ${block.requests}`)
    assert.equal(block.inside[0]?.file, `server.${extension}`)
  })
}

test('compiled TypeScript is named by its source', async (t) => {
  const file = await compile('mapped.mjs', { format: 'esm', sourcemap: true })

  const [block, ...others] = await blocksOf(t, file)

  assert.deepEqual(others, [])
  assert.equal(block?.function, 'sumUp')
  assert.ok(block.file.endsWith('blocking/server.ts'), block.file)
  assert.equal(block.line, lineOf(source, 'function sumUp'))
  const hot = block.inside.find((each) => each.function === 'sumUp')
  assert.equal(hot?.line, lineOf(source, 'total += oneStep(total)'))
})

test('compiled TypeScript whose map stands in the file itself, minified', async (t) => {
  const file = await compile('inline.mjs', { format: 'esm', sourcemap: 'inline', minify: true })

  const [block, ...others] = await blocksOf(t, file)

  assert.deepEqual(others, [])
  assert.ok(block?.file.endsWith('blocking/server.ts'), block?.file)
  assert.equal(block?.line, lineOf(source, 'function sumUp'))
})

test('a request that came while another ran accuses nobody', () => {
  const profile = profileOf([['handle', 40]])

  const alone = findBlocks(profile, [request(1, 0), request(2, 40), request(3, 0)], options)
  const crowded = [1, 2, 3].map((id) => ({ ...request(id, 0), concurrency: 2 }))

  assert.equal(alone.length, 1)
  assert.deepEqual(findBlocks(profile, crowded, options), [])
})

test('a stretch shorter than 20 ms, or torn by idleness, is none', () => {
  const requests = [request(1, 0), request(2, 0), request(3, 0)]
  const blocksIn = (...runs: [string, number][]) => findBlocks(profileOf(runs), requests, options)

  assert.equal(blocksIn(['handle', 25]).length, 1)
  assert.deepEqual(blocksIn(['handle', 15]), [])
  assert.deepEqual(blocksIn(['handle', 15], ['(idle)', 1], ['handle', 15]), [])
  assert.deepEqual(blocksIn(['handle', 15], ['other', 1], ['handle', 15]), [])
  assert.equal(blocksIn(['handle', 15], ['(garbage collector)', 4], ['handle', 15]).length, 1)
})

test('blocking that only the first request shows is warming up', () => {
  const profile = profileOf([
    ['handle', 40],
    ['(idle)', 400],
  ])
  const requests = [request(1, 0), request(2, 100), request(3, 200)]

  assert.deepEqual(findBlocks(profile, requests, options), [])
})

test('libraries, Node and hasten itself are not the application', () => {
  const ours = '/app/lib/hasten/'
  for (const file of ['/app/node_modules/x/i.js', 'node:internal/x', `${ours}x.js`, '']) {
    const profile = profileOf([['handle', 40]], file, ours)
    assert.deepEqual(findBlocks(profile, [request(1, 0), request(2, 0)], options), [], file)
  }
})

const options = { placeOf: (file: string, line: number) => ({ file, line }) }

function request(id: number, startedAt: number) {
  const facts = { pid: 1, method: 'GET', route: '/x', status: 200, aborted: false, concurrency: 1 }
  return { ...facts, id, startedAt, durationMs: 80, deep: false, spans: [], droppedSpans: 0 }
}

/** A profile from 0 ms on, a sample every 0.5 ms: so long this function, so long that one. */
function profileOf(runs: readonly [string, number][], file = '/app/x.js', ours = '/hasten/') {
  const names = ['(root)', ...new Set(runs.map(([name]) => name))]
  const profile = {
    nodes: names.map((functionName, i) => ({
      id: i + 1,
      callFrame: {
        functionName,
        url: functionName.startsWith('(') ? '' : file,
        lineNumber: i,
        columnNumber: 0,
      },
      children: i === 0 ? names.slice(1).map((_, child) => child + 2) : [],
    })),
    startTime: 0,
    samples: runs.flatMap(([name, ms]) => Array<number>(ms * 2).fill(names.indexOf(name) + 1)),
    timeDeltas: runs.flatMap(([, ms]) => Array<number>(ms * 2).fill(500)),
  }
  const read = readProfile({ profile, startMicros: 0, startEpochMs: 0, cwd: '/app' }, ours)
  assert.ok(read)
  return read
}

async function compile(name: string, options: BuildOptions): Promise<string> {
  const outfile = join(folder, name)
  await build({ entryPoints: [source], outfile, platform: 'node', logLevel: 'silent', ...options })
  return outfile
}

/** Ten requests of each route, one at a time, under a profile. */
async function blocksOf(t: TestContext, file: string): Promise<BlockFacts[]> {
  const target = await observeCommand(t, [process.execPath, file], { cwd: folder })
  await target.beginPhase({ deepEvery: 1 })
  await target.profileStart()
  for (let i = 0; i < 10; i++) {
    for (const path of ['/report', '/turns', '/quick']) await get(target, path)
  }
  const { requests } = await target.takePhase()
  return target.profileStop(requests)
}

function lineOf(file: string, text: string): number {
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.findIndex((line) => line.includes(text)) + 1
}
