//! What happens in the shop, and under which settings.

/// Settings of those who write and refresh, in turn.
pub const SETTINGS: [&str; 4] = [
    "SET TimeZone = 'America/New_York'; SET DateStyle = 'SQL, DMY'; SET IntervalStyle = 'sql_standard'",
    "SET TimeZone = 'Asia/Kolkata'; SET DateStyle = 'German'; SET extra_float_digits = 0; SET bytea_output = 'escape'",
    "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET default_text_search_config = 'pg_catalog.german'",
    "SET TimeZone = 'Pacific/Auckland'; SET DateStyle = 'Postgres, MDY'; SET IntervalStyle = 'iso_8601'",
];

/// Changes, a transaction each.
pub const ROUNDS: [&str; 9] = [
    // A day's business.
    "INSERT INTO customers VALUES (901, 'new one', 'Shared1@Example.com', 'AT', '2025-06-01 23:30+00', 3),
                                  (902, 'new two', 'two@example.com', 'JP', '2025-06-01 23:30+00', 901);
     INSERT INTO orders VALUES (901, 901, '2025-06-30 22:30+00', 'open', 'EUR', 120.00, NULL),
                               (902, 902, '2025-12-31 23:30+00', 'paid', 'USD', 80.50, NULL),
                               (903, 4, now() - interval '2 days', 'delivered', 'JPY', 80.50, now());
     INSERT INTO order_lines VALUES (901, 1, 56, 3, 40.00), (902, 1, 56, 1, 40.50), (902, 2, 57, 1, 40.00), (903, 1, 3, 9, 8.00);
     INSERT INTO payments VALUES (902, 902, '2026-01-01 00:10+00', 'card', 80.50);
     INSERT INTO stock_moves VALUES (901, 56, 'north', '2025-06-30 22:31+00', -3), (902, 56, 'south', '2025-12-31 23:31+00', -1);
     INSERT INTO events VALUES (901, 901, '2025-06-30 22:00+00', 'visit', '{\"page\": \"/p/1\"}'), (902, 901, '2025-06-30 22:29+00', 'cart', NULL),
                               (903, 901, '2025-06-30 23:00+00', 'purchase', '{}');
     INSERT INTO subscriptions VALUES (901, 901, '[2025-06-30,)', 12.50)",
    // Around midnight, and where clocks change.
    "UPDATE orders SET placed_at = placed_at + interval '3 hours' WHERE id % 7 = 1;
     UPDATE orders SET placed_at = '2025-10-26 00:30+00' WHERE id % 31 = 2;
     UPDATE orders SET placed_at = '2025-10-26 01:30+00' WHERE id % 31 = 3;
     UPDATE orders SET placed_at = '2025-03-30 01:00+00', status = 'delivered', delivered_at = '2025-03-31 01:00+00' WHERE id % 31 = 4;
     UPDATE events SET at = at + interval '31 minutes' WHERE id % 11 = 5",
    // What is known of customers and products changes; the tree is moved.
    "UPDATE customers SET country = 'DE', referred_by = id - 7 WHERE id % 6 = 2 AND id > 8;
     UPDATE customers SET email = upper(email) WHERE id % 3 = 0;
     UPDATE categories SET parent_id = 2, name = name || ' moved' WHERE id IN (3, 13);
     UPDATE products SET category_id = category_id % 15 + 1, tags = array_append(tags, 'new') WHERE id % 5 = 1;
     UPDATE products SET attributes = attributes || '{\"colour\": \"grey\", \"size\": {\"w\": 7}}', description = 'Sold out' WHERE id % 8 = 3",
    // Deletions.
    "DELETE FROM order_lines WHERE (order_id + line) % 9 = 1;
     DELETE FROM orders WHERE id % 5 = 3;
     DELETE FROM events WHERE id % 4 = 1;
     DELETE FROM stock_moves WHERE id % 6 = 1;
     DELETE FROM subscriptions WHERE id % 5 = 2",
    // Rates, prices and periods.
    "UPDATE rates SET rate = rate * 1.1 WHERE currency = 'USD' AND lower(valid) < '2025-07-01';
     DELETE FROM rates WHERE currency = 'JPY' AND valid @> date '2025-08-15';
     UPDATE prices SET since = since - interval '40 days', price = price + 1 WHERE product_id % 4 = 1;
     DELETE FROM prices WHERE product_id % 9 = 2;
     UPDATE subscriptions SET period = daterange(lower(period) + 10, NULL), monthly = monthly + 0.50 WHERE id % 4 = 1;
     UPDATE stock_moves SET quantity = -quantity, warehouse = 'south' WHERE product_id % 10 = 4",
    // Ties everywhere.
    "UPDATE orders SET total = 100, placed_at = date_trunc('week', placed_at, 'UTC') WHERE id % 3 = 1;
     UPDATE order_lines SET quantity = 2, price = 10 WHERE order_id % 4 < 3;
     UPDATE events SET at = date_trunc('hour', at, 'UTC') WHERE id % 2 = 0;
     UPDATE customers SET signed_up = '2025-01-01 00:00+00' WHERE id % 2 = 0",
    // Everything at once, on the same keys.
    "UPDATE orders SET customer_id = customer_id % 50 + 1, total = total + 1, status = 'paid' WHERE id % 13 = 5;
     UPDATE order_lines SET product_id = product_id % 60 + 1, quantity = quantity + 1 WHERE order_id % 13 = 5;
     UPDATE payments SET amount = amount + 1, paid_at = paid_at - interval '1 day' WHERE order_id % 13 = 5;
     UPDATE customers SET name = name || '!', country = 'US' WHERE id % 13 = 5;
     UPDATE products SET name = 'renamed ' || id, price = price + 1 WHERE id % 13 = 5;
     UPDATE categories SET name = name || '!' WHERE id % 4 = 1;
     UPDATE events SET customer_id = customer_id % 50 + 1, kind = 'purchase' WHERE id % 13 = 5;
     INSERT INTO rates VALUES ('JPY', '[2025-08-10,2025-08-20)', 0.0061)",
    // Everything goes.
    "CREATE TABLE kept AS TABLE orders; CREATE TABLE kept_events AS TABLE events;
     DELETE FROM events; DELETE FROM orders; DELETE FROM stock_moves; DELETE FROM subscriptions; DELETE FROM prices;
     DELETE FROM customers WHERE id % 2 = 1",
    // And some of it comes back.
    "INSERT INTO orders SELECT * FROM kept WHERE customer_id IN (SELECT id FROM customers);
     INSERT INTO order_lines SELECT id, 1, id % 60 + 1, 1, 9.90 FROM orders;
     INSERT INTO payments SELECT id, id, placed_at, 'cash', total / 2 FROM orders WHERE id % 2 = 0;
     INSERT INTO events SELECT * FROM kept_events WHERE id % 3 > 0;
     INSERT INTO stock_moves SELECT id, id % 60 + 1, 'east', at, 1 FROM events",
];
