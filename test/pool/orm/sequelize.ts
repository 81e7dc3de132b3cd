import { pooledDriver } from 'hasten/pool'
import { DataTypes, type Model, type Options, Sequelize } from 'sequelize'
import { inOrder } from './drizzle.ts'
import type { Account, Bank, Orm } from './orm.ts'

/** As it is: each of its clients sets its time zone, so each has a connection of the pool. */
export const sequelizeOrm: Orm = {
  name: 'Sequelize',
  shares: false,
  bank: async (pool, url) =>
    bankOn(
      new Sequelize(url, {
        logging: false,
        dialectModule: pooledDriver(pool),
        pool: { max: pool.options.max },
      }),
    ),
}

/** What its clients would set is left to the pool. */
export const sequelizeSharing: Orm = {
  name: 'Sequelize without settings of its own',
  shares: true,
  bank: async (pool, url) =>
    bankOn(
      new Sequelize(url, {
        logging: false,
        dialectModule: pooledDriver(pool),
        keepDefaultTimezone: true,
        dialectOptions: { clientMinMessages: 'ignore' },
        pool: { max: 50 },
      } as Options),
    ),
}

function bankOn(sequelize: Sequelize): Bank {
  const accounts = sequelize.define<Model<Account>>(
    'Account',
    {
      id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
      owner: DataTypes.TEXT,
      balance: DataTypes.INTEGER,
      opened: { type: DataTypes.DATE, defaultValue: DataTypes.NOW },
      notes: DataTypes.JSONB,
    },
    { tableName: 'accounts', timestamps: false },
  )
  return {
    async open(owner, balance, notes = null) {
      return (await accounts.create({ owner, balance, notes } as never)).get().id
    },
    find: async (owner) => (await accounts.findOne({ where: { owner } }))?.get(),
    all: async () => (await accounts.findAll({ order: ['id'] })).map((row) => row.get()),
    async setBalance(owner, balance) {
      await accounts.update({ balance }, { where: { owner } })
    },
    async remove(owner) {
      await accounts.destroy({ where: { owner } })
    },
    async transfer(from, to, amount, check) {
      await sequelize.transaction(async (transaction) => {
        for (const [owner, by] of inOrder(from, to, amount)) {
          await accounts.increment('balance', { by, where: { owner }, transaction })
        }
        check?.()
      })
    },
    close: async () => sequelize.close(),
  }
}
