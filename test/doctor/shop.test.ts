import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import type { Finding } from 'hasten/advisor'
import { serviceOr } from '#services/missing-service.js'
import { examineShop, isOf, planted, type ShopExamination } from './shop-examination.ts'

let shop: ShopExamination | string

before(async () => {
  shop = await serviceOr(() => examineShop(['--seconds', '10', '--solo', '4']))
})

for (const each of planted.found) {
  test(`finds ${each.kind} on ${each.route}`, (t) => {
    if (typeof shop === 'string') return t.skip(shop)

    const finding = shop.accusations.find((accusation) => isOf(accusation, each))

    assert.ok(finding, `found instead: ${words(shop.accusations)}`)
    assert.ok(finding.evidence.length > 0)
    assert.ok(finding.savesMsPerRequest > 0)
    return undefined
  })
}

for (const each of planted.notYetFound) {
  test(`does not yet find ${each.kind} on ${each.route}`, (t) => {
    if (typeof shop === 'string') return t.skip(shop)

    // When this fails, the advisor has learnt it: move the line of planted.json to `found`.
    assert.equal(
      shop.accusations.find((accusation) => isOf(accusation, each)),
      undefined,
    )
    return undefined
  })
}

test('accuses nobody of what was not planted there', (t) => {
  if (typeof shop === 'string') return t.skip(shop)

  assert.equal(words(shop.wrong), '')
  return undefined
})

test('every route was driven without an error', (t) => {
  if (typeof shop === 'string') return t.skip(shop)

  assert.equal(shop.routes.length, 14)
  assert.deepEqual(
    shop.routes.filter(({ errors }) => errors > 0),
    [],
  )
  return undefined
})

function words(findings: readonly Finding[]): string {
  return findings.map(({ kind, routes }) => `${kind} on ${routes.join(', ')}`).join('; ')
}
