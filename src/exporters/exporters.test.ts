import assert from 'node:assert/strict'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { test } from 'node:test'
import fc from 'fast-check'
import { Timing } from '../timing/index.ts'
import { prometheus, serverTiming } from './index.ts'

test('Server-Timing sums up each kind and names one’s own spans', () => {
  const { clock, timing } = fakeTiming()
  const timeline = timing.begin('GET', '/')
  timing.storage.run(timeline, () => {
    for (const kind of ['pool-wait', 'query', 'query', 'http'] as const) {
      const span = timeline.open(kind, 'x')
      clock.now += 1.25
      span.end()
    }
    timing.span('say "hi"\r\nSet-Cookie: a=b; é\\', () => {
      clock.now += 2
    })
    timeline.open('query', 'still open')
  })
  assert.equal(
    serverTiming(timeline),
    'total;dur=7.0, db;dur=2.5;desc="2x", wait;dur=1.3;desc="1x", ' +
      'http;dur=1.3;desc="1x", span4;dur=2.0;desc="say \\"hi\\"??Set-Cookie: a=b; ?\\\\"',
  )
})

test('Server-Timing of a request under way has its time until now', () => {
  const { clock, timing } = fakeTiming()
  const timeline = timing.begin('GET', '/')
  clock.now += 3
  assert.equal(serverTiming(timeline), 'total;dur=3.0')
})

test('any span name makes a header that Node sends and a parser takes apart again', () => {
  const metric = /^[a-z0-9]+;dur=\d+\.\d(?:;desc="(?:[^"\\]|\\["\\])*")?(?:, |$)/
  const name = fc.oneof(text({ maxLength: 80 }), fc.constant('"'.repeat(99)))
  // One for all: each storage that was ever entered costs every promise of the process a little.
  const { timing } = fakeTiming()
  fc.assert(
    fc.property(fc.array(name, { maxLength: 15 }), (names) => {
      const timeline = timing.begin('GET', '/')
      timing.storage.run(timeline, () => {
        for (const each of names) timing.span(each, () => 1)
      })
      const header = serverTiming(timeline)
      assert.ok(header.length <= 1024)
      http.validateHeaderValue('server-timing', header)
      let rest = header
      while (rest !== '') {
        const found = metric.exec(rest)?.[0] ?? assert.fail(`no metric: ${rest}`)
        rest = rest.slice(found.length)
      }
    }),
  )
})

test('Prometheus: each sample has help and type, and a histogram adds up', () => {
  const { clock, timing } = fakeTiming()
  for (const ms of [0.5, 4, 40, 400, 60_000]) {
    const timeline = timing.begin('GET', '/users/42')
    timeline.responseBytes = 100
    const span = timeline.open('query', 'q')
    clock.now += ms
    span.end()
    timing.finish(timeline, 200, false)
  }
  timing.background('query', 500)
  timing.begin('GET', '/under-way')
  const { samples, help, types } = parse(prometheus(timing))

  for (const { name } of samples) {
    const family = types.has(name) ? name : name.replace(/_(?:bucket|sum|count)$/, '')
    assert.ok(types.has(family), `${name} has no TYPE`)
    assert.ok(help.has(family), `${name} has no HELP`)
  }
  const labels = { method: 'GET', route: '/users/:id' }
  assert.equal(valueOf(samples, 'hasten_requests_total', labels), 5)
  assert.equal(valueOf(samples, 'hasten_response_bytes_total', labels), 500)
  assert.equal(valueOf(samples, 'hasten_query_seconds_total', labels), 60.4445)
  assert.equal(valueOf(samples, 'hasten_background_queries_total', {}), 1)
  assert.equal(valueOf(samples, 'hasten_background_query_seconds_total', {}), 0.5)
  assert.equal(valueOf(samples, 'hasten_requests_in_flight', {}), 1)
  const bucket = (le: string) =>
    valueOf(samples, 'hasten_request_duration_seconds_bucket', { ...labels, le })
  assert.deepEqual(['0.001', '0.005', '0.05', '0.5', '30', '+Inf'].map(bucket), [1, 2, 3, 4, 4, 5])
  assert.equal(valueOf(samples, 'hasten_request_duration_seconds_count', labels), 5)
  assert.equal(valueOf(samples, 'hasten_request_duration_seconds_sum', labels), 60.4445)
})

