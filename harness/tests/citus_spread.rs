//! Stream tables that the nodes of a cluster of Citus keep, each its own shards.
//!
//! Without Citus the tests are reported as skipped, with the reason, which fails where `PGT_REQUIRE_CITUS` is set.

use harness::backend::Backend;
use harness::citus::{Citus, is_missing};
use harness::client::{Session, quote_literal};
use harness::cluster::StopMode;
use harness::insist::{exact, run, until, value};
use harness::oracle::Question;
use harness::runtime::connect;

async fn start() -> (Citus, Session) {
    let citus = Citus::start().await.unwrap();
    let session = connect(&citus, "postgres").await.unwrap();
    run(&session, TABLES).await;
    (citus, session)
}

const TABLES: &str = "
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
const LOCAL: [(&str, &str); 15] = [
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

const CHANGES: [&str; 6] = [
    "INSERT INTO d VALUES (5001, 1, 5, 'new'); UPDATE d SET v = v + 1 WHERE g = 2; DELETE FROM d WHERE id = 7",
    "INSERT INTO e VALUES (5001, 1), (3, 1000), (3, 1002); DELETE FROM e WHERE id = 8; UPDATE e SET w = w + 500 WHERE id = 9",
    "UPDATE r SET name = name || '!' WHERE g = 3; INSERT INTO r VALUES (9, 'nine'); UPDATE d SET g = 9 WHERE id < 5",
    "BEGIN; UPDATE d SET g = 0; INSERT INTO e SELECT i, 2000 FROM generate_series(1, 30) i; ROLLBACK",
    "INSERT INTO d SELECT i, i % 5, i, repeat('x', i % 50) FROM generate_series(6000, 6400) i",
    "TRUNCATE e; DELETE FROM d WHERE id % 3 = 0; INSERT INTO e SELECT i, i FROM generate_series(1, 90) i",
];

async fn create(session: &Session, name: &str, query: &str) {
    let create = format!(
        "SELECT pgtrickle.create_stream_table('{name}', {}, '1h', 'DIFFERENTIAL')",
        quote_literal(query)
    );
    run(session, &create).await;
}

async fn refreshed(session: &Session, name: &str) -> String {
    let refresh = format!(
        "SELECT concat_ws(' ', action, reason) FROM pgtrickle.refresh_stream_table({})",
        quote_literal(name)
    );
    value(session, &refresh).await
}

/// The stream table is what its query says, as a user asks.
async fn right(session: &Session, name: &str, query: &str) {
    let verdict = Question::query(name, query).ask(session).await.unwrap();
    assert!(verdict.is_exact(), "{name} is {verdict}");
}

/// What is left of stream tables on a node.
async fn left(node: &dyn Backend) -> String {
    let session = Session::connect(node, "postgres").await.unwrap();
    value(&session, "SELECT (SELECT count(*) FROM pgtrickle.pgt_stream_tables) + (SELECT count(*) FROM pgtrickle.pgt_dependencies)
        + (SELECT count(*) FROM pg_class WHERE relnamespace IN ('pgtrickle_changes'::regnamespace, 'pgtrickle_state'::regnamespace))
        + (SELECT count(*) FROM pg_proc WHERE pronamespace = 'pgtrickle_changes'::regnamespace)
        + (SELECT count(*) FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid WHERE p.pronamespace = 'pgtrickle'::regnamespace)").await
}

async fn nothing_is_left(citus: &Citus) {
    assert_eq!(left(citus).await, "0");
    for worker in citus.workers() {
        assert_eq!(left(worker).await, "0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_keep_what_is_local_to_their_shards() {
    if is_missing("nodes_keep_what_is_local_to_their_shards") {
        return;
    }
    let (citus, session) = start().await;
    for (name, query) in LOCAL {
        create(&session, name, query).await;
        // It is filled when it has been created.
        right(&session, name, query).await;
        let code = format!(
            "SELECT refresh_mode || ' ' || mode_code FROM pgtrickle.pgt_status() WHERE name = '{name}'"
        );
        assert_eq!(
            value(&session, &code).await,
            "DIFFERENTIAL CITUS_SHARD_LOCAL"
        );
        let beside = format!(
            "SELECT count(DISTINCT colocationid) FROM pg_dist_partition WHERE logicalrelid IN ('d'::regclass, '{name}'::regclass)"
        );
        assert_eq!(value(&session, &beside).await, "1");
    }
    for (name, _) in LOCAL {
        refreshed(&session, name).await;
    }
    for (step, changes) in CHANGES.into_iter().enumerate() {
        run(&session, changes).await;
        for (name, query) in LOCAL {
            let action = refreshed(&session, name).await;
            let is_emptied = changes.starts_with("TRUNCATE");
            assert!(
                ["NO_DATA", "DIFFERENTIAL"].contains(&action.as_str()) || is_emptied,
                "{name}, step {step}: {action}"
            );
            right(&session, name, query).await;
        }
    }
    // A view that is replaced is noticed.
    run(&session, "CREATE OR REPLACE VIEW named AS SELECT d.id, upper(r.name) AS name FROM d JOIN r USING (g) WHERE d.id > 3").await;
    refreshed(&session, "of_view").await;
    right(&session, "of_view", LOCAL[14].1).await;

    for statement in [
        "INSERT INTO projected VALUES (1, 1, 'x')",
        "DELETE FROM grouped",
        "TRUNCATE joined",
    ] {
        let error = session.execute(statement).await.unwrap_err();
        assert!(
            error.to_string().contains("directly"),
            "{statement}: {error}"
        );
    }
    for (name, _) in LOCAL {
        run(
            &session,
            &format!("SELECT pgtrickle.drop_stream_table('{name}')"),
        )
        .await;
    }
    nothing_is_left(&citus).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_follow_by_their_own_schedulers() {
    if is_missing("workers_follow_by_their_own_schedulers") {
        return;
    }
    let (_citus, session) = start().await;
    run(&session, "SELECT pgtrickle.create_stream_table('at_once', 'SELECT id, count(*) AS n, sum(w) AS w FROM e GROUP BY id')").await;
    run(
        &session,
        "SELECT pgtrickle.create_stream_table('upon_it', 'SELECT id, n FROM at_once WHERE n > 2')",
    )
    .await;
    until(
        &session,
        "SELECT bool_and(is_populated) FROM pgtrickle.pgt_stream_tables",
    )
    .await;
    for changes in CHANGES {
        run(&session, changes).await;
        exact(&session, &["at_once", "upon_it"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_that_move_and_split_are_computed_where_they_come_to() {
    if is_missing("shards_that_move_and_split_are_computed_where_they_come_to") {
        return;
    }
    let (citus, session) = start().await;
    let name = "joined";
    let query = LOCAL[2].1;
    create(&session, name, query).await;
    refreshed(&session, name).await;
    let move_shard = |from: usize, to: usize, mode: &str| {
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
    };
    let split = "SELECT citus_split_shard_by_split_points(min(shardid), ARRAY[((min(shardminvalue::int8) + min(shardmaxvalue::int8)) / 2)::text],
        (SELECT array_agg(nodeid::int ORDER BY nodeid) FROM pg_dist_node WHERE groupid > 0), 'block_writes')
        FROM pg_dist_shard WHERE logicalrelid = 'd'::regclass AND shardminvalue = '-2147483648'".to_owned();
    for (step, statement) in [
        move_shard(0, 1, "block_writes"),
        "ALTER TABLE d ADD COLUMN more int DEFAULT 1, DROP COLUMN v".to_owned(),
        move_shard(1, 0, "force_logical"),
        split,
        "SELECT rebalance_table_shards(shard_transfer_mode => 'block_writes')".to_owned(),
    ]
    .into_iter()
    .enumerate()
    {
        run(&session, &statement).await;
        // Written before the node knows that it has them, and afterwards.
        for round in 0..2 {
            let first = 10_000 + step * 1000 + round * 200;
            run(&session, &format!(
                "INSERT INTO d (id, g) SELECT i, i % 5 FROM generate_series({first}, {first} + 150) i;
                 INSERT INTO e SELECT i, i FROM generate_series({first}, {first} + 150) i; UPDATE r SET name = name || '.'; DELETE FROM e WHERE w % 11 = {step}"
            )).await;
            let action = refreshed(&session, name).await;
            let has_moved =
                round == 0 && !statement.starts_with("ALTER") && !statement.contains("rebalance");
            assert!(
                !has_moved || action == "FULL SHARD_MOVED",
                "{statement}: {action}"
            );
            assert!(
                round == 0 || action == "DIFFERENTIAL",
                "{statement}: {action}"
            );
            right(&session, name, query).await;
        }
    }
    run(
        &session,
        &format!("SELECT pgtrickle.drop_stream_table('{name}')"),
    )
    .await;
    run(&session, "CALL citus_cleanup_orphaned_resources()").await;
    nothing_is_left(&citus).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_gone_is_told_of_and_comes_back() {
    if is_missing("a_node_that_is_gone_is_told_of_and_comes_back") {
        return;
    }
    let (citus, session) = start().await;
    let (name, query) = LOCAL[1];
    create(&session, name, query).await;
    refreshed(&session, name).await;
    run(&session, CHANGES[1]).await;
    citus.workers()[1].stop(StopMode::Immediate).unwrap();
    let refresh = format!("SELECT action FROM pgtrickle.refresh_stream_table('{name}')");
    let error = session.execute(&refresh).await.unwrap_err();
    assert_eq!(error.sqlstate, "08006", "{error}");
    let port = citus.workers()[1].port().to_string();
    assert!(error.to_string().contains(&port), "{error}");
    citus.workers()[1].restart(StopMode::Immediate).unwrap();
    refreshed(&session, name).await;
    right(&session, name, query).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_leaves_nothing_on_any_node() {
    if is_missing("what_fails_leaves_nothing_on_any_node") {
        return;
    }
    let (citus, session) = start().await;
    let make = "SELECT pgtrickle.create_stream_table('s', 'SELECT id, count(*) AS n FROM e GROUP BY id', '1h')";
    // It is taken back after it was filled; its content cannot be computed; a name is taken.
    run(&session, &format!("BEGIN; {make}")).await;
    run(&session, "ROLLBACK").await;
    for (failing, state) in [
        (
            "SELECT pgtrickle.create_stream_table('s', 'SELECT id, 1 / (id - 3) AS x FROM d')",
            "22012",
        ),
        (
            "SELECT pgtrickle.create_stream_table('d', 'SELECT id, g FROM d')",
            "42P07",
        ),
        (
            "SELECT pgtrickle.create_stream_table('s', 'SELECT id, g FROM d', output_distribution_column => 'g')",
            "0A000",
        ),
        (
            "SELECT pgtrickle.create_stream_table('s', 'SELECT g FROM d', output_distribution_column => 'g')",
            "0A000",
        ),
        (
            "SELECT pgtrickle.create_stream_table('s', 'SELECT g FROM r', output_distribution_column => 'g')",
            "0A000",
        ),
    ] {
        let error = session.execute(failing).await.unwrap_err();
        assert_eq!(error.sqlstate, state, "{failing}: {error}");
    }
    nothing_is_left(&citus).await;
    let gone = "SELECT string_agg(result, '') FROM run_command_on_workers($$SELECT count(*) FROM pg_class WHERE relname = 's' OR relname ~ '^s_'$$)";
    assert_eq!(value(&session, gone).await, "00");

    // A refresh in a transaction that could hold locks against itself is refused.
    run(&session, make).await;
    run(&session, "BEGIN; INSERT INTO e VALUES (1, 9999)").await;
    let error = session
        .execute("SELECT pgtrickle.refresh_stream_table('s')")
        .await
        .unwrap_err();
    assert_eq!(error.sqlstate, "25001", "{error}");
    run(&session, "ROLLBACK").await;
    refreshed(&session, "s").await;

    // Schedule and status reach the nodes; what cannot is refused.
    run(
        &session,
        "SELECT pgtrickle.alter_stream_table('s', schedule => '2h', status => 'SUSPENDED')",
    )
    .await;
    let told = "SELECT string_agg(DISTINCT result, '') FROM run_command_on_workers('SELECT string_agg(DISTINCT schedule || status, $$,$$) FROM pgtrickle.pgt_stream_tables')";
    assert_eq!(value(&session, told).await, "2hSUSPENDED");
    for change in [
        "query => 'SELECT id FROM d'",
        "refresh_mode => 'FULL'",
        "settings => ARRAY['TimeZone=UTC']",
    ] {
        let alter = format!("SELECT pgtrickle.alter_stream_table('s', {change})");
        let error = session.execute(&alter).await.unwrap_err();
        assert_eq!(error.sqlstate, "0A000", "{error}");
    }
    run(&session, "DROP TABLE e CASCADE").await;
    nothing_is_left(&citus).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_crosses_shards_is_told_how() {
    if is_missing("what_crosses_shards_is_told_how") {
        return;
    }
    let (_citus, session) = start().await;
    for (query, how) in [
        (
            "SELECT g, count(*) FROM d GROUP BY g",
            "rows of several shards are grouped together",
        ),
        (
            "SELECT count(*) FROM d",
            "rows of several shards are grouped together",
        ),
        (
            "SELECT d.id FROM d JOIN x USING (id)",
            "a join is not on the distribution columns of both sides",
        ),
        ("SELECT g FROM d", "no distribution column is in its result"),
        (
            "SELECT r.g, d.id FROM r LEFT JOIN d USING (g)",
            "an outer join or a subquery asks of all shards whether there is a row",
        ),
        (
            "SELECT d.id, apart.id FROM d, apart",
            "its tables are not co-located",
        ),
        (
            "SELECT id FROM d UNION ALL SELECT g FROM r",
            "a set operation has an arm without a distributed table",
        ),
        (
            "SELECT id, rank() OVER (ORDER BY v) FROM d",
            "a window or a limit is over rows of several shards",
        ),
        (
            "SELECT id, v FROM d ORDER BY v LIMIT 3",
            "a window or a limit is over rows of several shards",
        ),
    ] {
        let create = format!(
            "SELECT pgtrickle.create_stream_table('no', {}, refresh_mode => 'DIFFERENTIAL')",
            quote_literal(query)
        );
        let error = session.execute(&create).await.unwrap_err();
        assert_eq!(error.sqlstate, "0A000", "{error}");
        let text = error.to_string();
        assert!(
            text.contains("(CITUS_DISTRIBUTED_TABLE)") && text.contains(how),
            "{query}: {error}"
        );
    }
    for mode in ["DIFFERENTIAL", "AUTO"] {
        run(&session, &format!("SELECT pgtrickle.create_stream_table('st_{mode}', 'SELECT d.id AS one, e.w, e.id AS other FROM d JOIN e USING (id)', refresh_mode => '{mode}', output_distribution_column => 'other')")).await;
        let column = format!(
            "SELECT column_to_column_name(logicalrelid, partkey) FROM pg_dist_partition WHERE logicalrelid = 'st_{mode}'::regclass"
        );
        assert_eq!(value(&session, &column).await, "other");
    }
    let told = "SELECT string_agg(DISTINCT code || ' ' || maintained, ',' ORDER BY code || ' ' || maintained) FROM pgtrickle.explain_capabilities($1) WHERE code ~ 'CITUS'";
    for (query, codes) in [
        (
            "SELECT id, count(*) FROM e GROUP BY id",
            "CITUS_SHARD_LOCAL DIFFERENTIAL",
        ),
        (
            "SELECT g, count(*) FROM d GROUP BY g",
            "CITUS_DISTRIBUTED_TABLE FULL",
        ),
        ("SELECT g FROM r", "CITUS_LOCAL_SHARD DIFFERENTIAL"),
    ] {
        assert_eq!(
            value(&session, &told.replace("$1", &quote_literal(query))).await,
            codes
        );
    }
}

/// Texts that are to arrive as they are.
const ODD: [&str; 8] = [
    "plain",
    "it's \"quoted\"",
    r"back\slash \' \\ E'\'",
    "new\nline\ttab",
    "host=elsewhere port=1",
    "$$ $1 $x$ ; SELECT 1; --",
    "ünï→码🐘",
    "{a,b} NULL 'NULL'",
];

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_told_names_and_queries_as_they_are() {
    if is_missing("nodes_are_told_names_and_queries_as_they_are") {
        return;
    }
    let (citus, session) = start().await;
    let ident = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    for (number, odd) in ODD.iter().enumerate() {
        let schema = ident(&format!("s {odd}"));
        let (table, stream) = (
            format!("{schema}.{}", ident(odd)),
            format!("{schema}.{}", ident(&format!("of {odd}"))),
        );
        let column = ident(&format!("c {odd}"));
        run(&session, &format!("CREATE SCHEMA {schema}; CREATE TABLE {table} ({column} text PRIMARY KEY, n int); SELECT create_distributed_table({}, {})",
            quote_literal(&table), quote_literal(&format!("c {odd}")))).await;
        let literal = quote_literal(odd);
        let query = format!(
            "SELECT {column}, n, {literal} AS {} FROM {table} WHERE {column} <> {literal} OR n > {number}",
            ident(&format!("l {odd}"))
        );
        run(
            &session,
            &format!(
                "SELECT pgtrickle.create_stream_table({}, {}, '1h', 'DIFFERENTIAL')",
                quote_literal(&stream),
                quote_literal(&query)
            ),
        )
        .await;
        refreshed(&session, &stream).await;
        run(&session, &format!("INSERT INTO {table} SELECT {literal} || i, i FROM generate_series(1, 40) i; INSERT INTO {table} VALUES ({literal}, {number})")).await;
        assert_eq!(refreshed(&session, &stream).await, "DIFFERENTIAL");
        right(&session, &stream, &query).await;
        let nodes =
            "SELECT count(DISTINCT query) || ' ' || min(query) FROM pgtrickle.pgt_stream_tables";
        let told = [&citus.workers()[0], &citus.workers()[1]];
        let mut texts = Vec::new();
        for worker in told {
            let worker = Session::connect(worker, "postgres").await.unwrap();
            texts.push(value(&worker, nodes).await);
        }
        assert_eq!(texts[0], texts[1]);
        assert!(texts[0].starts_with("1 "), "{}", texts[0]);
        run(
            &session,
            &format!(
                "SELECT pgtrickle.drop_stream_table({})",
                quote_literal(&stream)
            ),
        )
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_says_what_is_computed() {
    if is_missing("only_the_owner_says_what_is_computed") {
        return;
    }
    let (citus, session) = start().await;
    run(&session, "CREATE ROLE owner LOGIN; CREATE ROLE keeper LOGIN; GRANT CREATE ON SCHEMA public TO owner; GRANT SELECT, TRIGGER ON d, e, r TO owner").await;
    run(&session, "SET ROLE owner").await;
    create(&session, "owned", LOCAL[2].1).await;
    run(
        &session,
        "GRANT SELECT, MAINTAIN ON owned TO keeper; RESET ROLE",
    )
    .await;
    until(
        &session,
        "SELECT bool_and(is_populated) FROM pgtrickle.pgt_stream_tables",
    )
    .await;
    run(&session, CHANGES[1]).await;
    run(&session, "SET ROLE keeper").await;
    refreshed(&session, "owned").await;
    run(&session, "RESET ROLE").await;
    right(&session, "owned", LOCAL[2].1).await;

    let worker = Session::connect(&citus.workers()[0], "postgres")
        .await
        .unwrap();
    for (role, query, state) in [
        (
            "keeper",
            "SELECT 1 AS id, ''secret'' AS name, 1::int8 AS n, 1::int8 AS w",
            "42501",
        ),
        ("pg_monitor", "SELECT 1", "42501"),
    ] {
        run(&worker, &format!("SET ROLE {role}")).await;
        let call = format!(
            "SELECT pgtrickle.maintain_shards('owned', '{query}', '1h', 'ACTIVE', '{{}}', 'REFRESH')"
        );
        let error = worker.execute(&call).await.unwrap_err();
        assert_eq!(error.sqlstate, state, "{error}");
        run(&worker, "RESET ROLE").await;
    }
}
