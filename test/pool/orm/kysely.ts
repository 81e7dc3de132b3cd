import { pooledDriver } from 'hasten/pool'
import { type Generated, Kysely, PostgresDialect, type PostgresPool } from 'kysely'
import { inOrder } from './drizzle.ts'
import type { Bank, Orm } from './orm.ts'

interface Database {
  accounts: {
    id: Generated<number>
    owner: string
    balance: number
    opened: Generated<Date>
    notes: unknown
  }
}

export const kyselyOrm: Orm = {
  name: 'Kysely',
  shares: false,
  bank: async (pool) => bankOn(pool as unknown as PostgresPool),
}

export const kyselySharing: Orm = {
  name: 'Kysely on pooledDriver',
  shares: true,
  bank: async (pool) => bankOn(new (pooledDriver(pool).Pool)() as unknown as PostgresPool),
}

function bankOn(pool: PostgresPool): Bank {
  // The pool is its owner's: Kysely would end it.
  const borrowed: PostgresPool = { connect: () => pool.connect(), end: async () => {} }
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool: borrowed }) })
  return {
    async open(owner, balance, notes = null) {
      const row = { owner, balance, notes: JSON.stringify(notes) }
      const { id } = await db
        .insertInto('accounts')
        .values(row)
        .returning('id')
        .executeTakeFirstOrThrow()
      return id
    },
    find: async (owner) =>
      db.selectFrom('accounts').selectAll().where('owner', '=', owner).executeTakeFirst(),
    all: async () => db.selectFrom('accounts').selectAll().orderBy('id').execute(),
    async setBalance(owner, balance) {
      await db.updateTable('accounts').set({ balance }).where('owner', '=', owner).execute()
    },
    async remove(owner) {
      await db.deleteFrom('accounts').where('owner', '=', owner).execute()
    },
    async transfer(from, to, amount, check) {
      await db.transaction().execute(async (tx) => {
        for (const [owner, change] of inOrder(from, to, amount)) {
          await tx
            .updateTable('accounts')
            .set((eb) => ({ balance: eb('balance', '+', change) }))
            .where('owner', '=', owner)
            .execute()
        }
        check?.()
      })
    },
    close: async () => db.destroy(),
  }
}
