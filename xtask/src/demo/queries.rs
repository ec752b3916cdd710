//! The stream tables of the demo: TPC-H queries, without their ORDER BY and LIMIT.

/// A stream table to create.
pub struct StreamTable {
    /// Its name.
    pub name: &'static str,
    /// What it shows, for the summary.
    pub title: &'static str,
    /// Its defining query.
    pub query: &'static str,
}

/// In the order in which they are created and refreshed: one that reads another comes after it.
pub const STREAM_TABLES: &[StreamTable] = &[
    StreamTable {
        name: "pricing_summary",
        title: "Q1: one table, few groups",
        query: "
SELECT l_returnflag, l_linestatus,
       sum(l_quantity) AS sum_qty,
       sum(l_extendedprice) AS sum_base_price,
       sum(l_extendedprice * (1 - l_discount)) AS sum_disc_price,
       sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) AS sum_charge,
       avg(l_quantity) AS avg_qty,
       avg(l_extendedprice) AS avg_price,
       avg(l_discount) AS avg_disc,
       count(*) AS count_order
FROM lineitem
WHERE l_shipdate <= DATE '1998-09-02'
GROUP BY l_returnflag, l_linestatus",
    },
    StreamTable {
        name: "shipping_priority",
        title: "Q3: three tables, a group per order",
        query: "
SELECT l_orderkey, o_orderdate, o_shippriority,
       sum(l_extendedprice * (1 - l_discount)) AS revenue
FROM customer
JOIN orders ON c_custkey = o_custkey
JOIN lineitem ON l_orderkey = o_orderkey
WHERE c_mktsegment = 'BUILDING'
  AND o_orderdate < DATE '1995-03-15'
  AND l_shipdate > DATE '1995-03-15'
GROUP BY l_orderkey, o_orderdate, o_shippriority",
    },
    StreamTable {
        name: "local_supplier_volume",
        title: "Q5: six tables, a group per nation",
        query: "
SELECT n_name, sum(l_extendedprice * (1 - l_discount)) AS revenue
FROM customer
JOIN orders ON c_custkey = o_custkey
JOIN lineitem ON l_orderkey = o_orderkey
JOIN supplier ON l_suppkey = s_suppkey AND c_nationkey = s_nationkey
JOIN nation ON s_nationkey = n_nationkey
JOIN region ON n_regionkey = r_regionkey
WHERE r_name = 'ASIA'
  AND o_orderdate >= DATE '1994-01-01' AND o_orderdate < DATE '1995-01-01'
GROUP BY n_name",
    },
    StreamTable {
        name: "forecast_revenue",
        title: "Q6: one table, one row",
        query: "
SELECT sum(l_extendedprice * l_discount) AS revenue
FROM lineitem
WHERE l_shipdate >= DATE '1994-01-01' AND l_shipdate < DATE '1995-01-01'
  AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24",
    },
    StreamTable {
        name: "returned_items",
        title: "Q10: four tables, a group per customer",
        query: "
SELECT c_custkey, c_name, n_name, c_acctbal,
       sum(l_extendedprice * (1 - l_discount)) AS revenue,
       count(*) AS items,
       max(l_shipdate) AS last_shipped
FROM customer
JOIN orders ON c_custkey = o_custkey
JOIN lineitem ON l_orderkey = o_orderkey
JOIN nation ON c_nationkey = n_nationkey
WHERE l_returnflag = 'R'
GROUP BY c_custkey, c_name, n_name, c_acctbal",
    },
    StreamTable {
        name: "returned_by_nation",
        title: "a stream table over the one above",
        query: "
SELECT n_name, count(*) AS customers, sum(revenue) AS revenue, sum(items) AS items
FROM returned_items
GROUP BY n_name
HAVING sum(items) > 10",
    },
    StreamTable {
        name: "shipping_modes",
        title: "Q12: CASE inside sums",
        query: "
SELECT l_shipmode,
       sum(CASE WHEN o_orderpriority IN ('1-URGENT', '2-HIGH') THEN 1 ELSE 0 END) AS high_line_count,
       sum(CASE WHEN o_orderpriority NOT IN ('1-URGENT', '2-HIGH') THEN 1 ELSE 0 END) AS low_line_count
FROM orders
JOIN lineitem ON o_orderkey = l_orderkey
WHERE l_shipmode IN ('MAIL', 'SHIP')
  AND l_commitdate < l_receiptdate AND l_shipdate < l_commitdate
GROUP BY l_shipmode",
    },
    StreamTable {
        name: "promotion_effect",
        title: "Q14: a ratio of two sums",
        query: "
SELECT 100.00 * sum(CASE WHEN p_type LIKE 'PROMO%' THEN l_extendedprice * (1 - l_discount) ELSE 0 END)
              / sum(l_extendedprice * (1 - l_discount)) AS promo_revenue
FROM lineitem
JOIN part ON l_partkey = p_partkey",
    },
    StreamTable {
        name: "open_lines",
        title: "a join without grouping, keyed",
        query: "
SELECT l_orderkey, l_linenumber, o_orderdate, c_name, l_shipmode,
       l_extendedprice * (1 - l_discount) AS price
FROM lineitem
JOIN orders ON l_orderkey = o_orderkey
JOIN customer ON o_custkey = c_custkey
WHERE l_linestatus = 'O'",
    },
    StreamTable {
        name: "customer_markets",
        title: "SELECT DISTINCT over a join",
        query: "
SELECT DISTINCT o_custkey, s_nationkey
FROM orders
JOIN lineitem ON l_orderkey = o_orderkey
JOIN supplier ON l_suppkey = s_suppkey",
    },
];
