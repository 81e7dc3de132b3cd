import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RequestFacts, SpanFacts } from '../../core/facts.ts'
import { reasonOfFacts } from './verdict.ts'

const careful = { allowWrites: false, allowOutbound: false, hasHeaders: false }

test('a job or a message handed to Redis is a write, filling a cache is none', () => {
  assert.match(reasonOfFacts(did(redis('lpush')), () => undefined, careful) ?? '', /LPUSH/)
  assert.match(reasonOfFacts(did(redis('publish')), () => undefined, careful) ?? '', /PUBLISH/)
  assert.equal(
    reasonOfFacts(did(redis('get'), redis('setex')), () => undefined, careful),
    undefined,
  )
})

test('--allow-writes drives it nevertheless', () => {
  const options = { ...careful, allowWrites: true }

  assert.equal(
    reasonOfFacts(did(redis('xadd')), () => undefined, options),
    undefined,
  )
})

function redis(name: string): SpanFacts {
  return { kind: 'cache', name, startMs: 0, durationMs: 1 }
}

function did(...spans: SpanFacts[]): RequestFacts {
  return {
    ...{ id: 1, pid: 1, method: 'GET', route: '/', status: 200, aborted: false, startedAt: 0 },
    ...{ durationMs: 10, concurrency: 1, deep: true, droppedSpans: 0 },
    spans,
  }
}
