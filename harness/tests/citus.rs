//! On a coordinator of Citus with two workers: what Citus manages is recomputed or refused, never followed wrongly.
//!
//! It takes a server that has Citus. Where it has none the tests are reported as skipped, with the reason, which
//! fails where `PGT_REQUIRE_CITUS` is set.

use harness::client::Session;
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::insist::{exact, run, value};
use harness::postgres;
use harness::runtime::connect;

/// A coordinator and its workers.
struct Citus {
    coordinator: Cluster,
    _workers: [Cluster; 2],
}

/// Whether the server has Citus; otherwise says that the test is skipped.
fn has_citus(test: &str) -> bool {
    let found = postgres::locate(postgres::MAJOR).map_err(|error| error.to_string());
    let found = found.and_then(|server| {
        let control = server.share_dir.join("extension/citus.control");
        let missing = || format!("{} is missing", control.display());
        control.is_file().then_some(()).ok_or_else(missing)
    });
    if let Err(why) = &found {
        println!("skipped: {test}: {why}");
        assert!(
            std::env::var_os("PGT_REQUIRE_CITUS").is_none(),
            "{test} needs Citus: {why}"
        );
    }
    found.is_ok()
}

fn node() -> Cluster {
    let options = ClusterOptions::new()
        .extension(ExtensionDir::installed().unwrap())
        .setting("shared_preload_libraries", "citus, pg_trickle")
        .setting("wal_level", "logical")
        .setting("citus.shard_count", "4")
        .setting("max_worker_processes", "32");
    Cluster::start(&options).unwrap()
}

impl Citus {
    async fn start() -> (Self, Session) {
        let (coordinator, workers) = (node(), [node(), node()]);
        for worker in &workers {
            let session = Session::connect(worker, "postgres").await.unwrap();
            run(
                &session,
                "CREATE EXTENSION citus; CREATE EXTENSION pg_trickle",
            )
            .await;
        }
        let session = Session::connect(&coordinator, "postgres").await.unwrap();
        run(&session, "CREATE EXTENSION citus").await;
        let session = connect(&coordinator, "postgres").await.unwrap();
        for (function, node) in [("citus_set_coordinator_host", &coordinator)]
            .into_iter()
            .chain(workers.iter().map(|worker| ("citus_add_node", worker)))
        {
            let (folder, port) = (node.socket_dir().display(), node.port());
            run(&session, &format!("SELECT {function}('{folder}', {port})")).await;
        }
        let citus = Citus {
            coordinator,
            _workers: workers,
        };
        (citus, session)
    }
}

const TABLES: &str = "
CREATE TABLE d (id int PRIMARY KEY, g int, v numeric); SELECT create_distributed_table('d', 'id');
CREATE TABLE r (g int PRIMARY KEY, name text); SELECT create_reference_table('r');
CREATE TABLE l (id int PRIMARY KEY, g int); SELECT citus_add_local_table_to_metadata('l');
CREATE TABLE p (id int PRIMARY KEY, g int);
INSERT INTO d SELECT i, i % 5, i FROM generate_series(1, 100) i;
INSERT INTO r SELECT i, 'group ' || i FROM generate_series(0, 4) i;
INSERT INTO l SELECT i, i % 5 FROM generate_series(1, 20) i;
INSERT INTO p SELECT i, i % 5 FROM generate_series(1, 20) i;
";

/// Names, queries, and the codes by which they are recomputed.
const QUERIES: [(&str, &str, &str); 5] = [
    (
        "of_distributed",
        "SELECT g, count(*) AS n, sum(v) AS v FROM d GROUP BY g",
        "CITUS_DISTRIBUTED_TABLE",
    ),
    (
        "of_reference",
        "SELECT g, name FROM r WHERE g > 1",
        "CITUS_REFERENCE_TABLE",
    ),
    (
        "of_local",
        "SELECT g, count(*) AS n FROM l GROUP BY g",
        "CITUS_LOCAL_TABLE",
    ),
    (
        "of_plain_and_reference",
        "SELECT p.id, r.name FROM p JOIN r USING (g)",
        "CITUS_REFERENCE_TABLE",
    ),
    (
        "of_both",
        "SELECT d.id, r.name FROM d JOIN r USING (g)",
        "CITUS_DISTRIBUTED_TABLE",
    ),
];

