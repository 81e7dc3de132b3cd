/**
 * A fixed number of requests as fast as they are answered, from a process of its own.
 *
 *   observe-load.js   ◀ { port, requests }   ▶ { done: true }
 *
 * Sixteen connections, each with one request under way: the next is sent when the answer is there. So
 * each request is a message of its own on both sides, and up to sixteen are in the server at once, as
 * many as wait for the ten connections of its pool and more. It is a closed loop, which says nothing of
 * latency: only the server's CPU is measured.
 *
 * The first answer is read, and tells how long one is. The others are counted in bytes alone, and not
 * looked at: a load that parses takes as much of the machine as the server. A longer answer is an
 * error at once; after a shorter one nothing is asked any more until the server closes the connection,
 * and that is one too.
 */
import { connect, type Socket } from 'node:net'

const CONNECTIONS = 16
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
    let answered = 0
    let bytes = 0
    socket.write(request)
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes < length) return
      if (bytes > length) {
        socket.destroy()
        reject(new Error(`an answer of ${bytes} bytes where the first had ${length}`))
        return
      }
      bytes = 0
      answered += 1
      if (answered < requests) socket.write(request)
      else {
        socket.destroy()
        resolve()
      }
    })
    socket.on('close', () => reject(new Error(`closed after ${answered} of ${requests} answers`)))
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
