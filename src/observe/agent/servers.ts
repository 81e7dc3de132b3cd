/**
 * Servers: tells of each HTTP server that listens, or that could not.
 *
 * `net.Server.prototype.listen` is where all of them pass. Listeners are added for two events that
 * an application does not count: `listening` once, and `errorMonitor`, which, unlike `error`, leaves
 * an unhandled error unhandled. TCP servers that do not speak HTTP are let through untold.
 */
import { type EventEmitter, errorMonitor } from 'node:events'
import type { RequestListener } from 'node:http'
import { Server } from 'node:net'
import type { ListeningFacts, Tell } from '../../core/agent-wire.ts'
import { guard } from '../guard.ts'

type Listen = (this: Server, ...args: unknown[]) => Server

const MAX_SERVERS = 64
const servers = new Set<WeakRef<Server>>()

export function watchServers(tell: (message: Tell) => void): void {
  const prototype = Server.prototype as unknown as { listen: Listen }
  const { listen } = prototype
  const watch = guard((server: Server) => {
    const protocol = protocolOf(server)
    if (protocol === undefined) return
    // The typings know errorMonitor on emitters only.
    const events: EventEmitter = server
    const onListening = guard(() => {
      events.off(errorMonitor, onError)
      if (servers.size < MAX_SERVERS) servers.add(new WeakRef(server))
      const facts = addressOf(server, protocol)
      if (facts !== undefined) tell({ tell: 'listening', ...facts })
    })
    const onError = guard((error: NodeJS.ErrnoException & { address?: string; port?: number }) => {
      server.off('listening', onListening)
      const { code = 'unknown', address = '', port = 0 } = error
      tell({ tell: 'listen-error', code, host: address, port, protocol })
    })
    server.once('listening', onListening)
    events.once(errorMonitor, onError)
  })
  prototype.listen = function (...args) {
    watch(this)
    return listen.apply(this, args)
  }
}

/** What the listening servers hand their requests to. */
export function requestListeners(): RequestListener[] {
  const alive = [...servers].flatMap((reference) => reference.deref() ?? [])
  return alive.flatMap((server) => server.listeners('request') as RequestListener[])
}

function protocolOf(server: Server): ListeningFacts['protocol'] | undefined {
  // Not imported: a process that opens no server shall not load the TLS stack for us.
  if (server instanceof process.getBuiltinModule('node:http').Server) return 'http'
  if (server instanceof process.getBuiltinModule('node:https').Server) return 'https'
  return undefined
}

function addressOf(
  server: Server,
  protocol: ListeningFacts['protocol'],
): ListeningFacts | undefined {
  const address = server.address()
  if (address === null) return undefined
  if (typeof address === 'string') return { host: address, port: 0, protocol }
  return { host: address.address, port: address.port, protocol }
}
