/** ORMs and query builders on the pool: each does what it does on `pg.Pool`. */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { Pool } from 'hasten/pool'
import type pg from 'pg'
import { testPostgres } from '../service.ts'
import { drizzleOrm } from './orm/drizzle.ts'
import { knexOrm, knexOwnPool, knexSharing } from './orm/knex.ts'
import { kyselyOrm, kyselySharing } from './orm/kysely.ts'
import type { Bank, Orm } from './orm/orm.ts'
import { prismaOrm } from './orm/prisma.ts'
import { sequelizeOrm, sequelizeSharing } from './orm/sequelize.ts'
import { typeOrm, typeOrmSharing } from './orm/typeorm.ts'
import { endAfter } from './pool-kinds.ts'
import { until } from './until.ts'

const postgres = await testPostgres()
const orms: readonly Orm[] = [
  drizzleOrm,
  kyselyOrm,
  kyselySharing,
  knexOrm,
  knexSharing,
  knexOwnPool,
  prismaOrm,
  typeOrm,
  typeOrmSharing,
  sequelizeOrm,
  sequelizeSharing,
]
const owners = ['ada', 'bob', 'cleo', 'dan', 'eve', 'fay', 'gus', 'hal']

for (const orm of orms) {
  describe(orm.name, { skip: postgres.skip }, () => {
    test('creates, reads, updates and deletes', async (t) => {
      const { bank } = await open(t, orm)
      const before = Date.now()

      const id = await bank.open('ada', 100, { tags: ['a', 'ö'], deep: { n: null } })
      await bank.open('bob', 50)
      const ada = await bank.find('ada')
      await bank.setBalance('ada', 120)
      await bank.remove('bob')

      assert.equal(id, 1)
      assert.deepEqual(ada?.notes, { tags: ['a', 'ö'], deep: { n: null } })
      assert.ok(ada?.opened instanceof Date)
      assert.ok(Math.abs(ada.opened.getTime() - before) < 60_000, String(ada.opened))
      assert.equal(await bank.find('bob'), undefined)
      assert.deepEqual(
        (await bank.all()).map(({ owner, balance }) => [owner, balance]),
        [['ada', 120]],
      )
    })

    test('commits a transaction, and takes one back', async (t) => {
      const { bank } = await open(t, orm)
      await bank.open('ada', 100)
      await bank.open('bob', 0)

      await bank.transfer('ada', 'bob', 30)
      await assert.rejects(
        bank.transfer('ada', 'bob', 40, () => {
          throw new RangeError('second thoughts')
        }),
        /second thoughts/,
      )
      await assert.rejects(
        bank.transfer('bob', 'ada', 31),
        saying(/violates check constraint|Validation/i),
      )

      assert.deepEqual(await balances(bank), { ada: 70, bob: 30 })
    })

    test('hears of errors, and goes on', async (t) => {
      const { bank, pool } = await open(t, orm)
      await bank.open('ada', 1)

      for (let n = 0; n < 10; n++) {
        await assert.rejects(bank.open('ada', 2), saying(/unique|Validation/i))
      }

      assert.deepEqual(await balances(bank), { ada: 1 })
      assert.ok(pool.totalCount <= 4)
    })

    test('keeps the books with many at once', async (t) => {
      const { bank, pool } = await open(t, orm)
      for (const owner of owners) await bank.open(owner, 1_000)
      const expected: Record<string, number> = Object.fromEntries(owners.map((o) => [o, 1_000]))
      let sums = 0

      await Promise.all(
        Array.from({ length: 120 }, async (_, n) => {
          const [from, to] = [owners[n % 8] as string, owners[(n * 3 + 1) % 8] as string]
          if (n % 3 === 0 || from === to) {
            const total = (await bank.all()).reduce((sum, { balance }) => sum + balance, 0)
            if (total === 8_000) sums++
          } else if (n % 3 === 1) {
            await assert.rejects(
              bank.transfer(from, to, n, () => {
                throw new Error('not this one')
              }),
            )
          } else {
            expected[from] = (expected[from] ?? 0) - n
            expected[to] = (expected[to] ?? 0) + n
            await bank.transfer(from, to, n)
          }
        }),
      )

      assert.deepEqual(await balances(bank), expected)
      assert.ok(sums >= 40, `${sums} readings of 8,000`)
      assert.ok(pool.totalCount <= 4)
      if (orm.shares) assert.ok(pool.stats().counts.express > 0, JSON.stringify(pool.stats()))
    })

    test('gives back every connection', async (t) => {
      const { bank, pool } = await open(t, orm)
      await bank.open('ada', 100)
      await bank.open('bob', 100)
      await Promise.allSettled([
        bank.transfer('ada', 'bob', 1),
        bank.transfer('bob', 'ada', 500),
        bank.find('ada'),
      ])

      await bank.close()
      await until('all are idle', () => pool.idleCount === pool.totalCount)
      await pool.end()

      assert.equal(pool.totalCount, 0)
    })
  })
}

async function open(t: TestContext, orm: Orm): Promise<{ bank: Bank; pool: Pool }> {
  // On a machine that is busy a statement must not pass for slow: whether it shares is asserted.
  const pool = new Pool({ connectionString: postgres.url, max: 4, expressMaxMs: 2_000 })
  let close = async (): Promise<void> => {}
  t.after(async () => close())
  endAfter(t, pool as pg.Pool)
  await pool.query('DROP TABLE IF EXISTS accounts')
  await pool.query(`CREATE TABLE accounts (
    id serial PRIMARY KEY, owner text NOT NULL UNIQUE, balance int NOT NULL CHECK (balance >= 0),
    opened timestamptz NOT NULL DEFAULT now(), notes jsonb)`)
  const bank = await orm.bank(pool, postgres.url)
  close = bank.close
  bank.close = async () => {
    const closeOnce = close
    close = async () => {}
    await closeOnce()
  }
  return { bank, pool }
}

/** In its own message or that of its cause. */
function saying(words: RegExp): (error: Error) => boolean {
  return (error) => words.test(`${error.message} ${String(error.cause)} ${JSON.stringify(error)}`)
}

async function balances(bank: Bank): Promise<Record<string, number>> {
  return Object.fromEntries((await bank.all()).map(({ owner, balance }) => [owner, balance]))
}
