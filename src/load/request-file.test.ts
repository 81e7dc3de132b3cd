import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { PlannedRequest } from './planned-request.ts'
import { parseRequestFile, readRequestFile } from './request-file.ts'

test('a path alone is a GET of weight 1', () => {
  assert.deepEqual(parse('{"path": "/users/1?full=1"}'), [
    { method: 'GET', path: '/users/1?full=1', weight: 1 },
  ])
})

test('everything that can be said of a request is kept', () => {
  const line =
    '{"method":"POST","path":"/orders","headers":{"Authorization":"Bearer t"},"body":"a=1","weight":2.5,"route":"POST order"}'

  assert.deepEqual(parse(line), [
    {
      method: 'POST',
      path: '/orders',
      headers: { Authorization: 'Bearer t' },
      body: 'a=1',
      weight: 2.5,
      route: 'POST order',
    },
  ])
})

test('a body that is an object is sent as the JSON that stands there', () => {
  const [request] = parse('{"method":"PUT","path":"/x","body":{"id": 9007199254740993, "a":[1]}}')

  assert.equal(request?.body, '{"id": 9007199254740993, "a":[1]}')
  assert.deepEqual(request?.headers, { 'content-type': 'application/json' })
})

test('a content-type of its own stays', () => {
  const [request] = parse('{"path":"/x","headers":{"Content-Type":"a/b"},"body":[1]}')
  assert.deepEqual(request?.headers, { 'Content-Type': 'a/b' })
})

test('comments, empty lines, a byte order mark and CRLF are no requests', () => {
  const text = '\uFEFF# mine\r\n\r\n{"path":"/a"}\r\n   # more\r\n{"path":"/b"}\r\n'
  assert.deepEqual(
    parse(text).map(({ path }) => path),
    ['/a', '/b'],
  )
})

const refused: readonly (readonly [line: string, at: number, says: RegExp])[] = [
  ['{"path":"/a",}', 14, /expected a key in double quotes, got '}'/],
  ['{"path":"/a" "weight":1}', 14, /expected ',' or '}'/],
  ['{"path":"/a"', 13, /the line ends/],
  ['{"path":"/a"} {}', 15, /expected the end of the line/],
  ["{'path':'/a'}", 2, /a key in double quotes/],
  ['{"path":"/a","body":{"x":01}}', 27, /expected ',' or '}', got '1}}'/],
  ['{"path":"/a","body":{"x":tru}}', 26, /expected a value/],
  ['{"path":"/a\\x"}', 12, /a valid character or escape/],
  ['{"path":"/a","url":"/b"}', 14, /unknown key 'url', expected one of method, path/],
  ['{"path":"/a","path":"/b"}', 14, /'path' is given twice/],
  ['  {"method":"GET"}', 3, /'path' is missing/],
  ['{"path":"users"}', 9, /path must begin with '\/', got 'users'/],
  ['{"path":7}', 9, /path must be a string, got 7/],
  ['{"path":"http://h/a"}', 9, /must be a path of the server under test, not a URL/],
  ['{"path":"//h/a"}', 9, /not a URL/],
  ['{"path":"/a#b"}', 9, /no '#'/],
  ['{"path":"/a b"}', 9, /percent-encoded/],
  ['{"path":"/ä"}', 9, /percent-encoded/],
  ['{"path":"/a\\r\\nx: y"}', 9, /percent-encoded/],
  ['{"method":"G T","path":"/a"}', 11, /an HTTP method such as "GET", got 'G T'/],
  ['{"method":"get","path":"/a"}', 11, /upper case, "GET"/],
  ['{"method":"CONNECT","path":"/a"}', 11, /must not be CONNECT/],
  ['{"path":"/a","headers":{"x":"a\\r\\ny: b"}}', 24, /no line break/],
  ['{"path":"/a","headers":{"a b":"c"}}', 24, /names that are tokens, got 'a b'/],
  ['{"path":"/a","headers":{"a":1}}', 24, /a must be a string, got 1/],
  ['{"path":"/a","headers":[]}', 24, /must be an object of strings/],
  ['{"path":"/a","headers":{"Content-Length":"1"}}', 24, /content-length, which the client/],
  ['{"path":"/a","headers":{"a":"1","A":"2"}}', 24, /must hold a once/],
  ['{"path":"/a","body":7}', 21, /body must be an object, an array or a string, got 7/],
  ['{"path":"/a","weight":0}', 23, /weight must be a finite number above 0, got 0/],
  ['{"path":"/a","weight":-1}', 23, /got -1/],
  ['{"path":"/a","weight":1e999}', 23, /got Infinity/],
  ['{"path":"/a","weight":"2"}', 23, /got '2'/],
  ['{"path":"/a","route":" "}', 22, /route must be a name/],
]

