import pg from 'pg'

const connectionString = process.env.DATABASE_URL

/** For the newer parts of the API. */
export const pool = new pg.Pool({ connectionString, max: 4 })

/** How the older parts do it: open, use, close. */
export async function withConnection(work) {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
