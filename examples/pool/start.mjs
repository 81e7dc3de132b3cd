/**
 *   node examples/pool/start.mjs
 *
 * Runs pool.mjs on the database of DATABASE_URL, or on a PostgreSQL of its own that is gone afterwards.
 */
import { setUp } from '../../scripts/setup.mjs'

setUp()
const given = process.env.DATABASE_URL
const { startPostgres } = await import('#services/postgres.js')
const postgres = given ? undefined : await startPostgres()
process.env.DATABASE_URL = given ?? postgres.url()
try {
  const { main } = await import('./pool.mjs')
  await main()
} finally {
  await postgres?.stop()
}
