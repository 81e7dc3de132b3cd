/** Whether a database's address is on this machine. No host means a Unix socket, and so does a path. */
import { isLoopback } from '../load/index.ts'

export function isLocalDatabase(host: string): boolean {
  return host === '' || host.startsWith('/') || isLoopback(host)
}
