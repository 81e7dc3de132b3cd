/**
 * Agent: what the doctor puts into the process that it observes.
 *
 * `hasten doctor` starts a command with `NODE_OPTIONS=--import <this file>` and `HASTEN_AGENT` naming
 * its socket. The hooks are imported first, then the agent, all before the application's first line.
 * Every Node process below the command comes through here: the server and its workers, but also npm,
 * a transpiler, a watcher. One that opens no server and loads no library of interest tells its
 * `hello`, and nothing else happens in it.
 *
 * Without `HASTEN_AGENT` this file does nothing.
 */
import '../index.ts'
import { isMainThread, threadId } from 'node:worker_threads'
import { createRequire } from 'node:module'
import { type Asked, wireVersion } from '../../core/agent-wire.ts'
import { hookFailed } from '../guard.ts'
import { observedModules, onModule } from '../modules.ts'
import { AgentSocket } from './agent-socket.ts'
import { watchServers } from './servers.ts'

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
  const socket = new AgentSocket(socketPath, (asked) => void answer(socket, asked))
  socket.tell({
    tell: 'hello',
    wire: wireVersion,
    pid: process.pid,
    ppid: process.ppid,
    thread: isMainThread ? 0 : threadId,
    node: process.versions.node,
    main: mainScript(),
    cwd: process.cwd(),
  })
  watchServers((message) => socket.tell(message))
  for (const name of observedModules) {
    onModule(name, (_exports, { name, version, path }) => {
      socket.tell({ tell: 'module', name, version, path })
    })
  }
}

async function answer(socket: AgentSocket, { id }: Asked): Promise<void> {
  socket.tell({ tell: 'reply', id })
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
