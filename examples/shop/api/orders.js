const services = process.env.SERVICES_URL

export function orders(app, { pool }) {
  // The customer reads a tracking code from a parcel. No index knows it.
  app.get('/orders/track/:code', async (request, reply) => {
    const { rows } = await pool.query(
      'SELECT id, status, created_at FROM orders WHERE tracking_code = $1',
      [request.params.code],
    )
    return rows[0] ?? reply.code(404).send({ error: 'no such parcel' })
  })

  // Joins from a time when the page showed more.
  app.get('/orders/:id', async (request) => {
    const { rows } = await pool.query(
      `SELECT o.id, o.status, o.total_cents, i.product_id, i.quantity
         FROM orders o
         JOIN order_items i ON i.order_id = o.id
         JOIN products p ON p.id = i.product_id
         JOIN categories c ON c.id = p.category_id
         JOIN warehouses w ON w.id = o.warehouse_id
         JOIN users u ON u.id = o.user_id
        WHERE o.id = $1 ORDER BY i.id`,
      [request.params.id],
    )
    return rows
  })

  // Asks the carrier while it keeps a connection that everybody waits for.
  app.get('/orders/:id/shipping', async (request) => {
    const client = await pool.connect()
    try {
      const { rows } = await client.query('SELECT id, total_cents FROM orders WHERE id = $1', [
        request.params.id,
      ])
      const rate = await fetch(`${services}/shipping/${rows[0].id}`).then((answer) => answer.json())
      return { order: rows[0], shipping: rate }
    } finally {
      client.release()
    }
  })

  app.post('/orders', async (request, reply) => {
    const { userId, items } = request.body
    const client = await pool.connect()
    try {
      await client.query('BEGIN')
      const { rows } = await client.query(
        `INSERT INTO orders (id, user_id, warehouse_id, status, tracking_code, total_cents, created_at)
         VALUES (nextval('orders_id'), $1, 1, 'open', 'NEW', $2, now()) RETURNING id`,
        [userId, items.reduce((sum, item) => sum + item.quantity * item.priceCents, 0)],
      )
      for (const item of items) {
        await client.query(
          `INSERT INTO order_items (id, order_id, product_id, quantity, price_cents)
           VALUES (nextval('order_items_id'), $1, $2, $3, $4)`,
          [rows[0].id, item.productId, item.quantity, item.priceCents],
        )
      }
      await client.query('COMMIT')
      return reply.code(201).send({ id: rows[0].id })
    } catch (error) {
      await client.query('ROLLBACK')
      throw error
    } finally {
      client.release()
    }
  })
}
