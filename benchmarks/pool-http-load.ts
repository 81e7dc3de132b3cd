/**
 * Requests as fast as they are answered, from a process of its own, each answer checked.
 *
 *   pool-http-load.js   ◀ HttpTask   ▶ HttpSample
 *
 * A closed loop: so many connections, each with one request under way. Written on bare sockets, since a
 * load that is heavier than the server would measure itself.
 */
import { connect } from 'node:net'

export interface HttpTask {
  readonly port: number
  readonly connections: number
  readonly ms: number
}

export interface HttpSample {
  readonly requests: number
  readonly perSecond: number
  readonly meanMs: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  /** Answers that are not the row of the key. */
  readonly wrong: number
}

const KEYS = 1000

process.on('message', (task: HttpTask) => {
  void load(task).then((sample) => process.send?.(sample))
})
process.on('disconnect', () => process.exit())
process.send?.({})

async function load({ port, connections, ms }: HttpTask): Promise<HttpSample> {
  const latencies: number[] = []
  const startMs = performance.now()
  const wrong = await Promise.all(
    Array.from({ length: connections }, (_, n) => visitor(port, n, startMs + ms, latencies)),
  )
  const elapsedMs = performance.now() - startMs
  const sorted = Float64Array.from(latencies).sort()
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? Number.NaN
  return {
    requests: sorted.length,
    perSecond: (sorted.length / elapsedMs) * 1000,
    meanMs: sorted.reduce((sum, each) => sum + each, 0) / Math.max(1, sorted.length),
    p50Ms: at(0.5),
    p95Ms: at(0.95),
    p99Ms: at(0.99),
    wrong: wrong.reduce((sum, each) => sum + each, 0),
  }
}

/** How many of its answers were wrong. */
function visitor(port: number, seed: number, endMs: number, latencies: number[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    let n = seed
    let key = 0
    let sentMs = 0
    let text = ''
    let wrong = 0

    function send(): void {
      key = 1 + ((n++ * 7919) % KEYS)
      text = ''
      sentMs = performance.now()
      socket.write(`GET /product/${key} HTTP/1.1\r\nhost: localhost\r\n\r\n`)
    }

    socket.on('connect', send)
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the server closed the connection')))
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      const head = text.indexOf('\r\n\r\n')
      if (head === -1) return
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1])
      if (text.length < head + 4 + length) return
      const nowMs = performance.now()
      latencies.push(nowMs - sentMs)
      const isRight =
        text.startsWith('HTTP/1.1 200') &&
        text.endsWith(`{"id":${key},"name":"product ${key}","price":${key * 10}}`)
      if (!isRight) wrong++
      if (nowMs < endMs) {
        send()
        return
      }
      socket.removeAllListeners('close')
      socket.destroy()
      resolve(wrong)
    })
  })
}
