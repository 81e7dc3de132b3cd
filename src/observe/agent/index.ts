/**
 * Agent: what the doctor puts into the process that it observes.
 *
 * `hasten doctor` starts a command with `NODE_OPTIONS=--require preload.cjs` and `HASTEN_AGENT` naming
 * its socket. The hooks are imported first, then the agent, all before the application's first line.
 * Nothing in here may await at top level: an ES module that does cannot be required.
 * Every Node process below the command comes through here: the server and its workers, but also npm,
 * a transpiler, a watcher. One that opens no server and loads no library of interest tells its
 * `hello`, and nothing else happens in it.
 *
 * Without `HASTEN_AGENT` this file does nothing.
 */
// First of all, and in this order.
import './internal-thread.ts'
import '../index.ts'
import { createRequire } from 'node:module'
import { isMainThread, threadId } from 'node:worker_threads'
import { type Asked, wireVersion } from '../../core/agent-wire.ts'
import { agentSeam } from '../agent-seam.ts'
import { guard, hookFailed } from '../guard.ts'
import { observedModules, onModule } from '../modules.ts'
import { pools, resetPools } from '../pg.ts'
import { stripSql } from '../../core/sql-lexer.ts'
import { AgentSocket } from './agent-socket.ts'
import { Collector } from './collector.ts'
import { Databases } from './databases.ts'
import { explainAll } from './explain.ts'
import { frameworkRoutes, watchFrameworks } from './framework-routes.ts'
import { leaveLastWords } from './last-words.ts'
import { Profiler } from './profiler.ts'
import { watchServers } from './servers.ts'
import { StatementSamples } from './statement-samples.ts'

interface Parts {
  readonly collector: Collector
  readonly databases: Databases
  readonly samples: StatementSamples
  readonly profiler: Profiler
}

const mark = Symbol.for('hasten.agent')
const root = globalThis as { [mark]?: boolean }
const path = process.env['HASTEN_AGENT']

if (path !== undefined && path !== '' && root[mark] === undefined) {
  root[mark] = true
  try {
    start(path)
  } catch (error) {
    hookFailed(error)
  }
}

function start(socketPath: string): void {
  const socket: AgentSocket = new AgentSocket(
    socketPath,
    (asked) => void reply(socket, asked, parts),
  )
  const tell = socket.tell.bind(socket)
  const parts: Parts = {
    collector: new Collector({ pools, resetPools, dropped: () => socket.dropped }),
    databases: new Databases(tell),
    samples: new StatementSamples(),
    profiler: new Profiler(),
  }
  tell({
    tell: 'hello',
    wire: wireVersion,
    pid: process.pid,
    ppid: process.ppid,
    thread: isMainThread ? 0 : threadId,
    node: process.versions.node,
    main: mainScript(),
    cwd: process.cwd(),
  })
  watchServers((message) => {
    tell(message)
    if (message.tell === 'listening') tell({ tell: 'routes', routes: frameworkRoutes() })
  })
  watchFrameworks()
  for (const name of observedModules) {
    onModule(name, (_exports, { name: known, version, path: folder }) => {
      tell({ tell: 'module', name: known, version, path: folder })
    })
  }
  agentSeam.connect = guard(parts.databases.seeConnect)
  agentSeam.statement = guard((statement, text, values, client) => {
    parts.collector.seeStatement(statement)
    parts.samples.note(statement.id, text, values, client)
  })
  leaveLastWords({
    socketPath,
    tell,
    totals: () => (parts.collector.hasCounted ? parts.collector.take(false) : undefined),
  })
}

/** Every question is answered: an answer without a value says that there is none. */
async function reply(socket: AgentSocket, asked: Asked, parts: Parts): Promise<void> {
  const { id } = asked
  try {
    socket.tell({ tell: 'reply', id, value: await answer(asked, parts) })
  } catch (error) {
    hookFailed(error)
    socket.tell({ tell: 'reply', id, error: String((error as Error)?.message) })
  }
}

async function answer(asked: Asked, parts: Parts): Promise<unknown> {
  const { collector, databases, samples, profiler } = parts
  switch (asked.ask) {
    case 'begin':
      collector.begin(asked.deepEvery, asked.reset)
      return true
    case 'take':
      return collector.take(asked.brief)
    case 'routes':
      return frameworkRoutes()
    case 'request':
      return collector.requests.find(asked.traceId, asked.waitMs)
    case 'profile-start':
      await profiler.start()
      return true
    case 'profile-stop':
      return profiler.stop()
    case 'explain':
      return explainAll(asked.ids, {
        sampleOf: (statement) => samples.get(statement),
        connectTo: databases.connectTo,
        strip: (text) => stripSql(text).text,
      })
  }
}

function mainScript(): string {
  const [, script = ''] = process.argv
  try {
    // `node server` stands for server.js.
    return createRequire(script).resolve(script)
  } catch {
    return script
  }
}