for (const [line, at, says] of refused) {
  test(`refuses ${line}`, () => {
    const text = `{"path":"/first"}\n\n${line}\n`

    assert.throws(
      () => parseRequestFile(text, 'my.jsonl'),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'REQUESTS_INVALID')
        assert.ok(error.message.startsWith(`my.jsonl:3:${at}: `), error.message)
        assert.match(error.message, says)
        return true
      },
    )
  })
}

const foreign: readonly (readonly [name: string, text: string, says: RegExp])[] = [
  ['JSON array', '[\n {"path":"/a"}\n]', /one JSON array: write its elements/],
  ['JSON array on one line', '[{"path":"/a"}]', /one JSON array/],
  ['HAR archive', '{"log":{"entries":[]}}', /HAR archive/],
  ['pretty HAR archive', '{\n"log":{\n"entries":[]}}', /HAR archive/],
  ['pretty request', '{\n"path":"/a"\n}', /over several lines: write it on one line/],
  ['OpenAPI document', '{"openapi":"3.1.0","paths":{}}', /give it as --openapi/],
  ['OpenAPI document in YAML', 'openapi: 3.1.0\npaths: {}', /OpenAPI document in YAML/],
  ['YAML', 'a: 1\nb: 2', /YAML/],
  ['CSV', 'method,path\nGET,/a', /CSV \('method,path'\)/],
  ['list of request lines', 'GET http://localhost/a', /request lines/],
  ['list of addresses', 'http://localhost/a\n', /list of addresses/],
  ['list of paths', '/a\n/b\n', /list of addresses/],
  ['web page', '<!doctype html>', /HTML or XML/],
  ['curl command', "curl 'http://localhost/a'", /curl commands/],
]

for (const [name, text, says] of foreign) {
  test(`says that a file is a ${name}`, () => {
    assert.throws(() => parseRequestFile(text, 'f'), { code: 'REQUESTS_INVALID', message: says })
    assert.throws(() => parseRequestFile(text, 'f'), /^HastenError: f:1:1: /)
  })
}

for (const text of ['', '\n\n', '# nothing yet\n']) {
  test(`refuses a file without a request: ${JSON.stringify(text)}`, () => {
    assert.throws(() => parseRequestFile(text, 'f'), {
      code: 'REQUESTS_INVALID',
      message: /^f: it holds no request; a request file holds one JSON object a line/,
    })
  })
}

test('what was written comes back', () => {
  const token = fc.stringMatching(/^[!#$%&'*+.^`|~0-9a-z-]{1,12}$/)
  const header = fc.stringMatching(/^[\t\u0020-\u007e\u00a0-\u00ff]{0,20}$/)
  const own = ['connection', 'content-length', 'expect', 'keep-alive', 'te', 'trailer', 'upgrade']
  const request = fc.record(
    {
      method: fc.constantFrom('GET', 'POST', 'DELETE', 'M-SEARCH'),
      path: fc.stringMatching(/^\/([a-z0-9%?=&][a-z0-9%?=&/]{0,20})?$/),
      headers: fc.dictionary(
        token.filter((name) => !own.includes(name)),
        header,
        { maxKeys: 3 },
      ),
      body: fc.string(),
      weight: fc.double({ min: 0, minExcluded: true, noNaN: true, noDefaultInfinity: true }),
      route: fc.stringMatching(/^[a-z/: ]{0,10}[a-z]$/),
    },
    { requiredKeys: ['method', 'path', 'weight'] },
  )

  fc.assert(
    fc.property(fc.array(request, { minLength: 1, maxLength: 5 }), (requests) => {
      const text = requests.map((each) => JSON.stringify(each)).join('\n')
      assert.deepEqual(
        JSON.parse(JSON.stringify(parse(text))),
        JSON.parse(JSON.stringify(requests)) as PlannedRequest[],
      )
    }),
  )
})

test('whatever stands in a file, it is parsed or refused with our own error', () => {
  const line = fc.oneof(fc.string({ unit: 'binary' }), fc.json(), fc.json().map(damaged))

  fc.assert(
    fc.property(fc.array(line, { maxLength: 4 }), (lines) => {
      try {
        parse(lines.join('\n'))
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'REQUESTS_INVALID', String(error))
      }
    }),
  )
})

test('a file that is not there, a folder and a device without an end are named', async () => {
  for (const [path, says] of [
    ['/nonexistent/requests', /^\/nonexistent\/requests does not exist/],
    ['/', /^\/ is a directory/],
    ['/dev/zero', /^\/dev\/zero is larger than 64 MB/],
    [process.execPath, /is larger than 64 MB|is not UTF-8 text/],
  ] as const) {
    await assert.rejects(readRequestFile(path), { code: 'REQUESTS_INVALID', message: says })
  }
})

function parse(text: string): PlannedRequest[] {
  return parseRequestFile(text, 'requests.jsonl')
}

/** One character less. */
function damaged(text: string): string {
  const at = Math.floor(text.length / 2)
  return text.slice(0, at) + text.slice(at + 1)
}
