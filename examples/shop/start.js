/** Starts what the shop stands on: its database, filled, and the services it asks. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { startPostgres } from '#services/postgres.js'
import { load, version } from './data/load.js'

// A demo's data can be made anew: what guards it against power cuts only costs time here.
const settings = { fsync: 'off', synchronous_commit: 'off', max_connections: '200' }

/**
 * @param {(done: number, what: string) => void} [onProgress] of making the data, the first time
 * @returns {Promise<{ env: Record<string, string>, stop: () => Promise<void> }>} `env` for the API
 */
export async function startShop(onProgress) {
  const postgres = await startPostgres({ name: `shop-${version}`, keep: true, settings })
  let services
  const stop = async () => {
    services?.kill()
    await postgres.stop()
  }
  try {
    await load(postgres.url(), onProgress)
    services = fork(fileURLToPath(new URL('services/server.js', import.meta.url)), {
      env: { ...process.env, PORT: '0' },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const [{ port }] = await once(services, 'message')
    const env = {
      DATABASE_URL: postgres.url(),
      SERVICES_URL: `http://127.0.0.1:${port}`,
      PORT: '0',
    }
    return { env, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
