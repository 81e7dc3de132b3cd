import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import fc from 'fast-check'
import { isColoured, Progress, renderTerminal } from '#src/report/index.js'
import { finding, route, sampleDocument } from './sample-document.js'

test('tells what was run, the routes, the findings with their remedy, and what was left out', () => {
  const text = renderTerminal(sampleDocument(), { color: false, width: 120 })

  assert.match(text, /^hasten doctor {2}node server\.js\n12,312 requests in 60 s at 205 per second/)
  assert.match(text, /17 errors \(0\.1 %\)\n84\.5 per second hold a p95 of 200 ms/)
  assert.match(
    text,
    /GET \/dashboard\/:id +4,210 +0 +355 ms +851 ms +1\.5 s +47 \(4 do\) +322 ms +D+W+N+P+·/,
  )
  assert.match(text, /FINDINGS {2}4, worth up to 3\.4 s per second/)
  assert.match(
    text,
    /^ {2}1 {2}One query per order: 43 of the 47 queries are the same +N\+1 queries, likely$/m,
  )
  assert.match(text, /saves 124 ms per request · 41 % of it · 2\.1 s per second/)
  assert.match(text, /^ +CREATE INDEX CONCURRENTLY orders_user_id ON orders \(user_id\);$/m)
  assert.match(text, /comes from finding 1: mend that first/)
  assert.match(text, /Possible: worth a look, no accusation\.\n\n {2}5 {2}Responses of 2\.4 MB/)
  assert.match(
    text,
    /NOT DRIVEN {2}3\n {2}it writes[^\n]+\n {4}GET \/logout\n {4}GET \/sessions\/rotate\n/,
  )
  assert.match(text, /NOTES\n {2}· The database runs on this machine/)
})

test('without colour no escape sequence is written, with it the text is the same', () => {
  const document = sampleDocument()

  const plain = renderTerminal(document, { color: false, width: 100 })
  const coloured = renderTerminal(document, { color: true, width: 100 })

  assert.ok(!plain.includes('\u001b'))
  assert.ok(coloured.includes('\u001b[1m'))
  assert.equal(stripVTControlCharacters(coloured), plain)
})

for (const width of [40, 60, 80, 100, 160]) {
  test(`keeps within ${width} columns, but for code that is there to be copied`, () => {
    const text = renderTerminal(sampleDocument(), { color: false, width })

    const wide = text.split('\n').filter((line) => line.length > width && !/^ {9}/.test(line))
    assert.deepEqual(wide, [])
  })
}

