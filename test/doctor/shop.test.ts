import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Finding } from 'hasten/advisor'
import { serviceOr } from '#services/missing-service.js'
import { examineShop, isOf, planted } from './shop-examination.ts'

const examined = await serviceOr(() => examineShop(['--seconds', '10', '--solo', '4']))
const skip = typeof examined === 'string' ? examined : false
const { accusations, wrong, routes } =
  typeof examined === 'string' ? { accusations: [], wrong: [], routes: [] } : examined

for (const each of planted.found) {
  test(`finds ${each.kind} on ${each.route}`, { skip }, () => {
    const finding = accusations.find((accusation) => isOf(accusation, each))

    assert.ok(finding, `found instead: ${words(accusations)}`)
    assert.ok(finding.evidence.length > 0)
    assert.ok(finding.savesMsPerRequest > 0)
  })
}

for (const each of planted.notYetFound) {
  test(`does not yet find ${each.kind} on ${each.route}`, { skip }, () => {
    // When this fails, the advisor has learnt it: move the line of planted.json to `found`.
    assert.equal(
      accusations.find((accusation) => isOf(accusation, each)),
      undefined,
    )
  })
}

test('accuses nobody of what was not planted there', { skip }, () => {
  assert.equal(words(wrong), '')
})

test('every route was driven without an error', { skip }, () => {
  assert.equal(routes.length, 14)
  assert.deepEqual(
    routes.filter(({ errors }) => errors > 0),
    [],
  )
})

function words(findings: readonly Finding[]): string {
  return findings.map(({ kind, routes }) => `${kind} on ${routes.join(', ')}`).join('; ')
}
