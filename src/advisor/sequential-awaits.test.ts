import assert from 'node:assert/strict'
import { test } from 'node:test'
import { advise } from './advise.ts'
import { ObservationBuilder, type RequestScript } from './observation-builder.test.support.ts'

test('three services asked one after another for the same user could be asked at once', () => {
  const [finding, ...others] = advise(
    dashboard((request, i) => {
      request.http('services/profiles/:id', { ms: 50, sends: ['profiles', i], brings: ['Ann', 7] })
      request.http('services/recommendations/:id', {
        ms: 80,
        sends: ['recommendations', i],
        brings: [9],
      })
      request.http('services/loyalty/:id', { ms: 120, sends: ['loyalty', i], brings: ['gold'] })
    }),
  )

  assert.deepEqual(others, [])
  assert.equal(finding?.kind, 'sequential-awaits')
  assert.equal(finding?.confidence, 'likely')
  assert.ok(Math.abs((finding?.savesMsPerRequest ?? 0) - 130) < 0.1)
  assert.match(finding?.title ?? '', /could/)
  assert.ok(
    finding?.remedy.code?.startsWith(
      'const [profiles, recommendations, loyalty] = await Promise.all([',
    ),
  )
})

test('so could they where their answers cannot be read', () => {
  const [finding] = advise(
    dashboard((request, i) => {
      request.http('services/profiles/:id', { ms: 50, sends: ['profiles', i] })
      request.http('services/loyalty/:id', { ms: 60, sends: ['loyalty', i] })
    }),
  )

  assert.equal(finding?.kind, 'sequential-awaits')
  assert.equal(finding.confidence, 'likely')
})

test('statements by the pool, none of which needs another', () => {
  const [finding] = advise(
    dashboard((request, i) => {
      request.query('SELECT n FROM orders WHERE user_id = $1', { ms: 12, sends: [i], brings: [3] })
      request.query('SELECT n FROM reviews WHERE user_id = $1', { ms: 9, sends: [i], brings: [4] })
      request.query('SELECT n FROM visits WHERE user_id = $1', { ms: 8, sends: [i], brings: [5] })
    }),
  )

  assert.equal(finding?.kind, 'sequential-awaits')
  assert.ok(Math.abs(finding.savesMsPerRequest - 17) < 0.1)
  assert.match(finding.remedy.note ?? '', /connection each/)
})

test('what comes after the list may run side by side, the list itself not', () => {
  const [finding] = advise(
    dashboard((request, i) => {
      const ids = [`a${i}`, `b${i}`, `c${i}`]
      request.http('services/list', { ms: 30, sends: ['list'], brings: ids })
      for (const id of ids)
        request.http('services/items/:id', { ms: 20, sends: ['items', id], brings: [] })
    }),
  )

  assert.equal(finding?.kind, 'sequential-awaits')
  assert.ok(Math.abs(finding.savesMsPerRequest - 40) < 0.1, String(finding.savesMsPerRequest))
  assert.match(finding.remedy.code ?? '', /keys\.map/)
})

test('is only possible where a value that is sent cannot be explained', () => {
  const finding = advise(
    dashboard((request, i) => {
      request.query('SELECT n FROM orders WHERE user_id = $1', { ms: 40, sends: [i], brings: [3] })
      request.query('SELECT n FROM rates WHERE day = $1', {
        ms: 40,
        sends: [`day ${i}`],
        brings: [4],
      })
    }),
  ).find(({ kind }) => kind === 'sequential-awaits')

  assert.equal(finding?.confidence, 'possible')
})

test('is only possible where the last word of a URL may stand in an answer nobody could read', () => {
  const [finding] = advise(
    dashboard((request, i) => {
      request.http('services/profiles/:id', { ms: 50, sends: ['profiles', i] })
      request.http('services/plans/gold', { ms: 60, sends: ['plans', 'gold'] })
    }),
  )

  assert.equal(finding?.kind, 'sequential-awaits')
  assert.equal(finding.confidence, 'possible')
})

test('the id does not hold the port that a service got today', () => {
  const run = (port: number) =>
    advise(
      dashboard((request, i) => {
        request.http(`127.0.0.1:${port}/a/:id`, { ms: 50, sends: ['a', i] })
        request.http(`127.0.0.1:${port}/b/:id`, { ms: 60, sends: ['b', i] })
      }),
    )[0]?.id

  assert.ok(run(4000))
  assert.equal(run(4000), run(51_234))
})

test('saves no more than the event loop was idle', () => {
  const [finding] = advise(
    dashboard((request, i) => {
      request.http('services/profiles/:id', { ms: 50, sends: ['profiles', i] })
      request.http('services/loyalty/:id', { ms: 60, sends: ['loyalty', i] })
      request.loopActiveMs = 80
    }),
  )

  assert.ok((finding?.savesMsPerRequest ?? 99) < 31)
})

function dashboard(script: (request: RequestScript, id: string) => void) {
  const app = new ObservationBuilder().pool()
  app.route('GET /dashboard/:id', (request, i) => {
    request.given(`user ${i}`)
    script(request, `user ${i}`)
  })
  return app.observation()
}

test('whoever asks is looked up before the rest, also behind other single lookups', () => {
  const findings = advise(
    dashboard((request, i) => {
      request.query('SELECT homepage FROM domains WHERE address = $1', {
        ...{ ms: 18, rows: 0, sends: ['localhost'], brings: [] },
      })
      request.query('SELECT id, role FROM users WHERE apikey = $1', {
        ...{ ms: 14, rows: 1, sends: ['key'], brings: ['ADMIN'] },
      })
      request.query('SELECT target FROM links WHERE uuid = $1', {
        ...{ ms: 40, rows: 1, sends: [i], brings: ['https://example.com'] },
      })
    }),
  )

  assert.deepEqual(
    findings.filter(({ kind }) => kind === 'sequential-awaits'),
    [],
  )
})

test('a list that was empty shows nothing of what would depend on it: only possible', () => {
  const [finding] = advise(
    dashboard((request, i) => {
      request.query('SELECT id FROM lists WHERE owner = $1', { ms: 12, rows: 0, sends: [i] })
      request.query('SELECT n FROM items WHERE list_id IN ($1)', { ms: 9, sends: [] })
      request.query('SELECT n FROM visits WHERE user_id = $1', { ms: 8, sends: [i], brings: [5] })
    }),
  )

  assert.equal(finding?.kind, 'sequential-awaits')
  assert.equal(finding.confidence, 'possible')
  assert.match(finding.evidence.join('\n'), /found no row/)
})
