/**
 * The doctor on the shop: it finds what was planted there, of the kinds that exist by now, and
 * accuses nobody else. It knows nothing of the shop: both lists stand in the example.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import type { Finding } from 'hasten/advisor'
import { serviceOr } from '#services/missing-service.js'

interface Planted {
  readonly kind: string
  readonly route: string
}

interface Document {
  readonly findings: readonly Finding[]
  readonly routes: readonly { readonly method: string; readonly route: string; readonly errors: number }[]
}

const root = new URL('../../../', import.meta.url)
const planted = JSON.parse(readFileSync(new URL('examples/shop/planted.json', root), 'utf8')) as {
  found: Planted[]
  notYetFound: Planted[]
  healthy: string[]
}

type Shop = { env: NodeJS.ProcessEnv; stop(): Promise<void> }
const { startShop } = (await import(
  pathToFileURL(fileURLToPath(new URL('examples/shop/start.js', root))).href
)) as { startShop: () => Promise<Shop> }

let shop: Shop | string
let document: Document

before(async () => {
  shop = await serviceOr(startShop)
  if (typeof shop === 'string') return
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      fileURLToPath(new URL('dist/cli/main.js', root)),
      'doctor',
      '--json',
      ...['--seconds', '10', '--solo', '4'],
      ...['--requests', fileURLToPath(new URL('examples/shop/requests.jsonl', root))],
      '--',
      process.execPath,
      fileURLToPath(new URL('examples/shop/before/server.js', root)),
    ],
    { env: { ...process.env, ...shop.env }, maxBuffer: 64 * 2 ** 20 },
  )
  document = JSON.parse(stdout) as Document
})

after(async () => {
  if (typeof shop === 'object') await shop.stop()
})

for (const { kind, route } of planted.found) {
  test(`finds ${kind} on ${route}`, (t) => {
    if (typeof shop === 'string') return t.skip(shop)

    const finding = accusations().find((each) => each.kind === kind && each.routes.includes(route))

    assert.ok(finding, `found instead: ${describe(accusations())}`)
    assert.ok(finding.evidence.length > 0)
    assert.ok(finding.savesMsPerRequest > 0)
    return undefined
  })
}

for (const { kind, route } of planted.notYetFound) {
  test(`does not yet find ${kind} on ${route}`, (t) => {
    if (typeof shop === 'string') return t.skip(shop)

    // When this fails, the advisor has learnt it: move the line of planted.json to `found`.
    assert.equal(
      accusations().find((each) => each.kind === kind && each.routes.includes(route)),
      undefined,
    )
    return undefined
  })
}

test('accuses no healthy route', (t) => {
  if (typeof shop === 'string') return t.skip(shop)

  const wrong = accusations().filter(({ route }) => planted.healthy.includes(route))

  assert.deepEqual(describe(wrong), '')
  return undefined
})

test('accuses nobody of what was not planted there', (t) => {
  if (typeof shop === 'string') return t.skip(shop)

  const all = [...planted.found, ...planted.notYetFound]
  const wrong = accusations().filter(
    ({ kind, route }) => !all.some((each) => each.kind === kind && each.route === route),
  )

  assert.deepEqual(describe(wrong), '')
  return undefined
})

test('every route was driven without an error', (t) => {
  if (typeof shop === 'string') return t.skip(shop)

  assert.equal(document.routes.length, 14)
  assert.deepEqual(
    document.routes.filter(({ errors }) => errors > 0),
    [],
  )
  return undefined
})

function accusations(): readonly Finding[] {
  return document.findings.filter(({ confidence }) => confidence !== 'possible')
}

function describe(findings: readonly Finding[]): string {
  return findings.map(({ kind, routes }) => `${kind} on ${routes.join(', ')}`).join('; ')
}
