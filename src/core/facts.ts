/**
 * Facts: what was observed, as plain JSON.
 *
 * Timing writes them, the agent ships them to the doctor, the advisor reads them, a file may hold
 * them. They are the only thing these parts share, so each can be tested with facts from a file.
 *
 *   observed process                                     doctor's process
 *   ┌────────────────────────────┐   Unix socket, 0600  ┌────────────────────────────┐
 *   │ hooks → Timeline → facts ──┼──── JSON lines ──────┼─▶ Observation ─▶ findings   │
 *   └────────────────────────────┘                      └────────────────────────────┘
 *
 * Rules:
 *   1. No value of a user's leaves the observed process: no SQL literal, parameter, row, header,
 *      query string or body. Where two values must be compared, a salted hash of each is given.
 *   2. Times are milliseconds; a span's start counts from the start of its request.
 *   3. Totals (`RouteFacts`) are exact; whole requests (`RequestFacts`) are a sample.
 */

export type SpanKind =
  | 'query' // a statement running on its connection
  | 'pool-wait' // waiting until a pool lends a connection, or for one's turn on a client
  | 'connect' // opening and authenticating a new connection
  | 'cache'
  | 'http' // an outbound call
  | 'cpu'
  | 'serialise'
  | 'custom' // timing.span(name, fn)

export interface SpanFacts {
  readonly kind: SpanKind
  /** Kind's own name: `SELECT users`, `GET api.internal/users/:id`, `get`, what `timing.span` was given. */
  readonly name: string
  readonly startMs: number
  /** -1 where the span had not ended when the request did. */
  readonly durationMs: number
  /** Index of the enclosing span in `spans`; absent at top level. */
  readonly parent?: number
  /** Error code (SQLSTATE, `ECONNREFUSED`) or class name, where it failed. */
  readonly error?: string

  // query
  /** Id of the statement's shape, see StatementFacts. */
  readonly statement?: string
  readonly rows?: number
  /** Bytes received for it. */
  readonly bytes?: number
  /** Number of the connection in its process; for `pool-wait` of the pool. */
  readonly connection?: number
  /** Number of the transaction block on its connection; absent in autocommit. */
  readonly transaction?: number

  // http
  readonly method?: string
  readonly host?: string
  readonly status?: number

  // cache
  readonly hit?: boolean

  // Deep requests only (see RequestFacts.deep): salted 32-bit hashes.
  /** Values sent: parameters and literals of a statement, tokens of a URL and body. In order. */
  readonly inputs?: readonly number[]
  /** Values received: of at most 64 rows, at most 512 values. */
  readonly outputs?: readonly number[]
}

export interface RequestFacts {
  /** Unique in the process. */
  readonly id: number
  readonly pid: number
  readonly method: string
  /** Pattern as the framework knows it (`/users/:id`), else the folded path. */
  readonly route: string
  readonly status: number
  /** Client went away before the response was complete. */
  readonly aborted: boolean
  /** Epoch milliseconds. */
  readonly startedAt: number
  readonly durationMs: number
  /** Requests in flight in the process when this one came, itself included. */
  readonly concurrency: number
  /** W3C trace id, 32 hex digits, where the caller sent one. */
  readonly traceId?: string
  readonly responseBytes?: number
  /** Milliseconds that the event loop was busy between start and end: own work and that of others. */
  readonly loopActiveMs?: number
  /** Values were hashed: `inputs` and `outputs` of the spans are there. */
  readonly deep: boolean
  /** Hashes of the tokens in path, query string and JSON body, where deep. */
  readonly inputs?: readonly number[]
  readonly spans: readonly SpanFacts[]
  /** Spans over the bound of one request, counted but not kept. */
  readonly droppedSpans: number
}

export interface StatementFacts {
  /** 16 hex digits, the same in every process and run for the same shape. */
  readonly id: string
  /** Text with comments removed, literals as `$n`, lists of any length as one. */
  readonly text: string
}

/** One statement shape within one route, exact. */
export interface StatementUse {
  readonly statement: string
  readonly calls: number
  readonly totalMs: number
  readonly rows: number
  readonly bytes: number
  readonly errors: number
}

/** Everything of one route since the last reset, exact. */
export interface RouteFacts {
  readonly method: string
  readonly route: string
  readonly requests: number
  /** Responses of 500 and above, and aborted ones. */
  readonly errors: number
  readonly queries: number
  readonly connects: number
  /** Sums over all requests. */
  readonly totalMs: number
  readonly dbMs: number
  readonly poolWaitMs: number
  readonly connectMs: number
  readonly httpMs: number
  readonly responseBytes: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  readonly statements: readonly StatementUse[]
}

export interface PoolFacts {
  readonly pid: number
  /** Number of the pool in its process, in order of creation. */
  readonly pool: number
  readonly library: string
  readonly max: number
  readonly total: number
  readonly idle: number
  readonly waiting: number
  /** Most that waited at one moment since the last reset. */
  readonly waitingMax: number
}

export interface ProcessFacts {
  readonly pid: number
  readonly node: string
  /** Since the last reset. */
  readonly cpuMs: number
  readonly maxRssMb: number
  readonly loopUtilisation: number
  readonly loopDelayP99Ms: number
  readonly loopDelayMaxMs: number
  /** Statements, connects and outbound calls that belong to no request. */
  readonly background: { readonly queries: number; readonly dbMs: number }
}

/** A synchronous stretch, from a CPU profile taken while requests ran one at a time. */
export interface BlockFacts {
  readonly method: string
  readonly route: string
  /** Function in the application that was on the stack throughout. */
  readonly function: string
  /** Path relative to the application's working directory. */
  readonly file: string
  readonly line: number
  /** Median length of the stretch, over `seen` requests out of `requests`. */
  readonly ms: number
  readonly seen: number
  readonly requests: number
  /** Where the time went inside of it, most first. */
  readonly inside: readonly {
    readonly function: string
    readonly file: string
    readonly line: number
    readonly ms: number
  }[]
}

/** A plan by `EXPLAIN (FORMAT JSON)`, literals stripped. */
export interface PlanFacts {
  readonly statement: string
  /** The `Plan` object of the server's JSON. */
  readonly plan?: unknown
  /** Why there is none. */
  readonly error?: string
}

export interface Observation {
  /**
   * `solo`: requests were sent one at a time, so that their times are their own;
   * `load`: under load, so that waiting shows.
   */
  readonly solo: Phase
  readonly load: Phase
  readonly statements: readonly StatementFacts[]
  readonly blocks: readonly BlockFacts[]
  readonly plans: readonly PlanFacts[]
  /**
   * How often each route (`GET /users/:id`) was meant to be asked under load, where that is known: a
   * rare one may not have come up at all.
   */
  readonly plannedPerSecond?: Readonly<Record<string, number>>
  /** The load was raised until the server had no more to give: something is full by design. */
  readonly isRateSearched?: boolean
  /** Names of packages that the application loaded or depends on, as far as they are known. */
  readonly packages?: readonly string[]
}

export interface Phase {
  readonly seconds: number
  readonly routes: readonly RouteFacts[]
  readonly requests: readonly RequestFacts[]
  readonly pools: readonly PoolFacts[]
  readonly processes: readonly ProcessFacts[]
}
