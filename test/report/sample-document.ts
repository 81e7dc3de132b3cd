/** A document as the doctor might write it, with what a stranger's application could put into it. */
import type { RequestFacts, SpanFacts } from '#src/core/facts.js'
import type { Finding } from '#src/core/finding.js'
import type { DoctorDocument, HtmlExtra, RouteReport, Shares } from '#src/report/index.js'

const noShares: Shares = {
  db: 0,
  poolWait: 0,
  connect: 0,
  cache: 0,
  http: 0,
  cpu: 0,
  serialise: 0,
  other: 0,
}

export function sampleDocument(change: Partial<DoctorDocument> = {}): DoctorDocument {
  return {
    version: '0.1.0',
    target: 'node server.js',
    node: 'v20.20.0',
    load: {
      mode: 'given',
      ratePerSecond: 205.2,
      seconds: 60,
      requests: 12_312,
      errors: 17,
      goal: { quantile: 0.95, ms: 200, heldPerSecond: 84.5 },
    },
    routes: [
      route('GET', '/dashboard/:id', 4210, 47, 4, 322.4, {
        db: 0.62,
        poolWait: 0.21,
        connect: 0.05,
        cpu: 0.08,
        other: 0.04,
      }),
      route('GET', '/users/:id/orders', 3904, 1, 1, 148.2, { db: 0.93, cpu: 0.04, other: 0.03 }),
      route(
        'GET',
        '/orders/:id/overview',
        2110,
        3,
        2,
        4.1,
        { http: 0.88, db: 0.04, cpu: 0.05, other: 0.03 },
        5,
      ),
      route(
        'GET',
        '/reports/sales',
        1203,
        2,
        1,
        21.4,
        { cpu: 0.81, db: 0.11, serialise: 0.06, other: 0.02 },
        12,
      ),
      route('POST', '/orders', 885, 5, null, 12.1, { db: 0.7, cache: 0.1, other: 0.2 }),
    ],
    notDriven: [
      {
        method: 'GET',
        route: '/logout',
        reason: 'it writes: UPDATE sessions (drive it with --allow-writes)',
      },
      {
        method: 'GET',
        route: '/sessions/rotate',
        reason: 'it writes: UPDATE sessions (drive it with --allow-writes)',
      },
      {
        method: 'GET',
        route: '/invoices/:number',
        reason: 'no value is known for :number (give one with --params)',
      },
    ],
    findings: [
      finding(
        'n-plus-one',
        'GET /dashboard/:id',
        'One query per order: 43 of the 47 queries are the same',
        'likely',
        2110,
        {
          evidence: [
            'SELECT order_items WHERE order_id = $1 ran 43 times per request, one after the other, 6.1 ms each.',
            'All 40 sampled requests show it.',
          ],
          remedy: {
            sql: 'SELECT * FROM order_items\nWHERE order_id = ANY($1)',
            code: "const items = await pool.query(\n  'SELECT * FROM order_items WHERE order_id = ANY($1)',\n  [orders.map((order) => order.id)],\n)",
            note: 'Ask once for all orders, then group by order_id.',
          },
          routes: ['GET /dashboard/:id', 'GET /users/:id/orders'],
        },
      ),
      finding(
        'slow-query',
        'GET /users/:id/orders',
        'orders is read whole to find one user’s orders',
        'proved',
        940,
        {
          evidence: ['Seq Scan on orders, filter (user_id = $1): reads 500,000 rows, returns 10.'],
          remedy: { sql: 'CREATE INDEX CONCURRENTLY orders_user_id ON orders (user_id);' },
        },
      ),
      finding(
        'sequential-awaits',
        'GET /orders/:id/overview',
        'Three outbound calls wait for one another',
        'likely',
        320,
        {
          evidence: [
            'GET users-service, GET orders-service and GET stats-service run in a row: 50 + 80 + 120 ms; none needs what another returned.',
          ],
          remedy: {
            code: 'const [user, orders, stats] = await Promise.all([getUser(id), getOrders(id), getStats(id)])',
          },
        },
      ),
      finding(
        'pool-starvation',
        'GET /dashboard/:id',
        'Requests wait for one of 4 connections',
        'likely',
        210,
        {
          evidence: ['At 12 requests at once a request waits 71 ms for a connection.'],
          cause: 'n-plus-one:GET /dashboard/:id',
          remedy: { note: 'Mend the queries first; then raise max to 10.' },
        },
      ),
      finding('large-response', 'GET /reports/sales', 'Responses of 2.4 MB', 'possible', 12, {
        evidence: ['The median response has 2.4 MB.'],
        remedy: {},
      }),
    ],
    notes: ['The database runs on this machine: its work takes processor time from the server’s.'],
    ...change,
  }
}

