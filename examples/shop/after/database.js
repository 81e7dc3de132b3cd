import { Pool } from 'hasten/pool'

const connectionString = process.env.DATABASE_URL

/** For all parts of the API. */
export const pool = new Pool({ connectionString, min: 4, max: 10 })

/** The older parts read statement by statement and open no transaction: the pool is all they need. */
export function withConnection(work) {
  return work(pool)
}