test('nothing that an application says reaches the terminal as a command', () => {
  const evil = fc
    .string({ unit: 'binary', maxLength: 40 })
    .map((text) => `\u001b]0;x\u0007\u009b31m\u202e${text}`)
  fc.assert(
    fc.property(evil, fc.boolean(), fc.integer({ min: 40, max: 140 }), (text, color, width) => {
      const rendered = renderTerminal(
        sampleDocument({
          target: text,
          node: text,
          version: text,
          routes: [route(text, text, 1, 1, 1, 1, { db: 1 })],
          notDriven: [{ method: text, route: text, reason: text }],
          notes: [text],
          crash: { code: null, signal: text, message: `${text}\n${text}` },
          findings: [
            finding('slow-query', text, text, 'likely', 1, {
              routes: [text],
              evidence: [text],
              remedy: { sql: text, code: text, note: text },
            }),
          ],
        }),
        { color, width },
      )

      // What remains once our own colours are taken away.
      // oxlint-disable-next-line no-control-regex -- they are what is looked for
      const rest = rendered.replace(/\u001b\[[\d;]+m/g, '')
      // oxlint-disable-next-line no-control-regex -- they are what is looked for
      assert.doesNotMatch(
        rest,
        /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/,
      )
    }),
  )
})

test('the parts of a bar add up, however small they are', () => {
  const shares = fc.double({ min: 0, max: 1, noNaN: true })
  fc.assert(
    fc.property(shares, shares, shares, shares, (db, cpu, http, other) => {
      const document = sampleDocument({
        routes: [route('GET', '/x', 1, 1, 1, 1, { db, cpu, http, other })],
      })
      const text = renderTerminal(document, { color: false, width: 120 })
      const bar = /GET \/x .* ms {2}([DWNCHPS·–]+ *)$/m.exec(text)?.[1]

      assert.equal(bar?.length, 24)
    }),
  )
})

test('names that would look alike once they are cut are written in full', () => {
  const names = ['members', 'invoices', 'projects'].map(
    (middle) => `/api/organisations/:organisation/${middle}/archived/:year/:month/summaries`,
  )
  const document = sampleDocument({
    routes: names.map((name) => route('GET', name, 1, 1, 1, 1, { db: 1 })),
  })
  const lines = renderTerminal(document, { color: false, width: 100 }).split('\n')

  for (const name of names) assert.ok(lines.includes(`  GET ${name}`), name)
})

test('a crash, an interruption and an app in one file are told at the top', () => {
  const text = renderTerminal(
    sampleDocument({
      routes: [],
      findings: [],
      isInterrupted: true,
      seen: { modules: [], nothingHooked: true },
      crash: { code: 134, signal: null, message: 'FATAL ERROR: heap out of memory\n    at x' },
    }),
    { color: false, width: 80 },
  )

  assert.match(text, /Interrupted: this is what was measured until then\./)
  assert.match(text, /Nothing of the inside was seen/)
  assert.match(
    text,
    /CRASHED {2}the server ended while it was observed \(exit code 134\)\n {2}FATAL ERROR/,
  )
  assert.match(text, /No request was seen\./)
  assert.match(text, /nothing that is worth an accusation/)
})

test('a thousand routes and findings stay readable: the rest is counted', () => {
  const text = renderTerminal(
    sampleDocument({
      routes: Array.from({ length: 1000 }, (_, i) =>
        route('GET', `/r/${i}`, 1, 1, 1, 1, { db: 1 }),
      ),
      findings: Array.from({ length: 1000 }, (_, i) =>
        finding('slow-query', `GET /r/${i}`, `T${i}`, 'likely', 1, {}),
      ),
    }),
    { color: false, width: 100 },
  )

  assert.match(text, /… and 940 more routes/)
  assert.match(text, /… and 960 more findings/)
  assert.ok(text.length < 60_000, `${text.length}`)
})

test('NO_COLOR and FORCE_COLOR are heard, and a pipe is no terminal', () => {
  assert.equal(isColoured({ isTTY: true }, {}), true)
  assert.equal(isColoured({}, {}), false)
  assert.equal(isColoured({ isTTY: true }, { NO_COLOR: '1' }), false)
  assert.equal(isColoured({ isTTY: true }, { NO_COLOR: '' }), true)
  assert.equal(isColoured({}, { FORCE_COLOR: '1' }), true)
  assert.equal(isColoured({ isTTY: true }, { FORCE_COLOR: '0' }), false)
  assert.equal(isColoured({ isTTY: true }, { TERM: 'dumb' }), false)
})

test('on a terminal progress is one line, written over and at last removed', () => {
  const { progress, written, advance } = watched(true)

  progress.update('driving', '10 requests')
  progress.update('driving', '11 requests')
  advance(100)
  progress.update('driving', '\u001b[2J'.repeat(40))
  progress.clear()
  progress.clear()

  assert.equal(written.length, 3)
  assert.equal(written[0], '\r\u001b[2Kdriving · 10 requests')
  assert.match(written[1] ?? '', /^\r\u001b\[2Kdriving · \\x1b\[2J/)
  assert.ok((written[1] ?? '').length <= 5 + 59)
  assert.equal(written[2], '\r\u001b[2K')
})

test('in a log it is a line a step, and one now and again', () => {
  const { progress, written, advance } = watched(false)

  progress.update('starting')
  progress.update('driving', '1')
  for (let i = 0; i < 25; i++) {
    advance(1000)
    progress.update('driving', String(i))
  }
  progress.clear()

  assert.deepEqual(written, ['starting\n', 'driving · 1\n', 'driving · 9\n', 'driving · 19\n'])
})

function watched(isTTY: boolean) {
  let now = 0
  const written: string[] = []
  const stream = { isTTY, columns: 60, write: (text: string) => written.push(text) }
  return {
    progress: new Progress({ stream, clock: { now: () => now } }),
    written,
    advance(ms: number) {
      now += ms
    },
  }
}

test('long routes that begin alike can be told apart, and a page of SQL is cut', () => {
  const base = '/api/admin/projects/:projectId/features/:featureName'
  const text = renderTerminal(
    sampleDocument({
      routes: [
        route('GET', `${base}/environments`, 100, 5, 2, 30, { db: 1 }),
        route('GET', `${base}/variants`, 100, 1, 1, 30, { db: 1 }),
      ],
      findings: [
        finding('slow-query', 'GET /x', 'One SELECT takes 40 ms', 'likely', 9, {
          evidence: [`It took 40 ms: ${'select a from b union '.repeat(200)}`],
        }),
      ],
    }),
    { color: false, width: 60 },
  )

  assert.match(text, /GET \/\S+…\S*onments$/m)
  assert.match(text, /GET \/\S+…\S*ariants$/m)
  assert.ok(text.split('\n').length < 60)
  assert.match(text, /It took 40 ms: select/)
  assert.match(text.replaceAll(/\s+/g, ' '), /\(in full in --json and --html\)/)
  assert.match(text, /\(n do\): so many round trips in a row would do/)
})