export function sampleExtra(document: DoctorDocument): HtmlExtra {
  return {
    createdAt: new Date('2025-11-25T09:00:00Z'),
    latencies: document.routes.map(({ method, route: pattern, requests, p50Ms, p99Ms }) => ({
      method,
      route: pattern,
      latency: {
        count: requests,
        quantile: (q) =>
          p50Ms * (p99Ms / p50Ms) ** (Math.log(0.5 / Math.max(1e-6, 1 - q)) / Math.log(50)),
      },
    })),
    progress: Array.from({ length: 60 }, (_, second) => ({
      second,
      completedPerSecond: 200 + 8 * Math.sin(second),
      p95Ms: 300 + 60 * Math.cos(second / 4) + second,
      errors: second % 17 === 0 ? 1 : 0,
    })),
    requests: document.routes.slice(0, 200).flatMap(requestsOf),
    statements: [{ id: '00112233aabbccdd', text: 'SELECT * FROM orders WHERE user_id = $1' }],
    plans: [
      {
        statement: '00112233aabbccdd',
        plan: {
          'Node Type': 'Limit',
          'Total Cost': 12_870.2,
          'Plan Rows': 10,
          Plans: [
            {
              'Node Type': 'Seq Scan',
              'Relation Name': 'orders',
              Filter: '(user_id = $1)',
              'Total Cost': 12_870,
              'Plan Rows': 11,
            },
          ],
        },
      },
    ],
  }
}

export function route(
  method: string,
  pattern: string,
  requests: number,
  queriesPerRequest: number,
  roundTripFloor: number | null,
  dbMs: number,
  shares: Partial<Shares>,
  errors = 0,
): RouteReport {
  const p50Ms = Math.max(2, dbMs * 1.1)
  return {
    method,
    route: pattern,
    requests,
    errors,
    queriesPerRequest,
    roundTripFloor,
    dbMs,
    p50Ms,
    p95Ms: p50Ms * 2.4,
    p99Ms: p50Ms * 4.1,
    shares: { ...noShares, ...shares },
  }
}

export function finding(
  kind: Finding['kind'],
  where: string,
  title: string,
  confidence: Finding['confidence'],
  savesMsPerSecond: number,
  rest: Partial<Finding>,
): Finding {
  return {
    id: `${kind}:${where}`,
    kind,
    route: where,
    routes: [where],
    title,
    cause: null,
    evidence: [],
    confidence,
    savesMsPerRequest: savesMsPerSecond / 17,
    savesMsPerSecond,
    savesShare: 0.41,
    remedy: {},
    ...rest,
  }
}

function requestsOf(
  { method, route: pattern, queriesPerRequest, p99Ms }: RouteReport,
  n: number,
): RequestFacts[] {
  return [0.4, 0.7, 1].map((slowness, i) => {
    const durationMs = p99Ms * slowness
    const queries = Math.max(1, Math.round(queriesPerRequest))
    const step = (durationMs * 0.8) / queries
    const spans: SpanFacts[] = [
      {
        kind: 'pool-wait',
        name: 'pool 1',
        startMs: 0.2,
        durationMs: durationMs * 0.06,
        connection: 1,
      },
      ...Array.from(
        { length: queries },
        (_, q): SpanFacts => ({
          kind: 'query',
          name: q === 0 ? 'SELECT orders' : 'SELECT order_items',
          startMs: durationMs * 0.07 + q * step,
          durationMs: step * 0.86,
          statement: '00112233aabbccdd',
          rows: 10,
          bytes: 1200,
          connection: 2,
        }),
      ),
      {
        kind: 'http',
        name: 'GET stats-service',
        method: 'GET',
        host: 'stats.internal',
        status: 200,
        startMs: durationMs * 0.3,
        durationMs: durationMs * 0.4,
      },
      {
        kind: 'serialise',
        name: 'JSON',
        startMs: durationMs * 0.94,
        durationMs: durationMs * 0.05,
      },
      { kind: 'query', name: 'UPDATE visits', startMs: durationMs * 0.99, durationMs: -1 },
    ]
    return {
      id: n * 10 + i,
      pid: 1,
      method,
      route: pattern,
      status: 200,
      aborted: false,
      startedAt: 0,
      durationMs,
      concurrency: 12,
      responseBytes: 48_213,
      deep: false,
      spans,
      droppedSpans: 0,
    }
  })
}
