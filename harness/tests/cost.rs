//! AUTO chooses between deltas and recomputation by what they cost; the other modes do not.

use harness::client::Session;
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::insist::{exact, run, value};
use harness::runtime::connect;

const ROWS: u32 = 60_000;

async fn prepared(cluster: &Cluster) -> Session {
    let session = connect(cluster, "postgres").await.expect("a session");
    run(
        &session,
        &format!(
            "CREATE TABLE t (id int PRIMARY KEY, g int NOT NULL, v int NOT NULL);
             INSERT INTO t SELECT i, i % 1000, i FROM generate_series(1, {ROWS}) i;
             ANALYZE t"
        ),
    )
    .await;
    for mode in ["AUTO", "DIFFERENTIAL", "IMMEDIATE"] {
        run(
            &session,
            &format!(
                "SELECT pgtrickle.create_stream_table('of_{mode}',
                     'SELECT g, count(*) AS n, max(v) AS best FROM t GROUP BY g', refresh_mode => '{mode}')"
            ),
        )
        .await;
    }
    session
}

async fn refreshed(session: &Session, mode: &str) -> String {
    let sql = format!(
        "SELECT concat_ws(' ', action, reason) FROM pgtrickle.refresh_stream_table('of_{mode}')"
    );
    value(session, &sql).await
}

async fn delta_rows(session: &Session, mode: &str) -> u32 {
    let sql = format!("SELECT delta_rows FROM pgtrickle.get_refresh_history('of_{mode}', 1)");
    value(session, &sql).await.parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn only_auto_recomputes_for_cost_and_only_where_so_much_has_changed() {
    let options = ClusterOptions::new().extension(ExtensionDir::installed().unwrap());
    let cluster = Cluster::start(&options).unwrap();
    let session = prepared(&cluster).await;
    run(&session, "UPDATE t SET v = v + 1").await;
    assert_eq!(refreshed(&session, "AUTO").await, "FULL COST");
    assert_eq!(refreshed(&session, "DIFFERENTIAL").await, "DIFFERENTIAL");
    // What is read is counted; of what is not, some pages tell about how much it is.
    assert_eq!(delta_rows(&session, "DIFFERENTIAL").await, 2 * ROWS);
    let about = delta_rows(&session, "AUTO").await;
    assert!(about.abs_diff(2 * ROWS) <= ROWS / 50, "about {about} rows");
    exact(&session, &["of_AUTO", "of_DIFFERENTIAL", "of_IMMEDIATE"]).await;

    for changed in [1, 100] {
        run(
            &session,
            &format!("UPDATE t SET v = v + 1 WHERE id <= {changed}"),
        )
        .await;
        assert_eq!(refreshed(&session, "AUTO").await, "DIFFERENTIAL");
        assert_eq!(delta_rows(&session, "AUTO").await, 2 * changed);
    }
    exact(&session, &["of_AUTO"]).await;
    let reasons = "SELECT string_agg(DISTINCT coalesce(reason, ''), '|') FROM pgtrickle.get_refresh_history('of_IMMEDIATE')";
    assert_eq!(value(&session, reasons).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_another_transaction_has_not_committed_do_not_count() {
    let options = ClusterOptions::new().extension(ExtensionDir::installed().unwrap());
    let cluster = Cluster::start(&options).unwrap();
    let session = prepared(&cluster).await;
    let other = connect(&cluster, "postgres").await.expect("a session");
    run(&other, "SELECT pgtrickle.drop_stream_table('of_IMMEDIATE')").await;
    run(&other, "BEGIN; UPDATE t SET v = v + 1 WHERE id > 10").await;
    run(&session, "UPDATE t SET v = v + 1 WHERE id <= 10").await;
    assert_eq!(refreshed(&session, "AUTO").await, "DIFFERENTIAL");
    run(&other, "COMMIT").await;
    assert_eq!(refreshed(&session, "AUTO").await, "FULL COST");
    // The rows that it has taken in stay in the buffer for the one that has not, and count no more.
    run(&session, "UPDATE t SET v = v + 1 WHERE id <= 10").await;
    assert_eq!(refreshed(&session, "AUTO").await, "DIFFERENTIAL");
    exact(&session, &["of_AUTO"]).await;
}

/// The bytes of all state tables, with their indexes.
const STATE_BYTES: &str = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class
    WHERE relnamespace = 'pgtrickle_state'::regnamespace AND relkind = 'r'";

#[tokio::test(flavor = "multi_thread")]
async fn after_very_many_changes_state_tables_are_filled_again() {
    let options = ClusterOptions::new()
        .extension(ExtensionDir::installed().unwrap())
        .setting("autovacuum", "off");
    let cluster = Cluster::start(&options).unwrap();
    let session = connect(&cluster, "postgres").await.expect("a session");
    let set_up = format!(
        "CREATE TABLE t (id int PRIMARY KEY, g int NOT NULL, v text NOT NULL);
         INSERT INTO t SELECT i, i % 20000, 'v' || i % 7 FROM generate_series(1, {ROWS}) i;
         ANALYZE t;
         SELECT pgtrickle.create_stream_table('of_AUTO', 'SELECT DISTINCT g, v FROM t')"
    );
    run(&session, &set_up).await;
    let bytes = async || {
        let bytes = value(&session, STATE_BYTES).await;
        bytes.parse::<u64>().expect("a number")
    };
    let before = bytes().await;
    let change = "UPDATE t SET g = (g + 1) % 30000, v = v || 'x'";
    let touch = "UPDATE t SET v = 'y' WHERE id <= 10; DELETE FROM t WHERE id BETWEEN 11 AND 20";

    run(&session, change).await;
    assert_eq!(refreshed(&session, "AUTO").await, "FULL COST");
    let after = bytes().await;
    assert!(after < before * 3 / 2, "{before} bytes, then {after}");
    exact(&session, &["of_AUTO"]).await;
    run(&session, touch).await;
    assert_eq!(refreshed(&session, "AUTO").await, "DIFFERENTIAL");
    exact(&session, &["of_AUTO"]).await;

    // A statement that fails after it leaves everything as it was.
    run(&session, change).await;
    let fails = "SELECT count(*) / 0 FROM pgtrickle.refresh_stream_table('of_AUTO')";
    assert!(session.execute(fails).await.is_err());
    assert_eq!(bytes().await, after);
    // Whoever reads a state table is not disturbed.
    let reader = connect(&cluster, "postgres").await.expect("a session");
    let state = "SELECT oid::regclass FROM pg_class
        WHERE relnamespace = 'pgtrickle_state'::regnamespace AND relkind = 'r'";
    let state = value(&session, state).await;
    run(
        &reader,
        &format!("BEGIN; LOCK TABLE {state} IN ACCESS SHARE MODE"),
    )
    .await;
    assert_eq!(refreshed(&session, "AUTO").await, "FULL COST");
    run(&reader, "COMMIT").await;
    exact(&session, &["of_AUTO"]).await;
    run(
        &session,
        "UPDATE t SET v = v WHERE id <= 10; UPDATE t SET g = 1 WHERE id = 77",
    )
    .await;
    assert_eq!(refreshed(&session, "AUTO").await, "DIFFERENTIAL");
    exact(&session, &["of_AUTO"]).await;

    run(&session, &format!("BEGIN; {change}")).await;
    assert_eq!(refreshed(&session, "AUTO").await, "FULL COST");
    run(&session, "ROLLBACK").await;
    exact(&session, &["of_AUTO"]).await;
    run(&session, touch).await;
    refreshed(&session, "AUTO").await;
    exact(&session, &["of_AUTO"]).await;
}
