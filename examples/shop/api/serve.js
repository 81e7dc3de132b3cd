/**
 * The API of the story, as many of us have written it: every route works, and under ten times the
 * traffic every route waits. Nothing here knows of hasten.
 *
 *   before/database.js ─┐
 *                       ├─▶ serve() ─▶ users, products, orders, dashboard, reports
 *   after/database.js  ─┘
 *
 * Before and after run this code, the routes included; what a server brings is how it reaches its
 * database.
 */
import Fastify from 'fastify'
import { dashboard } from './dashboard.js'
import { orders } from './orders.js'
import { products } from './products.js'
import { reports } from './reports.js'
import { users } from './users.js'

/** @param {{ pool: import('pg').Pool, withConnection: Function }} database */
export async function serve(database) {
  const app = Fastify()
  app.get('/health', async () => ({ ok: true }))
  for (const routes of [users, products, orders, dashboard, reports]) routes(app, database)
  const origin = await app.listen({ port: Number(process.env.PORT ?? 3000), host: '127.0.0.1' })
  console.log(`the shop is open at ${origin}`)
  process.once('SIGTERM', () => app.close().then(() => process.exit()))
}
