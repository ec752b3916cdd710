//! On a coordinator of Citus with two workers: what Citus manages is recomputed or refused, never followed wrongly.
//!
//! Without Citus the tests are reported as skipped, with the reason, which fails where `PGT_REQUIRE_CITUS` is set.

use harness::citus::{Citus, is_missing};
use harness::client::Session;
use harness::insist::{exact, run, value};
use harness::runtime::connect;

async fn start() -> (Citus, Session) {
    let citus = Citus::start().await.unwrap();
    let session = connect(&citus, "postgres").await.unwrap();
    (citus, session)
}

const TABLES: &str = "
CREATE TABLE d (id int PRIMARY KEY, g int, v numeric); SELECT create_distributed_table('d', 'id');
CREATE TABLE r (g int PRIMARY KEY, gone int, name text); ALTER TABLE r DROP gone; SELECT create_reference_table('r');
CREATE TABLE l (id int PRIMARY KEY, g int); SELECT citus_add_local_table_to_metadata('l');
CREATE TABLE p (id int PRIMARY KEY, g int);
CREATE VIEW initials AS SELECT g, left(name, 1) AS initial FROM r;
INSERT INTO d SELECT i, i % 5, i FROM generate_series(1, 100) i;
INSERT INTO r SELECT i, 'group ' || i FROM generate_series(0, 4) i;
INSERT INTO l SELECT i, i % 5 FROM generate_series(1, 20) i;
INSERT INTO p SELECT i, i % 5 FROM generate_series(1, 20) i;
";

/// Names and queries that cross shards: the code by which they are recomputed.
const CROSSING: [(&str, &str, &str); 2] = [
    (
        "of_distributed",
        "SELECT g, row_number() OVER (PARTITION BY g ORDER BY id) AS n FROM d",
        "CITUS_DISTRIBUTED_TABLE",
    ),
    (
        "of_local_and_distributed",
        "SELECT d.id, l.g, rank() OVER (ORDER BY d.id) AS n FROM d JOIN l USING (id)",
        "CITUS_DISTRIBUTED_TABLE",
    ),
];

/// Names and queries over tables that have one shard, on the coordinator too.
const OF_ONE_SHARD: [(&str, &str); 6] = [
    ("of_reference", "SELECT g, name FROM r WHERE g > 1"),
    ("of_local", "SELECT g, count(*) AS n FROM l GROUP BY g"),
    (
        "of_plain_and_reference",
        "SELECT p.id, r.name FROM p JOIN r USING (g)",
    ),
    (
        "of_all_three",
        "SELECT r.name, count(*) AS n, max(l.id) AS l FROM p JOIN r USING (g) LEFT JOIN l USING (id) GROUP BY r.name",
    ),
    ("of_view", "SELECT DISTINCT initial FROM initials"),
    (
        "of_subquery",
        "SELECT p.id FROM p WHERE EXISTS (SELECT FROM r WHERE r.g = p.g AND r.name LIKE '%!') OR p.g IN (SELECT g FROM l)",
    ),
];

const CHANGES: &str = "
INSERT INTO d VALUES (5001, 1, 5); UPDATE d SET v = v + 1 WHERE g = 2; DELETE FROM d WHERE id = 7;
INSERT INTO r VALUES (7, 'seven'); UPDATE r SET name = name || '!' WHERE g = 3;
INSERT INTO l VALUES (500, 2); DELETE FROM l WHERE id = 3;
INSERT INTO p VALUES (500, 7); UPDATE p SET g = 3 WHERE id = 4;
";

