import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Session } from './session.ts'

test('where nothing was touched there is nothing to put back', () => {
  const session = new Session()
  session.asked('SELECT 1', undefined)

  assert.equal(session.resetSql('I'), '')
})

test('what was touched is put back, and no more', () => {
  const session = new Session()
  session.asked('SET search_path = a', undefined)
  session.asked('LISTEN b', undefined)

  assert.equal(session.resetSql('T'), 'ROLLBACK; RESET ALL; UNLISTEN *')
  session.cleaned()
  assert.equal(session.resetSql('I'), '')
})

test('what a listener of `connect` set is set again after it was reset', () => {
  const session = new Session()
  session.isSettingUp = true
  session.asked('SET search_path = a', undefined)
  session.isSettingUp = false
  assert.equal(session.resetSql('I'), '')

  session.asked('SET search_path = b', undefined)

  assert.equal(session.mustSetUpAgain, true)
  assert.deepEqual(session.setup, [{ text: 'SET search_path = a', values: undefined }])
})

test('of what may be anything everything is put back', () => {
  const session = new Session()
  session.asked('CALL anything()', undefined)

  assert.match(session.resetSql('I'), /CLOSE ALL; .*RESET ROLE; RESET ALL; .*DISCARD SEQUENCES/)
  assert.equal(session.forgetsPrepared, true)
})
