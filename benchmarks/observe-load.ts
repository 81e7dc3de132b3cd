/**
 * A fixed number of requests as fast as they are answered, from a process of its own.
 *
 *   observe-load.js   ◀ { port, requests }   ▶ { done: true }
 *
 * Sixteen connections, each with one request under way: so every request is one read and one write on
 * both sides, whatever the server does. With several under way (pipelining) the number of system calls
 * depends on how answers happen to fall together, and two servers that differ by half a microsecond
 * settle into patterns that differ by eight.
 *
 * All answers of these servers have the same length, so they are counted in bytes: the load must take
 * as little of the machine as it can.
 */
import { connect, type Socket } from 'node:net'

const CONNECTIONS = 16
const DEPTH = 1
const request = 'GET / HTTP/1.1\r\nhost: localhost\r\n\r\n'

process.on('message', (message) => {
  const { port, requests } = message as { port: number; requests: number }
  void load(port, requests).then(() => process.send?.({ done: true }))
})
process.on('disconnect', () => process.exit())
process.send?.({ port: 0 })

async function load(port: number, requests: number): Promise<void> {
  const length = await lengthOfAnswer(port)
  const each = Math.ceil(requests / CONNECTIONS)
  await Promise.all(Array.from({ length: CONNECTIONS }, () => ask(port, each, length)))
}

function ask(port: number, requests: number, length: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = open(port, reject)
    let sent = Math.min(DEPTH, requests)
    let received = 0
    let bytes = 0
    socket.write(request.repeat(sent))
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      const answered = Math.floor(bytes / length)
      const more = Math.min(answered - received, requests - sent)
      received = answered
      if (received >= requests) {
        socket.destroy()
        if (bytes === requests * length) resolve()
        else reject(new Error(`expected ${requests * length} bytes, got ${bytes}`))
      } else if (more > 0) {
        sent += more
        socket.write(request.repeat(more))
      }
    })
  })
}

function lengthOfAnswer(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = open(port, reject)
    let text = ''
    socket.write(request)
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      const head = text.indexOf('\r\n\r\n')
      if (head === -1) return
      const body = Number(/^content-length: (\d+)/im.exec(text)?.[1])
      if (!text.startsWith('HTTP/1.1 200') || text.length < head + 4 + body) return
      socket.destroy()
      resolve(head + 4 + body)
    })
  })
}

function open(port: number, reject: (error: Error) => void): Socket {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', reject)
  return socket
}
