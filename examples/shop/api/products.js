export function products(app, { pool }) {
  app.get('/products', async () => {
    const { rows } = await pool.query(
      'SELECT id, name, price_cents FROM products ORDER BY id LIMIT 24',
    )
    return rows
  })

  app.get('/products/:id', async (request) => {
    const { rows } = await pool.query(
      'SELECT id, name, description, price_cents, stock FROM products WHERE id = $1',
      [request.params.id],
    )
    return rows[0]
  })

  // Computed anew for everybody who opens the home page.
  app.get('/bestsellers', async () => {
    const { rows } = await pool.query(
      `SELECT p.id, p.name, sum(i.quantity)::int AS sold
         FROM order_items i JOIN products p ON p.id = i.product_id
        GROUP BY p.id, p.name ORDER BY sold DESC, p.id LIMIT 10`,
    )
    return rows
  })
}
