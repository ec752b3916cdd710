//! The tables that are written to: with keys and without, partitioned, with arrays and JSON, a tree, and nine
//! that form a chain.

use std::fmt::Write;

use crate::runtime::GATE;

/// How many tables the join chain has.
pub const CHAIN: usize = 9;
/// The view between a table and a stream table that is given other definitions.
pub const REPLACED_VIEW: &str = "factors";

/// The statements that create and fill them.
pub fn sql(rows: u64) -> String {
    let mut sql = format!(
        "
CREATE TABLE branch (id int PRIMARY KEY, region text, factor numeric);
CREATE TABLE account (id bigint PRIMARY KEY, branch_id int, v int, n numeric, t text, flag boolean, at timestamptz);
CREATE INDEX ON account (branch_id);
CREATE INDEX ON account (v);
CREATE INDEX ON account (at);
CREATE TABLE entry (k int, note text, amount numeric(10,2));
CREATE INDEX ON entry (k);
CREATE TABLE part (id int, k int, v int, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
CREATE TABLE part_0 PARTITION OF part FOR VALUES IN (0);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);
CREATE TABLE part_rest PARTITION OF part DEFAULT;
CREATE TABLE doc (id int PRIMARY KEY, tags int[], body jsonb);
CREATE TABLE node (id int PRIMARY KEY, parent int);
CREATE TABLE spare (id int PRIMARY KEY, v int);
CREATE TABLE ledger (writer int, n bigint, PRIMARY KEY (writer, n));
CREATE TABLE beat (id int PRIMARY KEY, at timestamptz NOT NULL);
CREATE TABLE gate_source (id int PRIMARY KEY);
CREATE TABLE burst_source (id int PRIMARY KEY);
CREATE SEQUENCE fresh START 1000000;
INSERT INTO branch SELECT i, CASE WHEN i % 4 > 0 THEN 'r' || i % 4 END, i * 0.5 FROM generate_series(0, 39) i;
INSERT INTO account SELECT i, i % 44, i % 50, i * 0.25, 't' || i % 17, i % 3 = 0, now() - i * interval '1 second'
  FROM generate_series(1, {rows}) i;
INSERT INTO entry SELECT i % 40, 'n' || i % 5, i % 9 FROM generate_series(1, {rows} / 4) i;
INSERT INTO part SELECT i, i % 4, i % 30 FROM generate_series(1, {rows} / 4) i;
INSERT INTO doc SELECT i, ARRAY[i % 5, i % 7], jsonb_build_object('k', i % 6, 'n', i) FROM generate_series(1, {rows} / 10) i;
INSERT INTO node SELECT i, CASE WHEN i > 1 THEN i / 2 END FROM generate_series(1, 60) i;
INSERT INTO spare SELECT i, i % 10 FROM generate_series(1, 200) i;
INSERT INTO beat VALUES (1, clock_timestamp());
CREATE VIEW factors AS SELECT id, region, factor * 2 AS factor FROM branch;
{GATE};
"
    );
    for number in 1..=CHAIN {
        // Writing to a string does not fail.
        let _ = write!(
            sql,
            "CREATE TABLE link{number} (id int PRIMARY KEY, next int, v int);
             CREATE INDEX ON link{number} (next);
             INSERT INTO link{number} SELECT i, (i * {number} + 1) % 200, i % 20 FROM generate_series(0, 199) i;\n"
        );
    }
    sql.push_str("ANALYZE;");
    sql
}
