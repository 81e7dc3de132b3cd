/**
 * Port holder: which process listens on a port, as far as Linux' /proc tells.
 *
 *   /proc/net/tcp{,6}: port ──▶ socket's inode      /proc/<pid>/fd/*: socket:[inode] ──▶ pid
 *
 * Another user's descriptors cannot be read without privileges; then, and on other systems, there
 * is no answer, and the message does without.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

export interface PortHolder {
  readonly pid: number
  /** Command line, cut at 120 characters. */
  readonly command: string
}

const LISTEN = '0A'

export function portHolder(port: number): PortHolder | undefined {
  if (process.platform !== 'linux') return undefined
  const wanted = inodesOf(port)
  if (wanted.size === 0) return undefined
  for (const name of list('/proc')) {
    if (!/^\d+$/.test(name)) continue
    if (list(`/proc/${name}/fd`).some((fd) => wanted.has(linkOf(`/proc/${name}/fd/${fd}`)))) {
      const command = read(`/proc/${name}/cmdline`).replaceAll('\0', ' ').trim()
      return { pid: Number(name), command: command.slice(0, 120) }
    }
  }
  return undefined
}

function inodesOf(port: number): Set<string> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  const lines = ['tcp', 'tcp6'].flatMap((table) => read(`/proc/net/${table}`).split('\n'))
  const inodes = lines.flatMap((line) => {
    // sl local remote state queues timer retransmits uid timeout inode
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/)
    return state === LISTEN && local?.endsWith(`:${hex}`) ? [`socket:[${inode}]`] : []
  })
  return new Set(inodes)
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}
