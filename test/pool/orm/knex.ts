import { createRequire } from 'node:module'
import { pooledDriver } from 'hasten/pool'
import knex, { type Knex } from 'knex'
import { inOrder } from './drizzle.ts'
import type { Account, Bank, Orm } from './orm.ts'

/** What `client: 'pg'` stands for; Knex documents it as the class to extend. */
const PgDialect = createRequire(import.meta.url)(
  'knex/lib/dialects/postgres/index.js',
) as typeof Knex.Client

/** Knex 3.3 takes a pool of the driver's as it is. */
export const knexOrm: Orm = {
  name: 'Knex',
  shares: false,
  bank: async (pool) => bankOn(knex({ client: 'pg', connectionPool: pool } as Knex.Config)),
}

export const knexSharing: Orm = {
  name: 'Knex on pooledDriver',
  shares: true,
  bank: async (pool) => {
    const connectionPool = new (pooledDriver(pool).Pool)()
    return bankOn(knex({ client: 'pg', connectionPool } as Knex.Config))
  },
}

/** With the pool of Knex's own, whose connections cost nothing: also on older versions. */
export const knexOwnPool: Orm = {
  name: 'Knex with its own pool on pooledDriver',
  shares: true,
  bank: async (pool) => {
    const driver = pooledDriver(pool)
    class Dialect extends PgDialect {
      _driver(): unknown {
        return driver
      }
    }
    return bankOn(knex({ client: Dialect, connection: {}, pool: { min: 0, max: 50 } }))
  },
}

function bankOn(db: Knex): Bank {
  return {
    async open(owner, balance, notes = null) {
      const row = { owner, balance, notes: JSON.stringify(notes) }
      const [inserted] = await db('accounts').insert(row).returning('id')
      return inserted.id
    },
    find: async (owner) => db<Account>('accounts').where({ owner }).first(),
    all: async () => db<Account>('accounts').orderBy('id'),
    async setBalance(owner, balance) {
      await db('accounts').where({ owner }).update({ balance })
    },
    async remove(owner) {
      await db('accounts').where({ owner }).delete()
    },
    async transfer(from, to, amount, check) {
      await db.transaction(async (tx) => {
        for (const [owner, change] of inOrder(from, to, amount)) {
          await tx('accounts').where({ owner }).increment('balance', change)
        }
        check?.()
      })
    },
    close: async () => db.destroy(),
  }
}
