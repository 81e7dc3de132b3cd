/**
 * Bundle: whether a script is an application bundled into one file together with its libraries.
 *
 * Hooks work on modules as they are loaded. A bundler has made one module of all, so nothing can be
 * seen inside but the HTTP server, which is Node's own. To say so on suspicion would be worse than
 * to say nothing, so it takes a proof: the file itself holds what only a driver's source contains.
 * These words survive minifying because they are strings that go over the wire.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

const MAX_READ = 64 * 2 ** 20

/** A driver, and strings that must all be in the file. */
const tellTales: readonly (readonly [library: string, strings: readonly string[]])[] = [
  ['pg', ['SCRAM-SERVER-FIRST-MESSAGE', 'client_encoding']],
  ['postgres', ['SCRAM-SHA-256', 'pg_catalog.pg_type', 'CONNECTION_ENDED']],
  ['ioredis', ['CLUSTERDOWN', 'enableReadyCheck']],
]

/** Libraries that were bundled into the file: empty where none can be proved. */
export function bundledInto(file: string): string[] {
  const source = sourceOf(file)
  if (source === '') return []
  const libraries = tellTales.filter(([, strings]) =>
    strings.every((each) => source.includes(each)),
  )
  return libraries.map(([library]) => library)
}

function sourceOf(file: string): string {
  let descriptor: number | undefined
  try {
    descriptor = openSync(file, 'r')
    const { size } = fstatSync(descriptor)
    const buffer = Buffer.alloc(Math.min(size, MAX_READ))
    const length = readSync(descriptor, buffer, 0, buffer.length, 0)
    return buffer.toString('latin1', 0, length)
  } catch {
    return ''
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}
