//! Stream tables that follow their sources by themselves: wake-up, schedules, chains, diamonds,
//! failures, suspension, drain.

use std::time::{Duration, Instant};

use harness::client::Session;
use harness::cluster::Cluster;
use harness::runtime::{follows, scheduled_cluster, wait_for};

async fn session(cluster: &Cluster) -> Session {
    let session = Session::connect(cluster, "postgres")
        .await
        .expect("a session");
    session
        .execute("CREATE EXTENSION IF NOT EXISTS pg_trickle")
        .await
        .expect("the extension");
    session
}

async fn run(session: &Session, sql: &str) {
    session
        .execute(sql)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
}

async fn value(session: &Session, sql: &str) -> String {
    session
        .scalar(sql)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

async fn until(session: &Session, condition: &str) -> Duration {
    wait_for(session, condition)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

async fn exact(session: &Session, names: &[&str]) {
    for name in names {
        follows(session, name)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_visible_in_the_stream_table_soon_and_without_polling() {
    let cluster = scheduled_cluster(&[]).expect("a cluster");
    let session = session(&cluster).await;
    for writer in ["native", "sql"] {
        run(
            &session,
            &format!(
                "SET pg_trickle.cdc_trigger_mode = {writer};
                 CREATE TABLE t_{writer} (id int PRIMARY KEY, g int, v int);
                 SELECT pgtrickle.create_stream_table('s_{writer}',
                     'SELECT g, count(*) AS n, sum(v) AS s FROM t_{writer} GROUP BY g')"
            ),
        )
        .await;
        let mut latencies = Vec::new();
        for id in 0..50 {
            run(
                &session,
                &format!("INSERT INTO t_{writer} VALUES ({id}, {id} % 5, {id})"),
            )
            .await;
            let start = Instant::now();
            let sql = format!("SELECT sum(n) FROM s_{writer}");
            while value(&session, &sql).await != (id + 1).to_string() {
                assert!(start.elapsed() < Duration::from_secs(10), "{id}");
            }
            latencies.push(start.elapsed());
        }
        latencies.sort();
        println!(
            "{writer}: median {:?}, worst {:?}",
            latencies[25], latencies[49]
        );
        assert!(latencies[25] < Duration::from_millis(250), "{latencies:?}");
        exact(&session, &[&format!("s_{writer}")]).await;
    }
    // COMMIT PREPARED is another session's business, and has no capture of its own.
    run(
        &session,
        "BEGIN; INSERT INTO t_native VALUES (1000, 1, 1); PREPARE TRANSACTION 'later'",
    )
    .await;
    let other = Session::connect(&cluster, "postgres")
        .await
        .expect("a session");
    run(&other, "COMMIT PREPARED 'later'").await;
    until(&session, "SELECT sum(n) = 51 FROM s_native").await;
    // Rolled back, nothing is to be done.
    let wakeups = "SELECT value FROM pgtrickle.runtime_counters() WHERE name = 'wakeups_total'";
    let before = value(&session, wakeups).await;
    run(&session, "BEGIN; DELETE FROM t_native; ROLLBACK").await;
    assert_eq!(value(&session, wakeups).await, before);
}