test('Prometheus: any route comes back as it was', () => {
  fc.assert(
    fc.property(text({ minLength: 1, maxLength: 40 }), (route) => {
      const { timing } = fakeTiming()
      const timeline = timing.begin('GET', '/')
      timeline.route = route
      timing.finish(timeline, 200, false)
      const { samples } = parse(prometheus(timing))
      assert.equal(valueOf(samples, 'hasten_requests_total', { method: 'GET', route }), 1)
    }),
  )
})

test('a server of node:http: streaming, aborted clients and keep-alive are told apart', async () => {
  const timing = new Timing()
  const server = http.createServer((req, res) => {
    const timeline = timing.begin(req.method ?? 'GET', req.url ?? '/')
    res.once('close', () => timing.finish(timeline, res.statusCode, !res.writableFinished))
    void timing.storage.run(timeline, async () => {
      if (req.url === '/hang') return void res.write('first')
      if (req.url === '/fail') res.statusCode = 503
      for (let i = 0; i < 3; i++) {
        await timing.span('chunk', () => new Promise((done) => res.write('x'.repeat(1000), done)))
      }
      res.end()
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  try {
    for (const path of ['/stream', '/stream', '/fail']) await (await fetch(origin + path)).text()
    const leaving = new AbortController()
    const response = await fetch(`${origin}/hang`, { signal: leaving.signal })
    await response.body?.getReader().read()
    leaving.abort()
    while (timing.inFlight > 0) await new Promise(setImmediate)
  } finally {
    server.closeAllConnections()
    await new Promise((done) => server.close(done))
  }
  const rows = timing
    .routes()
    .map(({ route, requests, errors }) => `${route} ${requests} ${errors}`)
  assert.deepEqual(rows.sort(), ['/fail 1 1', '/hang 1 1', '/stream 2 0'])
  const streamed = timing.sample().filter(({ route }) => route === '/stream')
  assert.deepEqual(
    streamed.map(({ spans }) => spans.length),
    [3, 3],
  )
})

interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** By the grammar of the format, independent of how we write it. */
function parse(text: string) {
  assert.ok(text.endsWith('\n'))
  const samples: Sample[] = []
  const help = new Set<string>()
  const types = new Map<string, string>()
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = /^# (HELP|TYPE) ([a-z_:][a-z0-9_:]*) (.+)$/.exec(line)
    if (comment !== null) {
      const [, what, name, rest] = comment as unknown as [string, string, string, string]
      if (what === 'HELP') help.add(name)
      else {
        assert.ok(!types.has(name), `${name} is there twice`)
        types.set(name, rest)
      }
      continue
    }
    const sample =
      /^([a-z_:][a-z0-9_:]*)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? (\S+)$/su.exec(line)
    assert.ok(sample !== null, `no sample: ${JSON.stringify(line)}`)
    const labels: Record<string, string> = {}
    for (const [, name, value] of (sample[2] ?? '').matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/gsu)) {
      labels[name as string] = (value as string).replace(/\\(.)/gsu, (_, each: string) =>
        each === 'n' ? '\n' : each,
      )
    }
    assert.ok(!Number.isNaN(Number(sample[3])), line)
    samples.push({ name: sample[1] as string, labels, value: Number(sample[3]) })
  }
  return { samples, help, types }
}

function valueOf(samples: readonly Sample[], name: string, labels: Record<string, string>) {
  const wanted = JSON.stringify(Object.entries(labels).sort())
  return samples.find(
    (sample) =>
      sample.name === name && JSON.stringify(Object.entries(sample.labels).sort()) === wanted,
  )?.value
}

/** Any text, with what the formats quote and escape far more often than by chance. */
function text(constraints: fc.StringConstraints): fc.Arbitrary<string> {
  const special = fc.constantFrom('"', '\\', '\n', '\r', ',', ';', '{', '}', 'n')
  const any = fc.nat({ max: 0xffff }).map((code) => String.fromCharCode(code))
  return fc.string({ ...constraints, unit: fc.oneof(special, any) })
}

function fakeTiming() {
  const clock = { now: 1000 }
  return { clock, timing: new Timing({ clock: { now: () => clock.now } }) }
}
