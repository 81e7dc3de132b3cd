import assert from 'node:assert/strict'
import { Pool, pooledDriver } from 'hasten/pool'
import pg from 'pg'
import { DataSource, EntitySchema } from 'typeorm'
import { inOrder } from './drizzle.ts'
import type { Account, Bank, Orm } from './orm.ts'

const AccountEntity = new EntitySchema<Account>({
  name: 'Account',
  tableName: 'accounts',
  columns: {
    id: { type: Number, primary: true, generated: true },
    owner: { type: String, unique: true },
    balance: { type: Number },
    opened: { type: 'timestamptz', createDate: true },
    notes: { type: 'jsonb', nullable: true },
  },
})

/** It makes its pool itself: of the class that its driver names. */
export const typeOrm: Orm = {
  name: 'TypeORM',
  shares: false,
  async bank(pool, url) {
    const made: Pool[] = []
    const driver = {
      ...pg,
      Pool: class extends Pool {
        constructor(config: pg.PoolConfig) {
          super(config)
          made.push(this)
        }
      },
    }
    const source = new DataSource({
      type: 'postgres',
      url,
      driver,
      poolSize: pool.options.max,
      entities: [AccountEntity],
    })
    const bank = bankOn(await source.initialize())
    return {
      ...bank,
      close: async () => {
        await bank.close()
        for (const { totalCount, ended } of made) assert.deepEqual([totalCount, ended], [0, true])
      },
    }
  },
}

export const typeOrmSharing: Orm = {
  name: 'TypeORM on pooledDriver',
  shares: true,
  async bank(pool, url) {
    const driver = pooledDriver(pool)
    const source = new DataSource({ type: 'postgres', url, driver, entities: [AccountEntity] })
    return bankOn(await source.initialize())
  },
}

function bankOn(source: DataSource): Bank {
  const accounts = source.getRepository(AccountEntity)
  return {
    async open(owner, balance, notes = null) {
      return (await accounts.save({ owner, balance, notes })).id
    },
    find: async (owner) => (await accounts.findOneBy({ owner })) ?? undefined,
    all: async () => accounts.find({ order: { id: 'ASC' } }),
    async setBalance(owner, balance) {
      await accounts.update({ owner }, { balance })
    },
    async remove(owner) {
      await accounts.delete({ owner })
    },
    async transfer(from, to, amount, check) {
      await source.transaction(async (manager) => {
        for (const [owner, change] of inOrder(from, to, amount)) {
          await manager.increment(AccountEntity, { owner }, 'balance', change)
        }
        check?.()
      })
    },
    close: async () => source.destroy(),
  }
}
