/**
 * Observe: `node --import hasten/observe server.js` gives each request its timeline.
 *
 * Importing this file installs the hooks; it exports nothing that an application needs. Loaded
 * twice (by `NODE_OPTIONS` and the command line, or as two copies of the package), the first one
 * wins: two would count everything twice.
 *
 * Environment (docs/observe.md): `HASTEN_OBSERVE=0` switches all of it off, `HASTEN_SERVER_TIMING=1`
 * adds the header, `HASTEN_PROPAGATE=0` keeps `traceparent` to oneself. The doctor imports `./agent`,
 * which imports this file.
 */
import { observeFrameworks } from './frameworks.ts'
import { hookFailed } from './guard.ts'
import { observeHttpClient } from './http-client.ts'
import { observeHttpServer } from './http-server.ts'
import { watchModules } from './modules.ts'
import { observePg } from './pg.ts'
import { observeRedis } from './redis.ts'
import { observeUndici } from './undici.ts'

const loaded = Symbol.for('hasten.observe')
const root = globalThis as { [loaded]?: string }

if (root[loaded] === undefined && process.env['HASTEN_OBSERVE'] !== '0') {
  root[loaded] = import.meta.url
  const steps = [
    observeHttpServer,
    observeFrameworks,
    observeHttpClient,
    observeUndici,
    observeRedis,
    observePg,
    // Last: what is loaded already is patched by what has registered.
    watchModules,
  ]
  for (const step of steps) {
    try {
      step()
    } catch (error) {
      hookFailed(error)
    }
  }
}
