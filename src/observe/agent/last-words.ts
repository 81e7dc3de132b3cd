/**
 * Last words: what a process leaves when it exits, by itself or by a crash.
 *
 * The `exit` event is synchronous: nothing that a socket would send later is sent. So the totals go
 * into a file beside the socket; the doctor reads it when the socket closes. A process that is killed
 * leaves none.
 *
 * `uncaughtExceptionMonitor` sees an error that nobody caught and changes nothing about its course.
 */
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isMainThread, threadId } from 'node:worker_threads'
import {
  type CrashFacts,
  type FinalFacts,
  finalName,
  type ProcessTotals,
  type Tell,
} from '../../core/agent-wire.ts'
import { hookFailed } from '../guard.ts'

const MAX_STACK = 8_192

export interface LastWordsOptions {
  readonly socketPath: string
  readonly tell: (message: Tell) => void
  /** `undefined` where nothing was counted. */
  readonly totals: () => ProcessTotals | undefined
}

export function leaveLastWords({ socketPath, tell, totals }: LastWordsOptions): void {
  const file = join(dirname(socketPath), finalName(process.pid, isMainThread ? 0 : threadId))
  let crash: CrashFacts | undefined
  process.on('uncaughtExceptionMonitor', (error: unknown) => {
    try {
      crash = crashFacts(error)
      tell({ tell: 'crash', ...crash })
    } catch (failure) {
      hookFailed(failure)
    }
  })
  process.on('exit', (code) => {
    try {
      const counted = totals()
      if (counted === undefined && crash === undefined) return
      const facts: FinalFacts = {
        code,
        ...(crash === undefined ? {} : { crash }),
        ...(counted === undefined ? {} : { totals: counted }),
      }
      // The folder is gone when the doctor is: then there is nobody to tell.
      writeFileSync(file, JSON.stringify(facts), { mode: 0o600 })
    } catch (failure) {
      hookFailed(failure)
    }
  })
}

function crashFacts(error: unknown): CrashFacts {
  if (!(error instanceof Error)) {
    return { name: typeof error, message: 'a value that is no Error was thrown', stack: '' }
  }
  const { code } = error as NodeJS.ErrnoException
  return {
    name: error.name,
    message: error.message.split('\n', 1)[0] ?? '',
    stack: framesOf(error.stack ?? ''),
    ...(typeof code === 'string' ? { code } : {}),
  }
}

/** Without the head, which repeats the whole message. */
function framesOf(stack: string): string {
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line))
  return frames.join('\n').slice(0, MAX_STACK)
}
