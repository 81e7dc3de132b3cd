export function reports(app, { pool }) {
  // Which products are bought by the same people: pairs counted in JavaScript, in the handler.
  app.get('/reports/affinity', async () => {
    const { rows } = await pool.query(
      'SELECT order_id, product_id FROM order_items WHERE order_id <= 1500 ORDER BY order_id',
    )
    return affinity(rows)
  })

  // The accountant's download: every order of a month, collected, then sent.
  app.get('/exports/orders', async () => {
    const { rows } = await pool.query(
      `SELECT id, user_id, status, tracking_code, total_cents, created_at FROM orders
        WHERE created_at >= '2024-03-01Z' AND created_at < '2024-03-11Z' ORDER BY id`,
    )
    return rows
  })
}

function affinity(rows) {
  const baskets = new Map()
  for (const { order_id, product_id } of rows) {
    baskets.set(order_id, [...(baskets.get(order_id) ?? []), product_id])
  }
  const pairs = new Map()
  for (const left of baskets.values()) {
    for (const right of baskets.values()) {
      const shared = left.filter((product) => right.includes(product))
      if (left !== right && shared.length > 0) pairs.set(shared[0], (pairs.get(shared[0]) ?? 0) + 1)
    }
  }
  return [...pairs].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, 20)
}
