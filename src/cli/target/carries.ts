/**
 * Carries: whether a process was given our socket, and so is one that our command has started.
 *
 * A process tells its pid itself, as its own namespace counts them: one in a container of its own
 * (`unshare --pid`, bubblewrap) may call itself 7, and 7 outside is somebody else, who must not be
 * killed for it. On Linux the environment that it was started with tells; elsewhere there are no such
 * namespaces.
 */
import { readFileSync } from 'node:fs'

export function carries(pid: number, socket: string): boolean {
  if (process.platform !== 'linux') return true
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0')
    return environment.includes(`HASTEN_AGENT=${Buffer.from(socket).toString('latin1')}`)
  } catch {
    return false
  }
}
