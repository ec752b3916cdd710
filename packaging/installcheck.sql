-- Whether an installation works: a stream table follows its source. Leaves nothing behind; prints the version.
\o /dev/null
DROP DATABASE IF EXISTS pg_trickle_installcheck;
CREATE DATABASE pg_trickle_installcheck;
\connect pg_trickle_installcheck
CREATE EXTENSION pg_trickle;
CREATE TABLE orders (id bigint PRIMARY KEY, customer text NOT NULL, amount numeric NOT NULL);
INSERT INTO orders SELECT i, 'customer ' || i % 7, i FROM generate_series(1, 100) i;
CREATE VIEW query AS SELECT customer, count(*) AS orders, sum(amount) AS total FROM orders GROUP BY customer;
SELECT pgtrickle.create_stream_table('revenue', 'TABLE query', refresh_mode => 'DIFFERENTIAL');
UPDATE orders SET amount = amount + 1 WHERE id % 3 = 0;
DELETE FROM orders WHERE id % 5 = 0;
INSERT INTO orders VALUES (101, 'another', 1);
SELECT pgtrickle.refresh_stream_table('revenue');
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM revenue WHERE customer = 'another')
        OR EXISTS ((TABLE query EXCEPT ALL TABLE revenue) UNION ALL (TABLE revenue EXCEPT ALL TABLE query)) THEN
        RAISE EXCEPTION 'the stream table differs from its query';
    END IF;
END $$;
\o
SELECT pgtrickle.version();
\o /dev/null
\connect postgres
DROP DATABASE pg_trickle_installcheck;
