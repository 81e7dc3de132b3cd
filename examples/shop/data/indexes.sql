CREATE INDEX orders_user ON orders (user_id, created_at DESC);
CREATE INDEX orders_created ON orders (created_at);
CREATE INDEX order_items_order ON order_items (order_id);
CREATE INDEX reviews_product ON reviews (product_id);
CREATE INDEX products_category ON products (category_id);
CREATE SEQUENCE orders_id OWNED BY orders.id START 500001;
CREATE SEQUENCE order_items_id OWNED BY order_items.id START 1000001;
