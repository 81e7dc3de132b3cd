/**
 * Clients that are compared, each as its users write it, behind one face.
 *
 *   hasten      `new Pool({ max: 10 })`, `pool.query(text, values)`
 *   pg          the same of `pg`: what everybody writes
 *   pg-named    with a name on each statement, so that it is prepared
 *   postgres    postgres.js with its own limit of 10 connections; `postgres-4` with 4
 *   naive       4 pg clients with `pipeline: true` and names, taken in turns: no lanes
 *   connect     a connection for each statement
 *   none        no database at all: what HTTP alone allows
 *
 * `ask` is one row by key; whoever asks checks that it is the row of this key. `violate` is one INSERT
 * that fails by a unique violation, `sleep` a statement of 100 ms.
 */
import { Pool } from 'hasten/pool'
import pg from 'pg'
import postgres from 'postgres'

export interface Row {
  readonly id: number
  readonly name: string
  readonly price: number
}

export interface Client {
  ask(key: number): Promise<Row | undefined>
  violate(): Promise<unknown>
  sleep(): Promise<unknown>
  /** Borrows a connection and gives it back. */
  acquire?(): Promise<void>
  /** Connections open and ready. */
  ready(): Promise<unknown>
}

export const CONNECTIONS = 10
/** Rows of `product`. */
export const KEYS = 1000
const SHARED = 4
const ASK = 'SELECT id, name, price FROM product WHERE id = $1'
const VIOLATE = 'INSERT INTO taken (id) VALUES ($1)'
const SLEEP = 'SELECT pg_sleep(0.1)'

/** `product`, a thousand rows, and `taken`, where the id 1 is. */
export async function fill(url: string): Promise<void> {
  const one = new pg.Client({ connectionString: url })
  await one.connect()
  try {
    await one.query(
      `CREATE TABLE product AS SELECT id, 'product ' || id AS name, id * 10 AS price
         FROM generate_series(1, ${KEYS}) AS id;
       ALTER TABLE product ADD PRIMARY KEY (id);
       CREATE TABLE taken (id int PRIMARY KEY);
       INSERT INTO taken VALUES (1)`,
    )
    await one.query('VACUUM ANALYZE product')
  } finally {
    await one.end()
  }
}

export function client(name: string, url: string): Client {
  switch (name) {
    case 'hasten':
    case 'hasten-again': {
      const pool = new Pool({ connectionString: url, max: CONNECTIONS, min: CONNECTIONS })
      return { ...ofPool(pool), ready: () => pool.ready() }
    }
    case 'pg':
      return ofPool(new pg.Pool({ connectionString: url, max: CONNECTIONS }))
    case 'pg-named':
      return named(new pg.Pool({ connectionString: url, max: CONNECTIONS }))
    case 'postgres':
      return ofPostgres(url, CONNECTIONS)
    case 'postgres-4':
      return ofPostgres(url, SHARED)
    case 'naive':
      return naive(url)
    case 'connect':
      return connecting(url)
    case 'none':
      return withoutDatabase
    default:
      throw new Error(`no client ${name}`)
  }
}

function ofPool(pool: pg.Pool): Client {
  return {
    ask: async (key) => (await pool.query<Row>(ASK, [key])).rows[0],
    violate: () => pool.query(VIOLATE, [1]),
    sleep: () => pool.query(SLEEP),
    acquire: async () => (await pool.connect()).release(),
    ready: () => Promise.all(Array.from({ length: CONNECTIONS }, () => pool.query(ASK, [1]))),
  }
}

function named(on: Pick<pg.ClientBase, 'query'> | pg.Pool): Client {
  return {
    ask: async (key) => {
      const { rows } = await on.query<Row>({ name: 'ask', text: ASK, values: [key] })
      return rows[0]
    },
    violate: () => on.query({ name: 'violate', text: VIOLATE, values: [1] }),
    sleep: () => on.query({ name: 'sleep', text: SLEEP }),
    ready: () => Promise.resolve(),
  }
}

function ofPostgres(url: string, max: number): Client {
  const sql = postgres(url, { max, onnotice: () => {} })
  return {
    ask: async (key) =>
      (await sql<Row[]>`SELECT id, name, price FROM product WHERE id = ${key}`)[0],
    violate: () => sql`INSERT INTO taken (id) VALUES (${1})`.execute(),
    sleep: () => sql`SELECT pg_sleep(0.1)`.execute(),
    ready: () => Promise.all(Array.from({ length: max }, () => sql`SELECT 1`)),
  }
}

function naive(url: string): Client {
  const clients = Array.from(
    { length: SHARED },
    () => new pg.Client({ connectionString: url, pipeline: true }),
  )
  const each = clients.map(named)
  let turn = 0
  const next = (): Client => each[turn++ % SHARED] as Client
  return {
    ask: (key) => next().ask(key),
    violate: () => next().violate(),
    sleep: () => next().sleep(),
    ready: () => Promise.all(clients.map((one) => one.connect())),
  }
}

function connecting(url: string): Client {
  const once = async <T>(work: (one: pg.Client) => Promise<T>): Promise<T> => {
    const one = new pg.Client({ connectionString: url })
    await one.connect()
    try {
      return await work(one)
    } finally {
      await one.end()
    }
  }
  return {
    ask: (key) => once(async (one) => (await one.query<Row>(ASK, [key])).rows[0]),
    violate: () => once((one) => one.query(VIOLATE, [1])),
    sleep: () => once((one) => one.query(SLEEP)),
    acquire: () => once(async () => {}),
    ready: () => Promise.resolve(),
  }
}

const withoutDatabase: Client = {
  ask: (key) => Promise.resolve({ id: key, name: `product ${key}`, price: key * 10 }),
  violate: () => Promise.reject(Object.assign(new Error('taken'), { code: '23505' })),
  sleep: () => Promise.resolve(),
  ready: () => Promise.resolve(),
}
