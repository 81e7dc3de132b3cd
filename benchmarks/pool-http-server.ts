/**
 * Fastify with one route, `/product/:id`: one row through the client that is compared.
 *
 *   pool-http-server.js <client> <url>   ▶ { port }   ◀ {}   ▶ { cpuUs } of this process so far
 */
import fastify from 'fastify'
import { client } from './pool-clients.ts'

const [name = '', url = ''] = process.argv.slice(2)
const on = client(name, url)
const app = fastify()
app.get<{ Params: { id: string } }>('/product/:id', ({ params }) => on.ask(Number(params.id)))

process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.({ cpuUs: user + system })
})
process.on('disconnect', () => process.exit())
await on.ready()
await app.listen({ port: 0, host: '127.0.0.1' })
process.send?.({ port: (app.server.address() as { port: number }).port })
