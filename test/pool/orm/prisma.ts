import { PrismaPg } from '@prisma/adapter-pg'
import type pg from 'pg'
import { inOrder } from './drizzle.ts'
import type { Orm } from './orm.ts'
import { PrismaClient } from './prisma-client.ts'

export const prismaOrm: Orm = {
  name: 'Prisma',
  shares: true,
  async bank(pool) {
    const prisma = new PrismaClient({ adapter: new PrismaPg(pool as pg.Pool) })
    return {
      async open(owner, balance, notes) {
        const data = notes == null ? { owner, balance } : { owner, balance, notes }
        return (await prisma.account.create({ data })).id
      },
      find: async (owner) => (await prisma.account.findUnique({ where: { owner } })) ?? undefined,
      all: async () => prisma.account.findMany({ orderBy: { id: 'asc' } }),
      async setBalance(owner, balance) {
        await prisma.account.update({ where: { owner }, data: { balance } })
      },
      async remove(owner) {
        await prisma.account.delete({ where: { owner } })
      },
      async transfer(from, to, amount, check) {
        const transaction = async (tx: PrismaClient) => {
          for (const [owner, change] of inOrder(from, to, amount)) {
            await tx.account.update({ where: { owner }, data: { balance: { increment: change } } })
          }
          check?.()
        }
        await prisma.$transaction(transaction, { maxWait: 20_000, timeout: 20_000 })
      },
      close: async () => prisma.$disconnect(),
    }
  },
}
