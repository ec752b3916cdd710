-- The demo: orders, and what the shop wants to know of them at any moment.
CREATE TABLE customers (id bigint PRIMARY KEY, region text NOT NULL);
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customers,
    amount numeric(12,2) NOT NULL
);
CREATE INDEX ON orders (customer_id);
INSERT INTO customers SELECT i, (ARRAY['north', 'south', 'east', 'west'])[1 + i % 4] FROM generate_series(1, 1000) i;
INSERT INTO orders (customer_id, amount) SELECT 1 + i % 1000, (i * 7919 % 10000) / 100.0 FROM generate_series(1, 100000) i;

SELECT pgtrickle.create_stream_table('revenue_by_region', $$
    SELECT c.region, count(*) AS orders, sum(o.amount) AS revenue
    FROM orders o JOIN customers c ON c.id = o.customer_id
    GROUP BY c.region
$$);
SELECT pgtrickle.create_stream_table('large_orders', 'SELECT id, customer_id, amount FROM orders WHERE amount > 99');
