import assert from 'node:assert/strict'
import type { LookupAddress } from 'node:dns'
import { test } from 'node:test'
import { DnsCache } from './dns-cache.ts'

const one: LookupAddress[] = [{ address: '10.0.0.1', family: 4 }]
const two: LookupAddress[] = [{ address: '10.0.0.2', family: 4 }]
const both: LookupAddress[] = [
  { address: '10.0.0.1', family: 4 },
  { address: '::1', family: 6 },
]

test('asks once for all who wait, and not again while it may be believed', async () => {
  const { cache, asked, answer } = cacheOf()

  const first = Promise.all([addresses(cache, 'a'), addresses(cache, 'a')])
  answer(null, one)
  await first
  await addresses(cache, 'a')

  assert.equal(asked.length, 1)
  assert.deepEqual(cache.stats(), { names: 1, hits: 1, lookups: 1, failures: 0 })
})

test('old addresses serve while the name is asked for again', async () => {
  const { cache, asked, answer, advance, moved } = cacheOf()
  const first = addresses(cache, 'a')
  answer(null, one)
  await first
  advance(1_000)

  assert.deepEqual(await addresses(cache, 'a'), one)
  assert.equal(asked.length, 2)
  answer(null, two)

  assert.deepEqual(await addresses(cache, 'a'), two)
  assert.deepEqual(moved, ['a'])
})

test('a name that gains an address has not moved', async () => {
  const { cache, answer, advance, moved } = cacheOf()
  const first = addresses(cache, 'a')
  answer(null, one)
  await first
  advance(1_000)
  cache.touch('a')
  answer(null, both)

  assert.deepEqual(moved, [])
})

test('a name server that fails takes nothing away, and an error is not kept', async () => {
  const { cache, answer, advance } = cacheOf()
  const failing = addresses(cache, 'a')
  answer(Object.assign(new Error('busy'), { code: 'EAI_AGAIN' }), [])
  await assert.rejects(failing, { code: 'EAI_AGAIN' })
  const working = addresses(cache, 'a')
  answer(null, one)
  await working
  advance(1_000)
  cache.touch('a')
  answer(new Error('busy'), [])

  assert.deepEqual(await addresses(cache, 'a'), one)
})

test('addresses of more than an hour ago are not served, whatever the name server says', async () => {
  const { cache, answer, advance } = cacheOf()
  const working = addresses(cache, 'a')
  answer(null, one)
  await working
  advance(3_600_001)
  const failing = addresses(cache, 'a')
  answer(Object.assign(new Error('busy'), { code: 'EAI_AGAIN' }), [])

  await assert.rejects(failing, { code: 'EAI_AGAIN' })
})

test('one family, one address, or all, as Node asks', async () => {
  const { cache, answer } = cacheOf()
  const first = addresses(cache, 'a')
  answer(null, both)
  await first

  assert.deepEqual(await addresses(cache, 'a', { all: true, family: 6 }), [both[1]])
  assert.deepEqual(await addresses(cache, 'a', { family: 4 }), ['10.0.0.1', 4])
})

test('the name that was asked for least recently is forgotten', async () => {
  const { cache, answer, asked } = cacheOf()
  for (const name of ['a', 'b', 'a', 'c', 'a', 'b']) {
    const answered = addresses(cache, name)
    answer(null, one)
    await answered
  }

  assert.deepEqual(asked, ['a', 'b', 'c', 'b'])
  assert.equal(cache.stats().names, 2)
})

function cacheOf() {
  let now = 0
  const asked: string[] = []
  const moved: string[] = []
  let pending: ((error: Error | null, all: LookupAddress[]) => void) | undefined
  const cache = new DnsCache({
    ttlMs: 1_000,
    maxNames: 2,
    clock: { now: () => now },
    onMoved: (name) => moved.push(name),
    lookup: (name, _options, callback) => {
      asked.push(name)
      pending = callback
    },
  })
  return {
    cache,
    asked,
    moved,
    advance(ms: number) {
      now += ms
    },
    answer(error: Error | null, all: LookupAddress[]) {
      pending?.(error, all)
      pending = undefined
    },
  }
}

function addresses(
  cache: DnsCache,
  name: string,
  options: { all?: boolean; family?: number } = { all: true },
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    cache.lookup(name, options, (error, address, family) => {
      if (error) reject(error)
      else resolve(options.all ? address : [address, family])
    })
  })
}
