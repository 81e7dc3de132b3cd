/**
 * The server whose CPU time is measured: `hello`, or one row through `pg.Pool`, on Fastify.
 *
 *   observe-server.js <hello|row> <bare|storage>
 *
 * `storage` runs each request inside an empty AsyncLocalStorage and nothing else: the floor that Node
 * sets for anything that knows which request it works for. What observes comes by `--import`.
 *
 * Tells its port to its parent; asked anything, it answers with its CPU time in µs.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import fastify from 'fastify'
import pg from 'pg'

const [route, mode] = process.argv.slice(2)
const app = fastify()

if (mode === 'storage') {
  const storage = new AsyncLocalStorage<object>()
  const { server } = app
  const emit = server.emit.bind(server) as (...args: unknown[]) => boolean
  server.emit = (...args: unknown[]) => {
    return args[0] === 'request' ? storage.run({}, emit, ...args) : emit(...args)
  }
}

if (route === 'row') {
  const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 10 })
  app.get('/', async () => {
    const { rows } = await pool.query('SELECT id, name, price FROM product WHERE id = $1', [42])
    return rows[0] as object
  })
} else {
  app.get('/', () => ({ hello: 'world' }))
}

process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.({ cpuUs: user + system })
})
process.on('disconnect', () => process.exit())
await app.listen({ port: 0, host: '127.0.0.1' })
process.send?.({ port: (app.server.address() as { port: number }).port })
