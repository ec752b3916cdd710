//! Distributed tables, queries that are local to their shards, and changes.

use super::Citus;
use crate::backend::Backend;
use crate::client::{Session, quote_literal};
use crate::insist::{run, until, value};
use crate::oracle::Question;
use crate::runtime::connect;

/// A cluster with the tables, and a session on its coordinator.
///
/// # Panics
/// If one of its nodes does not start.
pub async fn start() -> (Citus, Session) {
    let citus = Citus::start().await.unwrap();
    let session = filled(&citus).await;
    (citus, session)
}

/// A session on the coordinator of a cluster that gets the tables.
///
/// # Panics
/// If that fails.
pub async fn filled(citus: &Citus) -> Session {
    let session = connect(citus, "postgres").await.unwrap();
    run(&session, TABLES).await;
    session
}

/// Tables that are distributed, some beside each other, and others.
pub const TABLES: &str = "
CREATE TABLE d (gone int, id int PRIMARY KEY, g int, v numeric, t text);
ALTER TABLE d DROP gone;
SELECT create_distributed_table('d', 'id');
CREATE TABLE e (id int, w int, PRIMARY KEY (id, w)); SELECT create_distributed_table('e', 'id', colocate_with => 'd');
CREATE TABLE x (k int PRIMARY KEY, id int); SELECT create_distributed_table('x', 'k', colocate_with => 'd');
CREATE TABLE apart (id text PRIMARY KEY); SELECT create_distributed_table('apart', 'id');
CREATE TABLE r (g int PRIMARY KEY, name text); SELECT create_reference_table('r');
CREATE TABLE l (id int PRIMARY KEY); SELECT citus_add_local_table_to_metadata('l');
CREATE VIEW named AS SELECT d.id, r.name FROM d JOIN r USING (g);
INSERT INTO d SELECT i, i % 5, i, 'text ' || i FROM generate_series(1, 60) i;
INSERT INTO e SELECT i % 40, i FROM generate_series(1, 150) i;
INSERT INTO x SELECT i, i % 7 FROM generate_series(1, 40) i;
INSERT INTO r SELECT i, 'group ' || i FROM generate_series(0, 4) i;
";

/// Names and queries whose rows are made of co-located shards.
pub const LOCAL: [(&str, &str); 15] = [
    ("projected", "SELECT id, v + 1 AS v, t FROM d WHERE g > 1"),
    (
        "grouped",
        "SELECT id, count(*) AS n, sum(w) AS w, avg(w) AS a, max(w) AS m FROM e GROUP BY id",
    ),
    (
        "joined",
        "SELECT d.id, r.name, count(*) AS n, sum(e.w) AS w FROM d JOIN e USING (id) JOIN r USING (g) GROUP BY d.id, r.name",
    ),
    (
        "comma",
        "SELECT d.id, e.w, d.v FROM d, e WHERE e.id = d.id AND e.w > 3",
    ),
    (
        "outer_joined",
        "SELECT d.id, e.w, r.name FROM d LEFT JOIN e ON e.id = d.id AND e.w % 2 = 0 LEFT JOIN r ON r.g = d.g",
    ),
    (
        "distinct_rows",
        "SELECT DISTINCT e.id, d.g FROM e JOIN d USING (id)",
    ),
    ("united", "SELECT id, g FROM d UNION SELECT id, w FROM e"),
    ("common", "SELECT id FROM d INTERSECT ALL SELECT id FROM e"),
    (
        "without",
        "SELECT id FROM d EXCEPT SELECT id FROM e WHERE w > 50",
    ),
    (
        "ranked",
        "SELECT id, w, row_number() OVER (PARTITION BY id ORDER BY w DESC) AS place FROM e",
    ),
    (
        "first_of_each",
        "SELECT DISTINCT ON (id) id, w FROM e ORDER BY id, w DESC",
    ),
    (
        "existing",
        "SELECT id, t FROM d WHERE EXISTS (SELECT FROM e WHERE e.id = d.id AND e.w > 20)",
    ),
    (
        "not_in",
        "SELECT id FROM d WHERE id NOT IN (SELECT id FROM e WHERE w > 100) AND g IN (SELECT g FROM r WHERE name <> 'group 1')",
    ),
    (
        "scalar",
        "SELECT d.id, (SELECT sum(w) FROM e WHERE e.id = d.id) AS w FROM d",
    ),
    (
        "of_view",
        "SELECT named.id, named.name, e.w FROM named JOIN e USING (id)",
    ),
];

/// Names and queries that group rows of several shards.
pub const GROUPED: [(&str, &str); 6] = [
    (
        "by_group",
        "SELECT g, count(*) AS n, count(t) AS t, sum(v) AS v, avg(v) AS a, min(v) AS low, max(t) AS high FROM d GROUP BY g",
    ),
    (
        "of_all",
        "SELECT count(*) AS n, sum(w) AS w, avg(w) AS a, min(w) AS low, bool_or(w > 100) AS some, bool_and(id > 0) AS every FROM e",
    ),
    (
        "filtered",
        "SELECT w % 3 AS k, count(*) FILTER (WHERE id > 10) AS n, avg(id) FILTER (WHERE w < 50) AS a FROM e WHERE w > 5 GROUP BY 1 HAVING count(*) > 2",
    ),
    (
        "joined_before",
        "SELECT r.name, count(*) AS n, sum(e.w) AS w FROM d JOIN e USING (id) JOIN r USING (g) GROUP BY r.name",
    ),
    (
        "joined_after",
        "SELECT r.name, s.n FROM r LEFT JOIN (SELECT g, count(*) AS n FROM d GROUP BY g) s USING (g)",
    ),
    (
        "first_groups",
        "SELECT g, sum(v) AS v FROM d GROUP BY g ORDER BY g LIMIT 3",
    ),
];

