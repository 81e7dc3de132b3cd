/**
 * Redis: each command of `ioredis` and `redis` (node-redis) is a span of kind `cache`.
 *
 *   library                    where                                  why there
 *   node-redis ≥ 5.12          channels node-redis:command, :batch    it publishes in the caller's context
 *   node-redis 4 to 5.11       the command queue's addCommand         the one door for all commands
 *   ioredis, every version     sendCommand of Pipeline, Cluster,      see below
 *                              Redis
 *
 * ioredis 5.11 has channels too. They are not used: a command that waits in an automatic pipeline is
 * published when the pipeline is sent, in the context of whichever caller came first, so a hundred
 * requests' reads would be booked to one of them; and each subscriber makes ioredis mark the caller's
 * promise as handled, so that a rejection which ended the process no longer does. Here the scope is
 * taken where the user calls, kept with the command, and the end is seen in the command's own resolve
 * and reject: no promise is made or touched.
 *
 *   request A ─ get ─▶ Pipeline.sendCommand: scope A kept ┐
 *   request B ─ get ─▶ Pipeline.sendCommand: scope B kept ┴─▶ Redis.sendCommand ×2: spans of A and of B
 *
 * The name is the command alone, never a key. `hit` says whether a reading command found something.
 */
import { channel } from 'node:diagnostics_channel'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Span } from '../timing/index.ts'
import { timing } from '../timing/index.ts'
import type { Scope } from './context.ts'
import { hookFailed } from './guard.ts'
import { hashesOfReply, hashesOfTokens } from './hashed.ts'
import { type ModuleInfo, onModule, once } from './modules.ts'

const patched = Symbol('hasten.patched')
const scopeOf = Symbol('hasten.scope')
const spanOf = Symbol('hasten.span')

// biome-ignore format: a list
const READS = new Set([
  'get', 'getex', 'getdel', 'getrange', 'mget', 'hget', 'hmget', 'hgetall', 'hgetex', 'json.get',
  'lindex', 'zscore', 'getbuffer',
])

export function observeRedis(): void {
  onModule('ioredis', (exports) => {
    observeIoredis(exports)
  })
  onModule('@redis/client', (_, info) => {
    observeNodeRedis(info)
  })
  observeNodeRedisChannels()
}

function open(
  scope: Scope | undefined,
  command: string,
  args: readonly unknown[],
): Span | undefined {
  const span = scope?.open('cache', command)
  if (span !== undefined && scope?.timeline.deep) span.inputs = hashesOfTokens(args)
  return span
}

function close(span: Span, reply: unknown): void {
  if (READS.has(span.name)) span.hit = isHit(reply)
  if (span.inputs !== undefined) span.outputs = hashesOfReply(reply)
  span.end()
}

function isHit(reply: unknown): boolean {
  if (reply === null || reply === undefined) return false
  if (Array.isArray(reply)) return reply.length > 0 && reply.every((each) => each !== null)
  if (typeof reply === 'object' && !ArrayBuffer.isView(reply)) return Object.keys(reply).length > 0
  return true
}

// ── ioredis ──────────────────────────────────────────────────────────────────────────────────────

interface IoredisCommand {
  readonly name: string
  readonly args: readonly unknown[]
  resolve(reply: unknown): unknown
  reject(error: unknown): unknown
  /** null: belongs to no request. */
  [scopeOf]?: Scope | null
  [spanOf]?: Span
}
type SendCommand = (this: unknown, command: IoredisCommand, ...rest: unknown[]) => unknown
interface HasSendCommand {
  readonly prototype: { sendCommand: SendCommand }
}

function observeIoredis(exports: {
  default?: HasSendCommand
  Redis?: HasSendCommand
  Cluster?: HasSendCommand
  Pipeline?: HasSendCommand
}): void {
  const redis = exports.Redis ?? exports.default
  for (const collector of [exports.Pipeline, exports.Cluster]) {
    if (collector === undefined || !once(collector.prototype, patched)) continue
    const { sendCommand } = collector.prototype
    collector.prototype.sendCommand = function observedSendCommand(command, ...rest) {
      keepScope(command)
      return sendCommand.call(this, command, ...rest)
    }
  }
  if (redis === undefined || !once(redis.prototype, patched)) return
  const { sendCommand } = redis.prototype
  redis.prototype.sendCommand = function observedSendCommand(command, ...rest) {
    try {
      keepScope(command)
      openCommand(command)
    } catch (error) {
      hookFailed(error)
    }
    return sendCommand.call(this, command, ...rest)
  }
}

