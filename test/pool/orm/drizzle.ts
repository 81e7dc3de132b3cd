import { asc, eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { integer, jsonb, pgTable, serial, text, timestamp } from 'drizzle-orm/pg-core'
import type { Account, Orm } from './orm.ts'

const accounts = pgTable('accounts', {
  id: serial().primaryKey(),
  owner: text().notNull(),
  balance: integer().notNull(),
  opened: timestamp({ withTimezone: true }).notNull().defaultNow(),
  notes: jsonb(),
})

export const drizzleOrm: Orm = {
  name: 'Drizzle',
  shares: true,
  async bank(pool) {
    const db = drizzle(pool)
    return {
      async open(owner, balance, notes = null) {
        const [row] = await db.insert(accounts).values({ owner, balance, notes }).returning()
        return (row as Account).id
      },
      async find(owner) {
        return (await db.select().from(accounts).where(eq(accounts.owner, owner)))[0]
      },
      all: async () => db.select().from(accounts).orderBy(asc(accounts.id)),
      async setBalance(owner, balance) {
        await db.update(accounts).set({ balance }).where(eq(accounts.owner, owner))
      },
      async remove(owner) {
        await db.delete(accounts).where(eq(accounts.owner, owner))
      },
      async transfer(from, to, amount, check) {
        await db.transaction(async (tx) => {
          for (const [owner, change] of inOrder(from, to, amount)) {
            await tx
              .update(accounts)
              .set({ balance: sql`${accounts.balance} + ${change}` })
              .where(eq(accounts.owner, owner))
          }
          check?.()
        })
      },
      close: async () => {},
    }
  },
}

/** Always the same account first, so that two transfers do not wait for each other. */
export function inOrder(from: string, to: string, amount: number): [string, number][] {
  const changes: [string, number][] = [
    [from, -amount],
    [to, amount],
  ]
  return changes.sort(([a], [b]) => (a < b ? -1 : 1))
}
