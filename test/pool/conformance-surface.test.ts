/** The face of `pg.Pool`, compared name by name: what is there, ours has too. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { testPostgres } from '../service.ts'
import { eachPool } from './pool-kinds.ts'

const postgres = await testPostgres()

eachPool(postgres, (kind) => {
  test('a pool is a pg.Pool', (t) => {
    assert.ok(kind.open(t) instanceof pg.Pool)
  })

  test('every public name of a pg.Pool is there, of the same type', (t) => {
    const [theirs, ours] = [new pg.Pool(), kind.open(t)]
    const names = new Set<string>()
    for (let of: object = theirs; of !== Object.prototype; of = Object.getPrototypeOf(of)) {
      for (const name of Object.getOwnPropertyNames(of)) {
        if (!name.startsWith('_')) names.add(name)
      }
    }
    for (const name of ['connect', 'query', 'end', 'totalCount', 'options', 'ending', 'Client']) {
      assert.ok(names.has(name), name)
    }

    for (const name of names) {
      const [expected, found] = [theirs, ours].map(
        (pool) => typeof (pool as unknown as Record<string, unknown>)[name],
      )
      if (expected !== 'undefined') assert.equal(found, expected, name)
    }
  })

  test('what can be disposed of as pg.Pool, can be so here', async (t) => {
    for (const symbol of [Symbol.asyncDispose, Symbol.dispose]) {
      if (symbol in pg.Pool.prototype) assert.ok(symbol in kind.open(t), String(symbol))
    }
  })

  test('a class may extend it', async (t) => {
    const answers: string[] = []
    class CountingPool extends kind.Pool {
      override query(...args: unknown[]): never {
        answers.push(String(args[0]))
        return (super.query as (...args: unknown[]) => unknown).apply(this, args) as never
      }
    }
    const pool = new CountingPool({ connectionString: postgres.url })
    t.after(() => pool.end())

    const { rows } = (await (pool.query('SELECT 1 AS n') as Promise<unknown>)) as pg.QueryResult

    assert.deepEqual(rows, [{ n: 1 }])
    assert.deepEqual(answers, ['SELECT 1 AS n'])
  })

  test('methods may be replaced on a pool, as instruments do', async (t) => {
    const pool = kind.open(t)
    const { connect } = pool
    let connects = 0
    pool.connect = function counted(this: pg.Pool, ...args: unknown[]) {
      connects++
      return (connect as (...args: unknown[]) => unknown).apply(this, args)
    } as never

    const client = await pool.connect()
    client.release()

    assert.equal(connects, 1)
  })
})
