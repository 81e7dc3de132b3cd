/**
 * The three services that the shop asks over HTTP, each with the time it takes in production:
 * profiles 50 ms, recommendations 80 ms, loyalty 120 ms; and shipping rates from a
 * carrier, 250 ms.
 */
import { createServer } from 'node:http'

const services = {
  profiles: { ms: 50, answer: (id) => ({ id, theme: 'dark', newsletter: id % 2 === 0 }) },
  recommendations: {
    ms: 80,
    answer: (id) => ({ products: [1, 2, 3].map((n) => 1 + ((id * n) % 2000)) }),
  },
  loyalty: { ms: 120, answer: (id) => ({ points: (id * 37) % 5000, tier: id % 3 }) },
  shipping: { ms: 250, answer: (id) => ({ cents: 490 + (id % 5) * 100, days: 1 + (id % 4) }) },
}

const server = createServer((request, response) => {
  const [, name, id] = /^\/(\w+)\/(\d+)$/.exec(request.url) ?? []
  const service = services[name]
  if (service === undefined) {
    response.writeHead(404).end()
    return
  }
  setTimeout(() => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(service.answer(Number(id))))
  }, service.ms)
})

server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  process.send?.({ port: server.address().port })
  console.log(`services on http://127.0.0.1:${server.address().port}`)
})
// The parent is gone: nobody is left to ask.
process.on('disconnect', () => process.exit())
