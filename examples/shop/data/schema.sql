-- The shop: 50,000 users, 2,000 products, 500,000 orders, 1,000,000 order items, 100,000 reviews.
-- Keys and the indexes that everybody remembers are here. What is missing is missing on purpose.
CREATE TABLE categories (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE warehouses (id int PRIMARY KEY, city text NOT NULL);
CREATE TABLE users (
  id int PRIMARY KEY,
  email text NOT NULL UNIQUE,
  name text NOT NULL,
  country text NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE TABLE products (
  id int PRIMARY KEY,
  category_id int NOT NULL REFERENCES categories,
  warehouse_id int NOT NULL REFERENCES warehouses,
  name text NOT NULL,
  description text NOT NULL,
  price_cents int NOT NULL,
  stock int NOT NULL
);
CREATE TABLE orders (
  id int PRIMARY KEY,
  user_id int NOT NULL REFERENCES users,
  warehouse_id int NOT NULL REFERENCES warehouses,
  status text NOT NULL,
  tracking_code text NOT NULL,
  total_cents int NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE TABLE order_items (
  id int PRIMARY KEY,
  order_id int NOT NULL REFERENCES orders,
  product_id int NOT NULL REFERENCES products,
  quantity int NOT NULL,
  price_cents int NOT NULL
);
CREATE TABLE reviews (
  id int PRIMARY KEY,
  product_id int NOT NULL REFERENCES products,
  user_id int NOT NULL REFERENCES users,
  stars int NOT NULL,
  body text NOT NULL,
  created_at timestamptz NOT NULL
);
