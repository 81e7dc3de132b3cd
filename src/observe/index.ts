/**
 * Observe: `node --import hasten/observe server.js` gives each request its timeline.
 *
 * Importing this file installs the hooks; it exports nothing that an application needs. Loaded
 * twice (by `NODE_OPTIONS` and the command line, or as two copies of the package), the first one
 * wins: two would count everything twice.
 *
 * Where `HASTEN_AGENT` names a socket, a doctor has started this process and the agent reports to
 * it.
 */
import { hookFailed } from './guard.ts'
import { watchModules } from './modules.ts'

const loaded = Symbol.for('hasten.observe')
const root = globalThis as { [loaded]?: string }

if (root[loaded] === undefined) {
  root[loaded] = import.meta.url
  install()
}

function install(): void {
  for (const step of [watchModules]) {
    try {
      step()
    } catch (error) {
      hookFailed(error)
    }
  }
}