function keepScope(command: IoredisCommand): void {
  if (command[scopeOf] === undefined) command[scopeOf] = timing.scope() ?? null
}

/** Once for each command: it comes again when a connection was lost or a slot has moved. */
function openCommand(command: IoredisCommand): void {
  const scope = command[scopeOf]
  if (scope === null || scope === undefined || command[spanOf] !== undefined) return
  const span = open(scope, command.name, command.args)
  if (span === undefined) return
  command[spanOf] = span
  const resolve = command.resolve.bind(command)
  const reject = command.reject.bind(command)
  command.resolve = (reply) => {
    try {
      close(span, reply)
    } catch (error) {
      hookFailed(error)
    }
    return resolve(reply)
  }
  command.reject = (reason) => {
    span.end(reason ?? new Error('rejected'))
    return reject(reason)
  }
}

// ── node-redis ───────────────────────────────────────────────────────────────────────────────────

interface CommandContext {
  readonly command?: string
  readonly args?: readonly unknown[]
  readonly batchMode?: 'MULTI' | 'PIPELINE'
  readonly result?: unknown
  readonly error?: unknown
}

function observeNodeRedisChannels(): void {
  // The context object is the command's own, from start to asyncEnd.
  const spans = new WeakMap<CommandContext, Span>()
  const on = (name: string, listen: (context: CommandContext) => void) => {
    channel(`tracing:node-redis:${name}`).subscribe((context) => {
      try {
        listen(context as CommandContext)
      } catch (error) {
        hookFailed(error)
      }
    })
  }
  on('command:start', (context) => {
    const { command, args } = context
    const scope = timing.scope()
    if (scope === undefined || command === undefined) return
    const span = open(scope, command.toLowerCase(), args?.slice(1) ?? [])
    if (span !== undefined) spans.set(context, span)
  })
  // The commands of a pipeline are published one by one, those of a transaction are not.
  on('batch:start', (context) => {
    const scope = timing.scope()
    if (scope === undefined || context.batchMode !== 'MULTI') return
    const span = open(scope, 'multi', [])
    if (span !== undefined) spans.set(context, span)
  })
  for (const name of ['command:asyncEnd', 'batch:asyncEnd']) {
    on(name, (context) => {
      const span = spans.get(context)
      if (span === undefined) return
      if ('error' in context) span.end(context.error ?? new Error('rejected'))
      else close(span, context.result)
    })
  }
}

type AddCommand = (this: unknown, args: readonly unknown[], ...rest: unknown[]) => Promise<unknown>

function observeNodeRedis(info: ModuleInfo): void {
  const [major = 0, minor = 0] = info.version.split('.').map(Number)
  if (major > 5 || (major === 5 && minor >= 12)) return
  const require = createRequire(join(info.path, 'package.json'))
  const exports = require('./dist/lib/client/commands-queue.js') as {
    default: { prototype: { addCommand: AddCommand } }
  }
  const { prototype } = exports.default
  if (!once(prototype, patched)) return
  const { addCommand } = prototype
  prototype.addCommand = function observedAddCommand(args, ...rest) {
    let span: Span | undefined
    try {
      const scope = timing.scope()
      if (scope !== undefined) span = open(scope, String(args[0]).toLowerCase(), args.slice(1))
    } catch (error) {
      hookFailed(error)
    }
    const promise = addCommand.call(this, args, ...rest)
    if (span === undefined) return promise
    const opened = span
    // The caller gets the promise that follows, so that a rejection nobody handles stays one.
    return promise.then(
      (reply) => {
        try {
          close(opened, reply)
        } catch (error) {
          hookFailed(error)
        }
        return reply
      },
      (error: unknown) => {
        opened.end(error ?? new Error('rejected'))
        throw error
      },
    )
  }
}