#[tokio::test(flavor = "multi_thread")]
async fn what_crosses_shards_is_recomputed() {
    if is_missing("what_crosses_shards_is_recomputed") {
        return;
    }
    let (_citus, session) = start().await;
    run(&session, TABLES).await;
    for (name, query, code) in CROSSING {
        refused(&session, query, "DIFFERENTIAL", code).await;
        refused(&session, query, "IMMEDIATE", "CITUS_NOT_IMMEDIATE").await;
        create(&session, name, query).await;
        let chosen = format!(
            "SELECT refresh_mode || ' ' || mode_code FROM pgtrickle.pgt_status() WHERE name = '{name}'"
        );
        assert_eq!(value(&session, &chosen).await, format!("FULL {code}"));
    }
    run(&session, CHANGES).await;
    for (name, _, code) in CROSSING {
        assert_eq!(refreshed(&session, name).await, format!("FULL {code}"));
        exact(&session, &[name]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_citus_does_not_plan_is_refused() {
    if is_missing("what_citus_does_not_plan_is_refused") {
        return;
    }
    let (_citus, session) = start().await;
    run(&session, TABLES).await;
    for query in [
        "SELECT g, (SELECT count(*) FROM d o WHERE o.g <= d.g) AS n, rank() OVER (ORDER BY id) AS place FROM d",
        "SELECT r.g FROM r LEFT JOIN d ON d.g = r.g AND d.id > (SELECT min(i.id) FROM d i WHERE i.g = r.g)",
    ] {
        for mode in ["AUTO", "FULL", "DIFFERENTIAL"] {
            refused(&session, query, mode, "CITUS_UNPLANNED").await;
        }
        refused(&session, query, "IMMEDIATE", "CITUS_NOT_IMMEDIATE").await;
    }
    // Where images would do, the hint says so.
    let crossing = "SELECT pgtrickle.create_stream_table('no', 'SELECT d.id, o.id AS other FROM d JOIN d o ON o.g = d.id')";
    let error = session.execute(crossing).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("(CITUS_UNPLANNED)"), "{text}");
    assert!(text.contains("DIFFERENTIAL"), "{text}");
    let by_nodes = "SELECT id, count(*) AS n FROM d GROUP BY id";
    refused(&session, by_nodes, "IMMEDIATE", "CITUS_NOT_IMMEDIATE").await;
    let left = "SELECT count(*) FROM pgtrickle.pgt_stream_tables";
    assert_eq!(value(&session, left).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_one_shard_on_one_node_by_a_hash_is_recomputed() {
    if is_missing("what_is_not_one_shard_on_one_node_by_a_hash_is_recomputed") {
        return;
    }
    let (_citus, session) = start().await;
    run(&session, TABLES).await;
    run(&session, "SET citus.shard_replication_factor = 2;
         CREATE TABLE twice (id int PRIMARY KEY, g int); SELECT create_distributed_table('twice', 'id', colocate_with => 'none');
         RESET citus.shard_replication_factor;
         CREATE TABLE one (id int PRIMARY KEY, g int); SELECT create_distributed_table('one', NULL, colocate_with => 'none');
         INSERT INTO twice SELECT i, i % 5 FROM generate_series(1, 100) i;
         INSERT INTO one SELECT i, i % 5 FROM generate_series(1, 100) i").await;
    let code = "CITUS_DISTRIBUTED_TABLE";
    for (name, query) in [
        ("copied", "SELECT id, g + 1 AS g FROM twice"),
        ("of_copies", "SELECT g, count(*) AS n FROM twice GROUP BY g"),
        ("of_one", "SELECT g, count(*) AS n FROM one GROUP BY g"),
        (
            "of_both",
            "SELECT one.id, s.n FROM one JOIN (SELECT g, count(*) AS n FROM d GROUP BY g) s ON s.g = one.id",
        ),
    ] {
        refused(&session, query, "DIFFERENTIAL", code).await;
        create(&session, name, query).await;
        run(&session, "UPDATE twice SET g = g + 1 WHERE id % 2 = 0; DELETE FROM one WHERE id % 10 = 0; INSERT INTO one SELECT max(id) + 10, 3 FROM one; UPDATE d SET g = 3 WHERE g = 1").await;
        assert_eq!(refreshed(&session, name).await, format!("FULL {code}"));
        exact(&session, &[name]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_one_shard_is_followed() {
    if is_missing("what_has_one_shard_is_followed") {
        return;
    }
    let (citus, session) = start().await;
    run(&session, TABLES).await;
    for (name, query) in OF_ONE_SHARD {
        refused(&session, query, "IMMEDIATE", "CITUS_NOT_IMMEDIATE").await;
        create(&session, name, query).await;
    }
    let names = OF_ONE_SHARD.map(|(name, _)| name);
    run(&session, CHANGES).await;
    for name in names {
        assert_eq!(refreshed(&session, name).await, "DIFFERENTIAL");
        exact(&session, &[name]).await;
    }

    // Within a transaction that is taken back, by a writer on another node, by COPY, and by TRUNCATE.
    run(
        &session,
        "BEGIN; UPDATE r SET name = 'other' WHERE g < 3; INSERT INTO l SELECT i, 7 FROM generate_series(800, 820) i",
    )
    .await;
    for name in names {
        assert_eq!(refreshed(&session, name).await, "DIFFERENTIAL");
        exact(&session, &[name]).await;
    }
    run(&session, "ROLLBACK").await;
    exact(&session, &names).await;
    let elsewhere = Session::connect(&citus.workers()[1], "postgres")
        .await
        .unwrap();
    run(
        &elsewhere,
        "UPDATE r SET name = 'from elsewhere!' WHERE g = 2; INSERT INTO l VALUES (700, 1)",
    )
    .await;
    run(&session, "COPY r FROM PROGRAM 'echo 9,nine'  WITH (FORMAT csv); TRUNCATE l; ALTER TABLE r ADD COLUMN more int DEFAULT 3").await;
    for name in names {
        let action = refreshed(&session, name).await;
        assert!(
            ["DIFFERENTIAL", "FULL TRUNCATE"].contains(&action.as_str()),
            "{name}: {action}"
        );
        exact(&session, &[name]).await;
    }

    for statement in [
        "DROP TABLE r",
        "DROP TABLE l",
        "SELECT undistribute_table('r')",
    ] {
        let error = session.execute(statement).await.unwrap_err();
        assert_eq!(error.sqlstate, "2BP01", "{statement}: {error}");
    }
    run(&session, "DROP TABLE r CASCADE; DROP TABLE l CASCADE").await;
    let left = "SELECT count(*) FROM pgtrickle.pgt_stream_tables";
    assert_eq!(value(&session, left).await, "0");
    let left = "SELECT count(*) FROM pg_tables WHERE schemaname IN ('pgtrickle_changes', 'pgtrickle_state')";
    assert_eq!(value(&session, left).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_becomes_a_reference_table_is_followed_on() {
    if is_missing("a_table_that_becomes_a_reference_table_is_followed_on") {
        return;
    }
    let (_citus, session) = start().await;
    run(
        &session,
        "CREATE TABLE a (id int PRIMARY KEY, g int);
         INSERT INTO a SELECT i, i % 5 FROM generate_series(1, 100) i;",
    )
    .await;
    create(
        &session,
        "of_a",
        "SELECT g, count(*) AS n FROM a GROUP BY g",
    )
    .await;
    run(
        &session,
        "INSERT INTO a VALUES (200, 1); SELECT create_reference_table('a'); DELETE FROM a WHERE g = 2",
    )
    .await;
    let action = refreshed(&session, "of_a").await;
    assert_eq!(action, "FULL DEFINITION_CHANGED");
    exact(&session, &["of_a"]).await;
    run(&session, "INSERT INTO a VALUES (300, 2)").await;
    assert_eq!(refreshed(&session, "of_a").await, "DIFFERENTIAL");
    exact(&session, &["of_a"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_of_tables_with_long_names_are_found() {
    if is_missing("shards_of_tables_with_long_names_are_found") {
        return;
    }
    let (_citus, session) = start().await;
    for length in [54, 55, 56, 57, 60, 63] {
        // Characters of two bytes, so that none may be cut.
        let name = format!("é{}{}", "x".repeat(length % 2), "ü".repeat(length / 2 - 1));
        run(
            &session,
            &format!(
                "CREATE TABLE \"{name}\" (id int PRIMARY KEY); SELECT create_reference_table('\"{name}\"')"
            ),
        )
        .await;
        let stream = format!("of_{length}");
        create(&session, &stream, &format!("SELECT id FROM \"{name}\"")).await;
        run(&session, &format!("INSERT INTO \"{name}\" VALUES (1)")).await;
        // The scheduler may have been before us: it looks at all sources from time to time.
        let action = refreshed(&session, &stream).await;
        assert!(
            ["DIFFERENTIAL", "NO_DATA"].contains(&action.as_str()),
            "{action}"
        );
        exact(&session, &[&stream]).await;
    }
}

async fn create(session: &Session, name: &str, query: &str) {
    let create = format!("SELECT pgtrickle.create_stream_table('{name}', $$ {query} $$, '1h')");
    run(session, &create).await;
}

/// Creating it is refused, with this code.
async fn refused(session: &Session, query: &str, mode: &str, code: &str) {
    let create = format!(
        "SELECT pgtrickle.create_stream_table('no', $$ {query} $$, refresh_mode => '{mode}')"
    );
    let error = session.execute(&create).await.unwrap_err();
    assert_eq!(error.sqlstate, "0A000", "{error}");
    assert!(error.to_string().contains(&format!("({code})")), "{error}");
}

/// What a refresh did, and why.
async fn refreshed(session: &Session, name: &str) -> String {
    let refresh = format!(
        "SELECT concat_ws(' ', action, reason) FROM pgtrickle.refresh_stream_table('{name}')"
    );
    value(session, &refresh).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_citus_takes_over_later_is_noticed() {
    if is_missing("a_table_that_citus_takes_over_later_is_noticed") {
        return;
    }
    let (citus, session) = start().await;
    run(&session, "
        CREATE TABLE a (id int PRIMARY KEY, g int);
        CREATE TABLE b (id int PRIMARY KEY, g int);
        INSERT INTO a SELECT i, i % 5 FROM generate_series(1, 100) i;
        INSERT INTO b SELECT i, i % 5 FROM generate_series(1, 100) i;
        SELECT pgtrickle.create_stream_table('of_a', 'SELECT g, count(*) AS n FROM a GROUP BY g', '1h');
        SELECT pgtrickle.create_stream_table('joined', 'SELECT a.id, b.g FROM a JOIN b USING (id)', '1h');
        SELECT pgtrickle.create_stream_table('at_once', 'SELECT g, count(*) AS n FROM b GROUP BY g', refresh_mode => 'IMMEDIATE')").await;
    // Another session has a plan of it, and is told.
    let other = connect(&citus, "postgres").await.unwrap();
    run(
        &other,
        "INSERT INTO a VALUES (200, 1); SELECT pgtrickle.refresh_stream_table('of_a')",
    )
    .await;

    for (takes_over, state, text) in [
        (
            "create_distributed_table('b', 'id')",
            "0A000",
            "\"at_once\" could no longer be maintained in IMMEDIATE mode",
        ),
        (
            "create_reference_table('b')",
            "0A000",
            "\"at_once\" could no longer be maintained in IMMEDIATE mode",
        ),
        (
            "create_distributed_table('of_a', 'g')",
            "0A000",
            "stream table \"of_a\" cannot become a Citus table",
        ),
    ] {
        let error = session
            .execute(&format!("SELECT {takes_over}"))
            .await
            .unwrap_err();
        assert_eq!(error.sqlstate, state, "{takes_over}: {error}");
        assert!(error.to_string().contains(text), "{takes_over}: {error}");
    }
    run(&session, "INSERT INTO b VALUES (200, 1)").await;
    exact(&session, &["at_once"]).await;

    run(&session, "SELECT create_distributed_table('a', 'id'); INSERT INTO a VALUES (300, 2); DELETE FROM a WHERE id = 5").await;
    for (name, by) in [("of_a", &other), ("joined", &session)] {
        let refresh =
            format!("SELECT action || ' ' || reason FROM pgtrickle.refresh_stream_table('{name}')");
        assert_eq!(value(by, &refresh).await, "FULL CITUS_DISTRIBUTED_TABLE");
        exact(by, &[name]).await;
    }

    let error = session
        .execute("SELECT undistribute_table('a')")
        .await
        .unwrap_err();
    assert_eq!(error.sqlstate, "2BP01", "{error}");
    exact(&session, &["of_a", "joined"]).await;
    run(&session, "SELECT pgtrickle.drop_stream_table('of_a'); SELECT pgtrickle.drop_stream_table('joined');
                   SELECT undistribute_table('a');
                   SELECT pgtrickle.create_stream_table('of_a', 'SELECT g, count(*) AS n FROM a GROUP BY g', '1h');
                   INSERT INTO a VALUES (400, 3)").await;
    let mode = "SELECT refresh_mode FROM pgtrickle.pgt_status() WHERE name = 'of_a'";
    assert_eq!(value(&session, mode).await, "DIFFERENTIAL");
    refreshed(&session, "of_a").await;
    exact(&session, &["of_a"]).await;
}
