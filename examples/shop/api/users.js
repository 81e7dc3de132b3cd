export function users(app, { pool, withConnection }) {
  app.get('/users', async () => {
    const { rows } = await pool.query('SELECT id, name, country FROM users ORDER BY id LIMIT 20')
    return rows
  })

  app.get('/users/:id', async (request, reply) => {
    const user = await withConnection((client) => findUser(client, request.params.id))
    return user ?? reply.code(404).send({ error: 'no such user' })
  })

  // The page of a user's last orders: for each order its items, for each order the product on top
  // and how that one was reviewed. 1 + 1 + 3 × 15 = 47 statements.
  app.get('/users/:id/orders', async (request) =>
    withConnection(async (client) => {
      const user = await findUser(client, request.params.id)
      const { rows: orders } = await client.query(
        'SELECT id, status, total_cents, created_at FROM orders WHERE user_id = $1 ORDER BY created_at DESC LIMIT 15',
        [user.id],
      )
      for (const order of orders) {
        const items = await client.query(
          'SELECT product_id, quantity, price_cents FROM order_items WHERE order_id = $1 ORDER BY id',
          [order.id],
        )
        order.items = items.rows
        const product = await client.query('SELECT id, name FROM products WHERE id = $1', [
          order.items[0].product_id,
        ])
        order.top = product.rows[0]
        const stars = await client.query(
          'SELECT avg(stars)::float AS stars FROM reviews WHERE product_id = $1',
          [order.top.id],
        )
        order.top.stars = stars.rows[0].stars
      }
      return { user, orders }
    }),
  )

  // Three layers, each of which looks the user up for itself.
  app.get('/account/:id', async (request) => {
    const { id } = request.params
    await assertActive(pool, id)
    const greeting = await greetingOf(pool, id)
    const user = await findUser(pool, id)
    return { ...user, greeting }
  })
}

async function findUser(client, id) {
  const { rows } = await client.query('SELECT id, email, name, country FROM users WHERE id = $1', [
    id,
  ])
  return rows[0]
}

async function assertActive(pool, id) {
  if ((await findUser(pool, id)) === undefined) throw new Error('no such user')
}

async function greetingOf(pool, id) {
  const user = await findUser(pool, id)
  return `${user.country === 'FR' ? 'Bonjour' : 'Hello'} ${user.name}`
}
