import assert from 'node:assert/strict'
import { test } from 'node:test'
import { smellOf } from './smelling-name.ts'

for (const [pattern, smell] of [
  ['/logout', 'logout'],
  ['/api/auth/log-out', 'log out'],
  ['/auth/signOut', 'sign out'],
  ['/users/:id/delete', 'delete'],
  ['/newsletter/unsubscribe/:token', 'unsubscribe'],
  ['/mail/send-reminder', 'send'],
  ['/admin/cache_flush', 'flush'],
  ['/SendInvoice', 'send'],
] as const) {
  test(`${pattern} smells of ${smell}`, () => assert.equal(smellOf(pattern), smell))
}

for (const pattern of [
  '/',
  '/users/:id',
  '/senders',
  '/deleted-items',
  '/posts/:delete',
  '/blog/post/:id',
  '/runs',
  '/store/products',
]) {
  test(`${pattern} does not smell`, () => assert.equal(smellOf(pattern), undefined))
}