/// Names and queries that join shards with others, or ask for more than groups of groups tell.
pub const OF_ROWS: [(&str, &str); 4] = [
    ("crossing", "SELECT d.id, x.k FROM d JOIN x ON x.id = d.g"),
    (
        "kinds",
        "SELECT g, count(DISTINCT t) AS n FROM d GROUP BY g",
    ),
    (
        "with_local",
        "SELECT l.id, e.w FROM l LEFT JOIN e ON e.w = l.id",
    ),
    ("counted", "SELECT count(*) AS n FROM d, x WHERE d.g = x.k"),
];

/// A cluster with the tables, whose queries may join by any columns, for the oracle; and a session on its coordinator.
///
/// # Panics
/// If one of its nodes does not start.
pub async fn begin() -> (Citus, Session) {
    let (citus, session) = start().await;
    for statement in [
        "ALTER SYSTEM SET citus.enable_repartition_joins = on",
        "SELECT pg_reload_conf()",
    ] {
        run(&session, statement).await;
    }
    until(
        &session,
        "SELECT current_setting('citus.enable_repartition_joins') = 'on'",
    )
    .await;
    (citus, session)
}

/// What happens to the tables, step by step.
pub const CHANGES: [&str; 6] = [
    "INSERT INTO d VALUES (5001, 1, 5, 'new'); UPDATE d SET v = v + 1 WHERE g = 2; DELETE FROM d WHERE id = 7",
    "INSERT INTO e VALUES (5001, 1), (3, 1000), (3, 1002); DELETE FROM e WHERE id = 8; UPDATE e SET w = w + 500 WHERE id = 9",
    "UPDATE r SET name = name || '!' WHERE g = 3; INSERT INTO r VALUES (9, 'nine'); UPDATE d SET g = 9 WHERE id < 5",
    "BEGIN; UPDATE d SET g = 0; INSERT INTO e SELECT i, 2000 FROM generate_series(1, 30) i; ROLLBACK",
    "INSERT INTO d SELECT i, i % 5, i, repeat('x', i % 50) FROM generate_series(6000, 6400) i",
    "TRUNCATE e; DELETE FROM d WHERE id % 3 = 0; INSERT INTO e SELECT i, i FROM generate_series(1, 90) i",
];

/// Creates a stream table that is refreshed when it is asked to.
///
/// # Panics
/// If that fails.
pub async fn create(session: &Session, name: &str, query: &str) {
    let create = format!(
        "SELECT pgtrickle.create_stream_table('{name}', {}, '1h', 'DIFFERENTIAL')",
        quote_literal(query)
    );
    run(session, &create).await;
}

/// What a refresh did, and why.
///
/// # Panics
/// If it fails.
pub async fn refreshed(session: &Session, name: &str) -> String {
    let refresh = format!(
        "SELECT concat_ws(' ', action, reason) FROM pgtrickle.refresh_stream_table({})",
        quote_literal(name)
    );
    value(session, &refresh).await
}

/// The stream table is what its query says, as a user asks.
///
/// # Panics
/// If it is not.
pub async fn right(session: &Session, name: &str, query: &str) {
    let verdict = Question::query(name, query).ask(session).await.unwrap();
    assert!(verdict.is_exact(), "{name} is {verdict}");
}

/// What is left of stream tables on a node.
async fn left(node: &dyn Backend) -> String {
    let session = Session::connect(node, "postgres").await.unwrap();
    value(&session, "SELECT coalesce(string_agg(name, ' ' ORDER BY name), '') FROM (
        SELECT 'stream table ' || pgt_relid FROM pgtrickle.pgt_stream_tables
        UNION ALL SELECT 'dependency of ' || pgt_id FROM pgtrickle.pgt_dependencies
        UNION ALL SELECT relname FROM pg_class WHERE relnamespace IN ('pgtrickle_changes'::regnamespace, 'pgtrickle_state'::regnamespace)
        UNION ALL SELECT nspname FROM pg_namespace WHERE nspname ~ '^pgtrickle_part'
        UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'pgtrickle_changes'::regnamespace
        UNION ALL SELECT tgname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid WHERE p.pronamespace = 'pgtrickle'::regnamespace) AS l(name)").await
}

/// No node has anything of a stream table.
///
/// # Panics
/// If one has.
pub async fn nothing_is_left(citus: &Citus) {
    assert_eq!(left(citus).await, "");
    for worker in citus.workers() {
        assert_eq!(left(worker).await, "");
    }
}

/// Splits the first shard of `d` and what is co-located with it.
pub const SPLIT: &str = "SELECT citus_split_shard_by_split_points(min(shardid), ARRAY[((min(shardminvalue::int8) + min(shardmaxvalue::int8)) / 2)::text],
        (SELECT array_agg(nodeid::int ORDER BY nodeid) FROM pg_dist_node WHERE groupid > 0), 'block_writes')
        FROM pg_dist_shard WHERE logicalrelid = 'd'::regclass AND shardminvalue = '-2147483648'";

/// SQL that moves the first shard of `d` that this worker has to another one, and what is co-located with it.
pub fn move_shard(citus: &Citus, from: usize, to: usize, mode: &str) -> String {
    let (from, to) = (&citus.workers()[from], &citus.workers()[to]);
    format!(
        "SELECT citus_move_shard_placement(min(s.shardid), '{}', {}, '{}', {}, '{mode}')
             FROM citus_shards s WHERE s.table_name = 'd'::regclass AND s.nodeport = {}",
        from.socket_dir().display(),
        from.port(),
        to.socket_dir().display(),
        to.port(),
        from.port()
    )
}
