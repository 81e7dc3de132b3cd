/**
 * The API of the story, as many of us have written it: every route works, and under ten times the
 * traffic every route waits. Nothing here knows of hasten.
 */
import Fastify from 'fastify'
import { dashboard } from './dashboard.js'
import { orders } from './orders.js'
import { products } from './products.js'
import { reports } from './reports.js'
import { users } from './users.js'

const app = Fastify()
app.get('/health', async () => ({ ok: true }))
for (const routes of [users, products, orders, dashboard, reports]) routes(app)

await app.listen({ port: Number(process.env.PORT ?? 3000), host: '127.0.0.1' })
process.once('SIGTERM', () => app.close().then(() => process.exit()))
