/** The faults that tests of connections stand on, each against a server that echoes. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { after, beforeEach, test } from 'node:test'
import { FaultProxy } from '#services/fault-proxy.js'

const served = new Set<Socket>()
const server: Server = createServer((socket) => {
  served.add(socket)
  socket.on('error', () => {})
  socket.once('close', () => served.delete(socket))
  socket.pipe(socket)
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const target = { host: '127.0.0.1', port: (server.address() as { port: number }).port }
const proxy = await FaultProxy.start(target)

beforeEach(() => proxy.heal())
after(async () => {
  await proxy.stop()
  for (const socket of served) socket.destroy()
  server.close()
})

test('bytes and ends pass through unchanged while no fault is on', async () => {
  const sent = Buffer.alloc(3_000_000, 'abcdefgh')
  const client = await connect()

  client.end(sent)
  const got = await client.toArray()

  assert.equal(Buffer.compare(Buffer.concat(got as Buffer[]), sent), 0)
})

test('a delay keeps the order, and holds each way', async () => {
  const client = await connect()
  proxy.delay(30)
  const started = performance.now()

  client.write('a')
  client.write('b')
  const got = await read(client, 2)

  assert.equal(got, 'ab')
  assert.ok(performance.now() - started >= 59, 'two ways of 30 ms')
  client.destroy()
})

test('what is stalled arrives after resume, and no byte is lost', async () => {
  const client = await connect()
  proxy.stall()
  client.write('held')
  // A connection of its own, which does not pass the proxy, shows that the server is there.
  const direct = createConnection(target)
  direct.write('direct')
  assert.equal(await read(direct, 6), 'direct')
  assert.equal(client.readableLength, 0)

  proxy.resume()

  assert.equal(await read(client, 4), 'held')
  client.destroy()
  direct.destroy()
})

test('half open: the server sees the end, the client sees nothing', async () => {
  const client = await connect()
  client.write('x')
  await read(client, 1)
  let isToldAnything = false
  for (const event of ['end', 'close', 'error']) client.on(event, () => (isToldAnything = true))
  const gone = Promise.all([...served].map((socket) => once(socket, 'close')))

  proxy.halfOpen()
  await gone
  client.write('into nothing')
  // A later connection is served, so whatever the loop had to tell has been told.
  const later = await connect()
  later.write('y')
  assert.equal(await read(later, 1), 'y')

  assert.equal(isToldAnything, false)
  client.destroy()
  later.destroy()
})

test('a reset reaches both ends as ECONNRESET', async () => {
  const client = await connect()
  client.write('x')
  await read(client, 1)

  const failed = once(client, 'error')
  proxy.reset()

  assert.equal(((await failed)[0] as NodeJS.ErrnoException).code, 'ECONNRESET')
})

test('whoever comes is refused, whoever is there goes on, and the port stays', async () => {
  const client = await connect()
  const { port } = proxy
  proxy.refuse()

  await assert.rejects(connect(), { code: 'ECONNREFUSED' })
  client.write('still here')
  assert.equal(await read(client, 10), 'still here')

  await proxy.accept()
  assert.equal(proxy.port, port)
  const later = await connect()
  client.destroy()
  later.destroy()
})

test('a slow accept serves late, and what was sent meanwhile is there', async () => {
  proxy.slowAccept(40)
  const started = performance.now()
  const client = await connect()

  client.write('early')

  assert.equal(await read(client, 5), 'early')
  assert.ok(performance.now() - started >= 39)
  client.destroy()
})

test('a cut comes after exactly so many bytes of the server', async () => {
  const client = await connect()
  let got = ''
  client.on('data', (chunk: Buffer) => (got += chunk.toString()))
  // With unread bytes before it some kernels tell a reset as an end.
  client.on('error', () => {})
  const closed = new Promise((resolve) => client.once('close', resolve))
  proxy.cutAfter(7)

  client.write('0123456789')
  await closed

  assert.equal(got, '0123456')
})

test('it counts what is open and what came', async () => {
  const before = proxy.accepted
  const clients = await Promise.all([connect(), connect(), connect()])
  for (const client of clients) {
    client.write('x')
    await read(client, 1)
  }
  assert.equal(proxy.accepted - before, 3)
  const open = proxy.connections

  const [first] = clients
  first?.end()
  await once(first as Socket, 'close')

  assert.equal(proxy.connections, open - 1)
  for (const client of clients) client.destroy()
})

test('an address passes through with everything but the place', () => {
  const url = proxy.url('postgres://me:pass@10.0.0.1:5432/shop?sslmode=disable')

  assert.equal(url, `postgres://me:pass@127.0.0.1:${proxy.port}/shop?sslmode=disable`)
})

async function connect(): Promise<Socket> {
  const socket = createConnection(proxy.port, '127.0.0.1')
  socket.setNoDelay()
  await once(socket, 'connect')
  return socket
}

async function read(socket: Socket, bytes: number): Promise<string> {
  let got = ''
  while (got.length < bytes) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    got += chunk.toString()
  }
  return got
}
