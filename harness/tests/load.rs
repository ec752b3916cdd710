//! More work than the workers can do, and sessions that wait for a refresh.

use std::time::{Duration, Instant};

use harness::client::Session;
use harness::cluster::Cluster;
use harness::insist::{exact, run, until, value};
use harness::runtime::{connect, scheduled_cluster};

async fn session(cluster: &Cluster) -> Session {
    connect(cluster, "postgres").await.expect("a session")
}

/// A function that takes its time, which the planner does not know.
const SLOW: &str = "CREATE FUNCTION slow(v int) RETURNS int IMMUTABLE LANGUAGE plpgsql
    AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN v; END $$";

#[tokio::test(flavor = "multi_thread")]
async fn a_table_created_last_follows_while_earlier_ones_could_keep_the_worker_busy() {
    let cluster = scheduled_cluster(&[
        ("pg_trickle.max_refresh_workers", "1"),
        ("pg_trickle.refresh_share_percent", "100"),
    ])
    .expect("a cluster");
    let session = session(&cluster).await;
    run(&session, SLOW).await;
    // Each is due again before the others have had their turn.
    for name in ["a", "b", "c", "d"] {
        run(
            &session,
            &format!(
                "CREATE TABLE t_{name} (id int PRIMARY KEY, v int);
                 INSERT INTO t_{name} VALUES (1, 0);
                 SELECT pgtrickle.create_stream_table('s_{name}', 'SELECT id, slow(v) AS v FROM t_{name}')"
            ),
        )
        .await;
    }
    run(
        &session,
        "CREATE TABLE t (id int PRIMARY KEY); SELECT pgtrickle.create_stream_table('last', 'SELECT id FROM t')",
    )
    .await;
    let writer = connect(&cluster, "postgres").await.expect("a session");
    let writing = tokio::spawn(async move {
        for _ in 0..400 {
            for name in ["a", "b", "c", "d"] {
                run(&writer, &format!("UPDATE t_{name} SET v = v + 1")).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let mut slowest = Duration::ZERO;
    for id in 0..5 {
        let start = Instant::now();
        run(&session, &format!("INSERT INTO t VALUES ({id})")).await;
        until(&session, &format!("SELECT count(*) > {id} FROM last")).await;
        slowest = slowest.max(start.elapsed());
    }
    println!("slowest: {slowest:?}");
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
    // Four tables of a tenth of a second each have one worker busy all the time.
    until(
        &session,
        "SELECT saturation > 0.5 FROM pgtrickle.refresh_load()",
    )
    .await;
    until(
        &session,
        "SELECT count(*) >= 2 FROM pgtrickle.pgt_status() WHERE worker_share > 0.05",
    )
    .await;
    writing.abort();
    until(
        &session,
        "SELECT saturation < 0.1 AND waiting_seconds = 0 FROM pgtrickle.refresh_load()",
    )
    .await;
    exact(&session, &["s_a", "s_d", "last"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_gives_way_to_a_session_that_waits_for_its_lock() {
    let cluster = scheduled_cluster(&[]).expect("a cluster");
    let session = session(&cluster).await;
    run(&session, SLOW).await;
    run(
        &session,
        "CREATE TABLE t (id int PRIMARY KEY);
         INSERT INTO t SELECT generate_series(1, 150);
         SELECT pgtrickle.create_stream_table('s', 'SELECT id, slow(id) AS v FROM t', initialize => false)",
    )
    .await;
    let is_busy = "SELECT count(*) > 0 FROM pgtrickle.refresh_workers() WHERE state = 'BUSY' AND pgt_id IS NOT NULL";
    until(&session, is_busy).await;
    let start = Instant::now();
    run(&session, "ALTER TABLE t ADD COLUMN note text").await;
    let waited = start.elapsed();
    assert!(waited < Duration::from_secs(8), "{waited:?} of fifteen");
    let times = value(
        &session,
        "SELECT value FROM pgtrickle.runtime_counters() WHERE name = 'refreshes_given_way_total'",
    )
    .await;
    assert_eq!(times, "1");
    // It is begun again, and is no failure.
    until(&session, "SELECT count(*) = 150 FROM s").await;
    exact(&session, &["s"]).await;
    let failures =
        "SELECT count(*) FROM pgtrickle.get_refresh_history('s') WHERE status = 'FAILED'";
    assert_eq!(value(&session, failures).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_has_locked_keeps_no_worker_from_the_others() {
    let cluster = scheduled_cluster(&[("pg_trickle.max_refresh_workers", "1")]).expect("a cluster");
    let session = session(&cluster).await;
    run(
        &session,
        "CREATE TABLE t_a (id int PRIMARY KEY);
         CREATE TABLE t_b (id int PRIMARY KEY);
         CREATE TABLE t_c (id int PRIMARY KEY);
         CREATE TABLE t_d (id int PRIMARY KEY);
         SELECT pgtrickle.create_stream_table('a', 'SELECT id FROM t_a');
         SELECT pgtrickle.create_stream_table('above', 'SELECT count(*) AS n FROM a');
         SELECT pgtrickle.create_stream_table('b', 'SELECT id FROM t_b');
         SELECT pgtrickle.create_stream_table('c', 'SELECT id FROM t_c UNION ALL SELECT id FROM t_d')",
    )
    .await;
    exact(&session, &["a", "above", "b", "c"]).await;
    let locker = connect(&cluster, "postgres").await.expect("a session");
    // A stream table, and a source of another.
    for (locked, written, name, first) in [("a", "t_a", "a", 0), ("t_c", "t_d", "c", 100)] {
        let lock = format!("BEGIN; LOCK TABLE {locked} IN ACCESS EXCLUSIVE MODE");
        run(&locker, &lock).await;
        run(&session, &format!("INSERT INTO {written} VALUES (1)")).await;
        let (mut slowest, mut waited) = (Duration::ZERO, Duration::ZERO);
        for id in first..first + 20 {
            run(&session, &format!("INSERT INTO t_b VALUES ({id})")).await;
            let seen = format!("SELECT count(*) > 0 FROM b WHERE id = {id}");
            let took = until(&session, &seen).await;
            (slowest, waited) = (slowest.max(took), waited + took);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        println!(
            "{locked} is locked: 20 changes beside it seen in {waited:?}, {slowest:?} at most"
        );
        assert!(waited < Duration::from_secs(5), "{waited:?}, {slowest:?}");
        run(&locker, "COMMIT").await;
        let behind = until(&session, &format!("SELECT count(*) > 0 FROM {name}")).await;
        println!("{name} followed {behind:?} after {locked} was let go");
        assert!(behind < Duration::from_secs(5), "{behind:?}");
    }
    exact(&session, &["a", "above", "b", "c"]).await;
    let failures = "SELECT count(*) FROM pgtrickle.pgt_refresh_history WHERE error IS NOT NULL";
    assert_eq!(value(&session, failures).await, "0");
}
