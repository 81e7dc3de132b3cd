/** What looks like a fault and is none. Each of these was, or would have been, a false accusation. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Finding } from '../core/finding.ts'
import { advise } from './advise.ts'
import type { AdviseOptions } from './advise-options.ts'
import {
  ObservationBuilder,
  type PhaseName,
  type RequestScript,
  type RouteScript,
} from './observation-builder.test.support.ts'

const user = 'SELECT id, name FROM users WHERE id = $1'
const orders = 'SELECT id, total FROM orders WHERE user_id = $1'
type Script = (request: RequestScript, i: number, phase: PhaseName) => void

// n-plus-one

innocent('four statements for four parts of a page', (request, i) => {
  for (let k = 0; k < 4; k++) request.query(user, { sends: [`user ${i} ${k}`] })
})

innocent('a list that is fetched in chunks', (request, i) => {
  for (let k = 0; k < 8; k++) {
    const ids = Array.from({ length: 100 }, (_, n) => `id ${i} ${k} ${n}`)
    request.query('SELECT id, name FROM products WHERE id = ANY($1)', { sends: ids })
  }
})

innocent('chunks by IN of different lengths', (request, i) => {
  for (let k = 0; k < 8; k++) {
    const ids = Array.from({ length: 10 + k }, (_, n) => `id ${i} ${k} ${n}`)
    request.query('SELECT id, name FROM products WHERE id IN ($1)', { sends: ids })
  }
})

innocent('pages that continue at the last key', (request, i) => {
  for (let k = 0; k < 8; k++) {
    request.query('SELECT id FROM events WHERE id > $1 ORDER BY id LIMIT $2', {
      sends: [`event ${i} ${k}`, 100],
      brings: [`event ${i} ${k + 1}`],
    })
  }
})

innocent('pages by offset', (request, i) => {
  for (let k = 0; k < 8; k++) {
    request.query('SELECT id FROM events WHERE kind = $1 LIMIT $2 OFFSET $3', {
      sends: [i, 100, k * 100],
    })
  }
})

innocent('a walk up a tree, each step needing the one before', (request, i) => {
  request.given(`node ${i} 0`)
  for (let k = 0; k < 8; k++) {
    request.query('SELECT id, parent_id FROM categories WHERE id = $1', {
      sends: [`node ${i} ${k}`],
      brings: [`node ${i} ${k}`, `node ${i} ${k + 1}`],
    })
  }
})

innocent('rows that are written one by one', (request, i) => {
  for (let k = 0; k < 12; k++) {
    request.query('INSERT INTO order_items (order_id, product_id) VALUES ($1, $2)', {
      sends: [i, k],
    })
  }
})

innocent('updates one by one', (request, i) => {
  for (let k = 0; k < 12; k++) {
    request.query('UPDATE stock SET n = n - $1 WHERE product_id = $2', {
      sends: [1, `p ${i} ${k}`],
    })
  }
})

innocent('rows locked one by one, in the order that avoids a deadlock', (request, i) => {
  for (let k = 0; k < 9; k++) {
    request.query('SELECT n FROM stock WHERE product_id = $1 FOR UPDATE', {
      sends: [`p ${i} ${k}`],
    })
  }
})

innocent('a number from a sequence for each of many', (request, i) => {
  for (let k = 0; k < 9; k++) {
    request.query("SELECT nextval('ids') FROM shards WHERE id = $1", { sends: [`${i} ${k}`] })
  }
})

innocent('a statement that is tried again after it failed', (request, i) => {
  for (let k = 0; k < 6; k++) request.query(user, { sends: [`user ${i}`, k], error: '40001' })
  request.query(user, { sends: [`user ${i}`] })
})

innocent('a loop in one request of many', (request, i, phase) => {
  const n = phase === 'load' && i === 0 ? 20 : 1
  for (let k = 0; k < n; k++) request.query(user, { sends: [`user ${i} ${k}`] })
})

innocent('a loop in requests that end in an error', (request, i) => {
  if (i === 0) return request.query(user, { sends: ['user'] })
  request.status = 500
  for (let k = 0; k < 20; k++) request.query(user, { sends: [`user ${i} ${k}`] })
})

// duplicate-query

innocent('a job asked for until it is done', (request, i) => {
  for (let k = 0; k < 4; k++) {
    request.query('SELECT state FROM jobs WHERE id = $1', {
      sends: [`job ${i}`],
      brings: ['running'],
    })
    request.idle(100)
  }
})

innocent('the same read before and after a write', (request, i) => {
  request.query(user, { sends: [`user ${i}`], brings: ['Ann'] })
  request.query('UPDATE users SET seen = $1 WHERE id = $2', { sends: ['now', `user ${i}`] })
  request.query(user, { sends: [`user ${i}`], brings: ['Ann'] })
})

innocent('the same read before and after a write by a function', (request, i) => {
  request.query(user, { sends: [`user ${i}`], brings: ['Ann'] })
  request.query('CALL touch($1)', { sends: [`user ${i}`] })
  request.query(user, { sends: [`user ${i}`], brings: ['Ann'] })
})

innocent('the same read around a POST to another service', (request, i) => {
  request.query(user, { sends: [`user ${i}`], brings: ['Ann'] })
  request.http('billing/charge', { method: 'POST', ms: 4 })
  request.query(user, { sends: [`user ${i}`], brings: ['Ann'] })
})

innocent('check, lock, check again', (request, i) => {
  request.query(user, { sends: [`user ${i}`], brings: ['Ann'] })
  request.query('BEGIN', { transaction: 1 })
  request.query(user, { sends: [`user ${i}`], brings: ['Ann'], transaction: 1 })
  request.query('UPDATE users SET a = $1', { sends: [1], transaction: 1 })
  request.query('COMMIT', { transaction: 1 })
})

innocent('a transaction that is run again after a conflict', (request, i) => {
  for (let k = 0; k < 2; k++) {
    request.query(user, { sends: [`user ${i}`], brings: ['Ann'] })
    if (k === 0) request.query('INSERT INTO log VALUES ($1)', { sends: [k], error: '40001' })
  }
})

innocent('the same question with another answer', (request, i) => {
  request.query(user, { sends: [`user ${i}`], brings: ['Ann'] })
  request.query(user, { sends: [`user ${i}`], brings: ['Eve'] })
})

innocent('a connection that is tried out before use', (request) => {
  for (let k = 0; k < 3; k++) request.query('SELECT 1')
})

innocent('settings of the session, again and again', (request) => {
  for (let k = 0; k < 6; k++) request.query('SET search_path TO tenant')
})

innocent('a lock that is asked for twice', (request) => {
  for (let k = 0; k < 3; k++)
    request.query('SELECT pg_try_advisory_lock($1) FROM locks', { sends: [7] })
})

innocent(
  'repeated statements whose values nobody compared',
  (request) => {
    for (let k = 0; k < 3; k++) request.query(user)
  },
  { deep: false },
)

innocent('a deep request one of whose drivers does not show values', (request) => {
  for (let k = 0; k < 3; k++) request.query(user, { sends: null })
})

// sequential-awaits

innocent(
  'authentication, then one read',
  (request, i) => {
    const [token, id] = [`token ${i}`, `user ${i}`]
    request.given(`article ${i}`)
    request.query('SELECT user_id FROM sessions WHERE token = $1', {
      ms: 8,
      sends: [token],
      brings: [id],
    })
    request.query('SELECT n FROM articles WHERE id = $1', {
      ms: 8,
      sends: [`article ${i}`],
      brings: [1],
    })
  },
  { options: { sequentialAwaits: { minPairSavesMs: 1, minPairSavesShare: 0.01 } } },
)

innocent('authentication by a service, then one read', (request, i) => {
  request.http('idp/oauth/introspect', {
    ms: 30,
    sends: ['oauth', 'introspect'],
    brings: [`u ${i}`],
  })
  request.http('articles/:id', { ms: 40, sends: [`a ${i}`], brings: [1] })
})

innocent('a call whose URL holds what the call before it brought', (request, i) => {
  request.given(`user ${i}`)
  request.http('services/profiles/:id', {
    ms: 50,
    sends: ['profiles', `user ${i}`],
    brings: [`plan ${i}`],
  })
  request.http('services/plans/:id', { ms: 60, sends: ['plans', `plan ${i}`], brings: [9] })
})

innocent(
  'a call with a value of unknown origin, after an answer nobody could read',
  (request, i) => {
    request.given(`user ${i}`)
    request.http('services/profiles/:id', { ms: 50, sends: ['profiles', `user ${i}`] })
    request.http('services/plans/:id', { ms: 60, sends: ['plans', `plan ${i}`] })
  },
)

innocent('a call to a word that the call before it brought', (request, i) => {
  request.given(`user ${i}`)
  request.http('a/profiles/:id', { ms: 50, sends: ['profiles', `user ${i}`], brings: ['gold'] })
  request.http('a/plans/gold', { ms: 60, sends: ['plans', 'gold'], brings: [9] })
})

innocent(
  'a call that may need the sixty-fifth row',
  (request, i) => {
    request.given(`user ${i}`)
    request.query(orders, { ms: 15, sends: [`user ${i}`], brings: ['a', 'b'], rows: 900 })
    request.http('services/plans/:id', { ms: 60, sends: ['plans', `order ${i}`] })
  },
  { options: { sequentialAwaits: { minPairSavesMs: 1, minPairSavesShare: 0.01 } } },
)

innocent('statements of one transaction', (request, i) => {
  request.given(`user ${i}`)
  for (const table of ['a', 'b', 'c']) {
    request.query(`SELECT n FROM ${table} WHERE user_id = $1`, {
      ms: 8,
      sends: [`user ${i}`],
      transaction: 4,
    })
  }
})

innocent('reads that are each wrapped in a transaction', (request, i) => {
  request.given(`user ${i}`)
  for (const [k, table] of ['a', 'b', 'c'].entries()) {
    request.query('BEGIN', { transaction: k })
    request.query(`SELECT n FROM ${table} WHERE user_id = $1`, {
      ms: 8,
      sends: [`user ${i}`],
      transaction: k,
    })
    request.query('COMMIT', { transaction: k })
  }
})

innocent('statements on one client, which runs one at a time', (request, i) => {
  request.given(`user ${i}`)
  request.checkout(() => {
    for (const table of ['a', 'b', 'c']) {
      request.query(`SELECT n FROM ${table} WHERE user_id = $1`, { ms: 8, sends: [`user ${i}`] })
    }
  })
})

innocent('writes to other services', (request, i) => {
  for (const name of ['mail', 'audit', 'search']) {
    request.http(`${name}/jobs`, { method: 'POST', ms: 40, sends: [i] })
  }
})

innocent('Promise.all over a pool of four: rounds of waiting, no waterfall', (request, i) => {
  request.given(`user ${i}`)
  const tables = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
  request.parallel(
    ...tables.map((table, k) => () => {
      if (k >= 4) request.poolWait(9)
      request.query(`SELECT n FROM ${table} WHERE user_id = $1`, { ms: 9, sends: [`user ${i}`] })
    }),
  )
})

innocent('Promise.all over one connection', (request, i) => {
  request.given(`user ${i}`)
  request.parallel(
    ...['a', 'b', 'c'].map((table, k) => () => {
      if (k > 0) request.poolWait(9 * k)
      request.query(`SELECT n FROM ${table} WHERE user_id = $1`, { ms: 8.9, sends: [`user ${i}`] })
    }),
  )
})

innocent('computing between the calls', (request, i) => {
  request.given(`user ${i}`)
  for (const name of ['a', 'b', 'c']) {
    request.http(`services/${name}/:id`, { ms: 10, sends: [name, `user ${i}`], brings: [] })
    request.compute(30)
  }
})

innocent('pages of a remote list', (request, i) => {
  request.given(`user ${i}`)
  for (let k = 1; k < 5; k++) {
    request.http('services/events', { ms: 40, sends: ['events', `user ${i}`, k], brings: [] })
  }
})

innocent('a remote job asked for until it is done', (request, i) => {
  request.given(`job ${i}`)
  for (let k = 0; k < 4; k++)
    request.http('jobs/:id', { ms: 40, sends: [`job ${i}`], brings: ['running'] })
})

innocent('a remote call that is tried again', (request, i) => {
  request.given(`user ${i}`)
  request.http('a/:id', { ms: 40, status: 503, sends: [`user ${i}`] })
  request.http('b/:id', { ms: 40, sends: [`user ${i}`] })
})

innocent('three quick statements in a row', (request, i) => {
  request.given(`user ${i}`)
  for (const table of ['a', 'b', 'c']) {
    request.query(`SELECT n FROM ${table} WHERE user_id = $1`, { ms: 0.4, sends: [`user ${i}`] })
  }
})

innocent('a page whose parts are asked for at once', (request, i) => {
  request.given(`user ${i}`)
  const calls = ['a', 'b', 'c'].map(
    (name) => () => request.http(`services/${name}/:id`, { ms: 60, sends: [name, `user ${i}`] }),
  )
  request.parallel(...calls)
})

innocent('calls of two steps that the application names itself', (request, i) => {
  request.given(`user ${i}`)
  for (const name of ['load', 'render']) {
    request.within(name, () => {
      request.http(`services/${name}/:id`, { ms: 60, sends: [name, `user ${i}`], brings: [] })
    })
  }
})

innocent('the same page every time: what is constant may come from an answer', (request) => {
  request.http('services/current', { ms: 50, sends: ['current'] })
  request.http('services/plans/:id', { ms: 60, sends: ['plans', 'plan 7'] })
})

innocent(
  'statements by a pool of one connection',
  (request, i) => {
    request.given(`user ${i}`)
    for (const table of ['a', 'b', 'c']) {
      request.query(`SELECT n FROM ${table} WHERE user_id = $1`, { ms: 8, sends: [`user ${i}`] })
    }
  },
  { pool: 1 },
)

innocent('calls in a row in one request of four', (request, i) => {
  request.given(`user ${i}`)
  for (const name of i === 0 ? ['a', 'b', 'c'] : ['a']) {
    request.http(`services/${name}/:id`, { ms: 60, sends: [name, `user ${i}`], brings: [] })
  }
})

// connection-per-request

innocent(
  'a pool that fills in a run without lone requests',
  (request, i) => {
    request.connect()
    request.query(user, { sends: [`user ${i}`] })
  },
  { solo: 0, total: 10, pool: 10 },
)

innocent(
  'two requests that connect say nothing about a rule',
  (request, i) => {
    request.connect()
    request.query(user, { sends: [`user ${i}`] })
  },
  { solo: 2, load: 0 },
)

innocent(
  'a pool that fills while the load begins',
  (request, i, phase) => {
    if (phase === 'load') request.connect()
    request.query(user, { sends: [`user ${i}`] })
  },
  { total: 10, pool: 10 },
)

innocent('a pool that closes idle connections, asked rarely', (request, i, phase) => {
  // Alone, right after one another, its connection was still there.
  if (phase === 'load') request.connect()
  request.query(user, { sends: [`user ${i}`] })
})

innocent('a database that is away, and tried again', (request) => {
  request.connect(3, 'ECONNREFUSED')
  request.connect(3, 'ECONNREFUSED')
})

// slow-query

innocent('a statement that sleeps on purpose', (request) => {
  request.query('SELECT pg_sleep($1) FROM waits', { ms: 500, sends: [0.5] })
})

innocent('a row lock that is waited for', (request, i) => {
  request.query('SELECT n FROM stock WHERE id = $1 FOR UPDATE', { ms: 300, sends: [i] })
})

innocent('a statement that is slow under load only', (request, i, phase) => {
  request.query(user, { ms: phase === 'load' ? 40 : 1, sends: [`user ${i}`] })
})

innocent('a commit that waits for the disk', (request) => {
  request.query('COMMIT', { ms: 40 })
})

innocent('many rows at their normal price', (request, i) => {
  request.query(orders, { ms: 40, rows: 10_000, sends: [`user ${i}`] })
})

// large-response

innocent('a file', (request) => {
  request.responseBytes = 5_000_000
  request.idle(40)
})

innocent('an export that is streamed as its rows come', (request, i) => {
  request.query(orders, { ms: 70, rows: 16_000, sends: [i] })
  request.responseBytes = 2_500_000
})

innocent('a large answer that is made of few rows', (request, i) => {
  request.query(orders, { ms: 5, rows: 3, sends: [i] })
  request.compute(15)
  request.responseBytes = 2_500_000
})

innocent('one large answer among many small ones', (request, n) => {
  request.query(orders, { ms: 8, rows: 5_000, sends: [n] })
  request.compute(15)
  request.responseBytes = n === 0 ? 9_000_000 : 900
})

innocent('many rows that become a small answer', (request, i) => {
  request.query(orders, { ms: 12, rows: 5_000, sends: [i] })
  request.compute(15)
})

// pool-starvation and event-loop-blocked

test('a burst at the start: somebody waited, and on average nobody', () => {
  const app = new ObservationBuilder().pool({ waitingMax: 40 })
  app.route('GET /', (request, i) => {
    request.poolWait(0.3)
    request.query(user, { sends: [`user ${i}`] })
  })

  assert.deepEqual(accused(advise(app.observation())), [])
})

test('a request that asks for more than the pool has waits for itself', () => {
  const app = new ObservationBuilder().pool({ max: 4, waitingMax: 9 })
  app.route('GET /', (request, i) => {
    const rounds = [0, 1, 2].flatMap((round) => [0, 1, 2, 3].map((k) => ({ round, k })))
    request.parallel(
      ...rounds.map(({ round, k }) => () => {
        if (round > 0) request.poolWait(9.5 * round)
        request.query(`SELECT n FROM t${round}${k} WHERE id = $1`, {
          ms: 9.4,
          sends: [`user ${i}`],
        })
      }),
    )
  })

  assert.deepEqual(accused(advise(app.observation())), [])
})

test('waits while most connections are free are bursts', () => {
  const app = new ObservationBuilder().pool({ max: 20, waitingMax: 9 })
  app.route('GET /', (request, i) => {
    request.poolWait(9)
    request.query(user, { ms: 9, sends: [`user ${i}`] })
  })

  assert.deepEqual(accused(advise(app.observation())), [])
})

test('waiting for one’s turn on a client is in no pool', () => {
  const app = new ObservationBuilder()
  app.route('GET /', (request, i) => {
    request.poolWait(30)
    request.query(user, { sends: [`user ${i}`] })
  })

  assert.deepEqual(accused(advise(app.observation())), [])
})

test('a stretch that one request in three had, or the only profiled one, or a short one', () => {
  const app = new ObservationBuilder()
  app.route('GET /', (request) => request.compute(30))
  const block = { method: 'GET', route: '/', function: 'f', file: 'a.js', line: 1, inside: [] }
  app.blocks = [
    { ...block, ms: 50, seen: 1, requests: 3 },
    { ...block, ms: 50, seen: 1, requests: 1 },
    { ...block, ms: 8, seen: 3, requests: 3 },
  ]

  assert.deepEqual(accused(advise(app.observation())), [])
})

test('work that belongs to no request is charged to no route', () => {
  const app = new ObservationBuilder()
  app.route('GET /', (request) => request.query(user, { sends: ['user'] }))
  const observation = app.observation()
  const processes = observation.load.processes.map((process) => ({
    ...process,
    background: { queries: 90_000, dbMs: 500_000 },
  }))

  const findings = advise({ ...observation, load: { ...observation.load, processes } })

  assert.deepEqual(accused(findings), [])
})

function innocent(
  name: string,
  script: Script,
  { pool = 4, options = {}, ...route }: InnocentOptions = {},
): void {
  test(name, () => {
    const app = new ObservationBuilder().pool({ max: pool })
    app.route('GET /page/:id', script, route)

    assert.deepEqual(accused(advise(app.observation(), options)), [])
  })
}

interface InnocentOptions extends RouteScript {
  readonly pool?: number
  readonly options?: AdviseOptions
}

/** Also what is only possible: on these there is nothing to say. */
function accused(findings: readonly Finding[]): string[] {
  return findings.map(({ kind, title, confidence }) => `${kind} (${confidence}): ${title}`)
}