const CHANGES: &str = "
INSERT INTO d VALUES (5001, 1, 5); UPDATE d SET v = v + 1 WHERE g = 2; DELETE FROM d WHERE id = 7;
INSERT INTO r VALUES (7, 'seven'); UPDATE r SET name = name || '!' WHERE g = 3;
INSERT INTO l VALUES (500, 2); DELETE FROM l WHERE id = 3;
INSERT INTO p VALUES (500, 7); UPDATE p SET g = 3 WHERE id = 4;
";

#[tokio::test(flavor = "multi_thread")]
async fn what_citus_manages_is_recomputed() {
    if !has_citus("what_citus_manages_is_recomputed") {
        return;
    }
    let (_citus, session) = Citus::start().await;
    run(&session, TABLES).await;
    for (name, query, code) in QUERIES {
        for mode in ["DIFFERENTIAL", "IMMEDIATE"] {
            let create = format!(
                "SELECT pgtrickle.create_stream_table('no', $$ {query} $$, refresh_mode => '{mode}')"
            );
            let error = session.execute(&create).await.unwrap_err();
            assert_eq!(error.sqlstate, "0A000", "{error}");
            assert!(error.to_string().contains(&format!("({code})")), "{error}");
        }
        let create = format!("SELECT pgtrickle.create_stream_table('{name}', $$ {query} $$, '1h')");
        run(&session, &create).await;
        let chosen = format!(
            "SELECT refresh_mode || ' ' || mode_code FROM pgtrickle.pgt_status() WHERE name = '{name}'"
        );
        assert_eq!(value(&session, &chosen).await, format!("FULL {code}"));
    }
    run(&session, CHANGES).await;
    for (name, _, code) in QUERIES {
        let refresh =
            format!("SELECT action || ' ' || reason FROM pgtrickle.refresh_stream_table('{name}')");
        assert_eq!(value(&session, &refresh).await, format!("FULL {code}"));
        exact(&session, &[name]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_citus_takes_over_later_is_noticed() {
    if !has_citus("a_table_that_citus_takes_over_later_is_noticed") {
        return;
    }
    let (citus, session) = Citus::start().await;
    run(&session, "
        CREATE TABLE a (id int PRIMARY KEY, g int);
        CREATE TABLE b (id int PRIMARY KEY, g int);
        INSERT INTO a SELECT i, i % 5 FROM generate_series(1, 100) i;
        INSERT INTO b SELECT i, i % 5 FROM generate_series(1, 100) i;
        SELECT pgtrickle.create_stream_table('of_a', 'SELECT g, count(*) AS n FROM a GROUP BY g', '1h');
        SELECT pgtrickle.create_stream_table('joined', 'SELECT a.id, b.g FROM a JOIN b USING (id)', '1h');
        SELECT pgtrickle.create_stream_table('at_once', 'SELECT g, count(*) AS n FROM b GROUP BY g', refresh_mode => 'IMMEDIATE')").await;
    // Another session has a plan of it, and is told.
    let other = connect(&citus.coordinator, "postgres").await.unwrap();
    run(
        &other,
        "INSERT INTO a VALUES (200, 1); SELECT pgtrickle.refresh_stream_table('of_a')",
    )
    .await;

    for (takes_over, state, text) in [
        (
            "create_distributed_table('b', 'id')",
            "0A000",
            "\"at_once\" could not be maintained in IMMEDIATE mode any more",
        ),
        (
            "create_reference_table('b')",
            "0A000",
            "\"at_once\" could not be maintained in IMMEDIATE mode any more",
        ),
        (
            "create_distributed_table('of_a', 'g')",
            "0A000",
            "stream table \"of_a\" cannot be a table of Citus",
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
    let refresh = "SELECT action FROM pgtrickle.refresh_stream_table('of_a')";
    assert_eq!(value(&session, refresh).await, "DIFFERENTIAL");
    exact(&session, &["of_a"]).await;
}
