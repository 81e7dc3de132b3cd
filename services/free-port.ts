import { once } from 'node:events'
import { createServer } from 'node:net'

/** A port of 127.0.0.1 that was free a moment ago: whoever uses it must be ready to ask again. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

const TRIES = 5

/** Between the kernel's choice of a port and its use somebody else may take it: then another is tried. */
export async function onFreePort(launch: (port: number) => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await launch(await freePort())
    } catch (error) {
      const isTaken = /could not bind|in use/i.test((error as Error).message)
      if (!isTaken || tries === TRIES) throw error
    }
  }
}
