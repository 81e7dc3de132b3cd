import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { foldPath } from './fold-path.ts'

const folded: Readonly<Record<string, string>> = {
  '/users/42': '/users/:id',
  '/users/42?tab=orders': '/users/:id',
  '/users/42#top': '/users/:id',
  '/users/42/orders/7': '/users/:id/orders/:id',
  '/users/42.json': '/users/:id.json',
  '/temperature/-3.5': '/temperature/:id',
  '/reports/2024-01-31': '/reports/:id',
  '/hosts/192.168.0.1': '/hosts/:id',
  '/jobs/6fa459ea-ee8a-3ca4-894e-db77e160355e': '/jobs/:id',
  '/jobs/6FA459EAEE8A3CA4894EDB77E160355E': '/jobs/:id',
  '/items/507f1f77bcf86cd799439011': '/items/:id',
  '/blobs/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855': '/blobs/:id',
  '/events/01ARZ3NDEKTSV4RRFFQ69G5FAV': '/events/:id',
  '/things/V1StGXR8_Z5jdHi6B-myT': '/things/:id',
  '/things/cjld2cjxh0000qzrmn831i7rn': '/things/:id',
  '/customers/cus_NffrFeUfNV2Hib': '/customers/:id',
  '/orders/order-12345': '/orders/:id',
  '/keys/dGhpc2lzYXNlY3JldHRva2Vu': '/keys/:id',
  '/keys/c2VjcmV0+L2tleQ==': '/keys/:id',
  '/users/ann@example.com': '/users/:id',
  '/users/ann%40example.com': '/users/:id',
  '/search/hello%20world': '/search/:id',
  '/assets/index-4f3a9c1b.js': '/assets/:id.js',
  '/page;jsessionid=A1B2C3D4E5F6': '/page',
  '/users/\u0000\n': '/users/:id',
  '/städte/köln': '/:id/:id',
  'http://example.com/users/42': '/users/:id',
  'http://example.com': '/',
  '//users///42/': '/users/:id',
  '/users/': '/users',
  '?x=1': '/',
  '': '/',
}
for (const [path, route] of Object.entries(folded)) {
  test(`${JSON.stringify(path)} is ${route}`, () => assert.equal(foldPath(path), route))
}

for (const path of [
  '/',
  '*',
  '/users',
  '/users/me',
  '/api/v1/users',
  '/apis/apps/v1beta2/deployments',
  '/v2.1/things',
  '/en/about',
  '/en-US/about',
  '/pt_BR/about',
  '/zh-Hant-TW/about',
  '/es-419/about',
  '/blog/how-to-make-your-api-fast',
  '/oauth2/callback',
  '/iso8601',
  '/sha256',
  '/x509/certificates',
  '/s3/buckets',
  '/getOAuth2Token',
  '/getUserByIdAndName',
  '/convertBase64ToHex',
  '/facade/decade/defaced',
  '/UNSUBSCRIBE',
  '/.well-known/openid-configuration',
  '/robots.txt',
  '/wp-admin.php',
  '/items:batchGet',
  '/@vite/client',
  '/users/:id',
]) {
  test(`${path} stays`, () => assert.equal(foldPath(path), path))
}

test('words of letters stay, however they are joined', () => {
  const word = fc.stringMatching(/^[a-z]{1,15}$/).filter((text) => !/^[a-f]{16}$/.test(text))
  const segment = fc.array(word, { minLength: 1, maxLength: 2 }).map((words) => words.join('-'))
  fc.assert(
    fc.property(fc.array(segment, { minLength: 1, maxLength: 6 }), (segments) => {
      const path = `/${segments.join('/')}`
      assert.equal(foldPath(path), path)
    }),
  )
})

test('of a thousand ids of each kind hardly one becomes a route of its own', () => {
  for (const [kind, make] of Object.entries({
    number: () => `${randomBytes(4).readUInt32BE()}`,
    uuid: () => randomUUID(),
    'sha-1': () => randomBytes(20).toString('hex'),
    'eight hex digits': () => randomBytes(4).toString('hex'),
    'sixteen bytes, base64url': () => randomBytes(16).toString('base64url'),
    'thirty-two bytes, base64url': () => randomBytes(32).toString('base64url'),
  })) {
    const routes = new Set(Array.from({ length: 1000 }, () => foldPath(`/things/${make()}/edit`)))
    assert.ok(routes.size <= 10, `${kind}: ${[...routes].slice(0, 12).join(' ')}`)
  }
})

test('no path, however hostile, becomes longer than 256 characters or folds twice', () => {
  const piece = fc.oneof(
    fc.string({ unit: fc.nat({ max: 0xffff }).map((code) => String.fromCharCode(code)) }),
    fc.string(),
    fc.constantFrom(
      '/',
      '//',
      '../',
      '%',
      '%00',
      '?',
      '#',
      ';',
      '.',
      ':id',
      'a'.repeat(50),
      '\ud800',
    ),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
      const route = foldPath(pieces.join(''))
      assert.ok(route.length <= 256, `${route.length}`)
      assert.ok(route.split('/').length <= 14, route)
      assert.doesNotMatch(route, /[?#%\0]/)
      assert.equal(foldPath(route), route)
    }),
    { numRuns: 1000 },
  )
})

test('reads no further than it must: megabytes of path are as cheap as kilobytes', () => {
  for (const path of [
    '/a'.repeat(1e6),
    `/${'1'.repeat(1e6)}`,
    `/${'.'.repeat(1e6)}`,
    '/'.repeat(1e6),
  ]) {
    assert.ok(foldPath(path).length <= 256)
  }
})
