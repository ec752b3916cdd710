//! Rows that are linked with state by values that may be NULL are found without comparing each with each: counted by the
//! server, over the creation of a stream table and over large deltas, with and without an index on the values.

use harness::client::Session;
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::insist::{exact, run, value};
use harness::runtime::connect;

const ROWS: u32 = 3_000;

/// So many rows may be read and compared for each row that there is.
const READS_PER_ROW: f64 = 200.0;

/// Queries whose conditions on outer values are more than equalities.
const QUERIES: [(&str, &str); 5] = [
    (
        "not_exists",
        "SELECT id FROM o WHERE NOT EXISTS (SELECT FROM e WHERE e.g = o.g AND e.v > o.v)",
    ),
    (
        "left_joined",
        "SELECT o.id, e.id AS other FROM o LEFT JOIN e ON e.g = o.g AND e.v > o.v",
    ),
    (
        "counted",
        "SELECT id, (SELECT count(*) FROM e WHERE e.g = o.g AND e.v < o.v) AS n FROM o",
    ),
    (
        "first_lateral",
        "SELECT o.id, x.v FROM o LEFT JOIN LATERAL
             (SELECT v FROM e WHERE e.g = o.g AND e.v <= o.v ORDER BY v DESC LIMIT 1) x ON true",
    ),
    (
        "counted_lateral",
        "SELECT o.id, x.n FROM o CROSS JOIN LATERAL
             (SELECT count(*) AS n, max(e.v) AS m FROM e WHERE e.g = o.g AND e.v BETWEEN o.v AND o.v + 9) x",
    ),
];

/// How many rows the nodes of all recorded plans returned or removed.
fn read(log: &str) -> f64 {
    let (mut read, mut rows, mut loops) = (0.0, 0.0, 0.0);
    for line in log.lines() {
        let Some((name, text)) = line.trim().split_once(": ") else {
            continue;
        };
        let number = || text.trim_end_matches(',').parse::<f64>();
        match name.trim_matches('"') {
            "Actual Rows" => rows = number().expect("a number"),
            "Actual Loops" => {
                loops = number().expect("a number");
                read += rows * loops;
            }
            removed if removed.starts_with("Rows Removed by") => {
                read += number().expect("a number") * loops;
            }
            _ => {}
        }
    }
    read
}

/// What the server reads for a statement, and those that it makes.
async fn reads(cluster: &Cluster, session: &Session, sql: &str) -> f64 {
    let mark = cluster.log_mark();
    run(session, "SET auto_explain.log_min_duration = 0").await;
    value(session, sql).await;
    run(session, "SET auto_explain.log_min_duration = -1").await;
    read(&cluster.log_since(mark))
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_linked_by_values_that_may_be_null_are_not_compared_each_with_each() {
    let options = ClusterOptions::new()
        .extension(ExtensionDir::installed().unwrap())
        .setting("session_preload_libraries", "auto_explain")
        .setting("auto_explain.log_min_duration", "-1")
        .setting("auto_explain.log_nested_statements", "on")
        .setting("auto_explain.log_analyze", "on")
        .setting("auto_explain.log_timing", "off")
        .setting("auto_explain.log_format", "json");
    let cluster = Cluster::start(&options).unwrap();
    let session = connect(&cluster, "postgres").await.expect("a session");
    let set_up = format!(
        "CREATE TABLE o (id int PRIMARY KEY, g int, v int);
         CREATE TABLE e (id int PRIMARY KEY, g int, v int);
         INSERT INTO o SELECT i, nullif(i % 301, 0), nullif(i * 7919 % 5003, 1) FROM generate_series(1, {ROWS}) i;
         INSERT INTO e SELECT i, nullif(i * 7 % 301, 0), nullif(i * 6007 % 5003, 1) FROM generate_series(1, {ROWS}) i;
         CREATE INDEX ON e (g, v);
         ANALYZE o, e"
    );
    run(&session, &set_up).await;
    let at_most = READS_PER_ROW * f64::from(ROWS);
    for (name, query) in QUERIES {
        let create = format!(
            "SELECT pgtrickle.create_stream_table('{name}', $q${query}$q$, refresh_mode => 'DIFFERENTIAL')::text"
        );
        let created = reads(&cluster, &session, &create).await;
        assert!(created > 0.0, "{name}: the server recorded no plan");
        assert!(created <= at_most, "{name}: creation read {created} rows");
    }
    for index in ["", "CREATE INDEX ON o (g, v); ANALYZE o"] {
        if !index.is_empty() {
            run(&session, index).await;
        }
        for change in [
            "UPDATE o SET v = v + 1 WHERE id <= 2000",
            "UPDATE e SET v = v + 1 WHERE id <= 2000",
        ] {
            run(&session, change).await;
            for (name, _) in QUERIES {
                let refresh =
                    format!("SELECT action FROM pgtrickle.refresh_stream_table('{name}')");
                let refreshed = reads(&cluster, &session, &refresh).await;
                assert!(
                    refreshed <= at_most,
                    "{name}: {change} ({index}): the refresh read {refreshed} rows"
                );
            }
        }
    }
    exact(&session, &QUERIES.map(|(name, _)| name)).await;
}
