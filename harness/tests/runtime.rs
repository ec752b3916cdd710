//! Stream tables that follow their sources by themselves: wake-up, schedules, diamonds, and the
//! silence of a server that has nothing to do.

use std::time::{Duration, Instant};

use harness::client::Session;
use harness::cluster::Cluster;
use harness::insist::{exact, run, until, value};
use harness::runtime::{connect, scheduled_cluster};

async fn session(cluster: &Cluster) -> Session {
    connect(cluster, "postgres").await.expect("a session")
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

#[tokio::test(flavor = "multi_thread")]
async fn a_diamond_is_of_one_moment_while_others_write() {
    let cluster = scheduled_cluster(&[]).expect("a cluster");
    let session = session(&cluster).await;
    run(
        &session,
        "CREATE TABLE t (id int PRIMARY KEY, g int, v int);
         SELECT pgtrickle.create_stream_table('sums', 'SELECT g, sum(v) AS s FROM t GROUP BY g');
         SELECT pgtrickle.create_stream_table('counts', 'SELECT g, count(*) AS n FROM t GROUP BY g');
         SELECT pgtrickle.create_stream_table('joined',
             'SELECT s.g, s.s, c.n FROM sums s JOIN counts c ON c.g = s.g');
         SELECT pgtrickle.create_stream_table('total', 'SELECT sum(s) AS s, sum(n) AS n FROM joined')",
    )
    .await;
    let writer = Session::connect(&cluster, "postgres")
        .await
        .expect("a session");
    let writing = tokio::spawn(async move {
        for id in 0..400 {
            // Every row counts one and weighs one, so that sum and count are always equal.
            run(
                &writer,
                &format!("INSERT INTO t VALUES ({id}, {id} % 7, 1)"),
            )
            .await;
        }
    });
    let mut looks = 0;
    while !writing.is_finished() {
        let torn = value(
            &session,
            "SELECT (SELECT count(*) FROM joined WHERE s <> n)
                  + (SELECT count(*) FROM sums JOIN counts USING (g) WHERE s <> n)
                  + (SELECT count(*) FROM total WHERE s <> (SELECT sum(s) FROM sums))",
        )
        .await;
        assert_eq!(torn, "0", "after {looks} looks");
        looks += 1;
    }
    writing.await.expect("written");
    until(&session, "SELECT n = 400 FROM total").await;
    exact(&session, &["sums", "counts", "joined", "total"]).await;
    // All four were refreshed together each time that anything was.
    let failed = "SELECT count(*) FROM pgtrickle.pgt_refresh_history WHERE status = 'FAILED'";
    assert_eq!(value(&session, failed).await, "0");
    println!("{looks} looks");
}

#[tokio::test(flavor = "multi_thread")]
async fn intervals_and_cron_keep_their_time() {
    let cluster =
        scheduled_cluster(&[("pg_trickle.full_refresh_interval", "1s")]).expect("a cluster");
    let session = session(&cluster).await;
    run(
        &session,
        "CREATE TABLE t (id int PRIMARY KEY, g int);
         SELECT pgtrickle.create_stream_table('every', 'SELECT g, count(*) AS n FROM t GROUP BY g', '400ms');
         SELECT pgtrickle.create_stream_table('cron', 'SELECT g, count(*) AS n FROM t GROUP BY g', '* * * * * *');
         SELECT pgtrickle.create_stream_table('yearly', 'SELECT g, count(*) AS n FROM t GROUP BY g', '@yearly');
         SELECT pgtrickle.create_stream_table('later', 'SELECT g, count(*) AS n FROM t GROUP BY g', '@yearly', initialize => false);
         SELECT pgtrickle.create_stream_table('whole', 'SELECT g, count(*) AS n FROM t GROUP BY g', refresh_mode => 'FULL');
         SELECT pgtrickle.create_stream_table('held', 'SELECT g, count(*) AS n FROM t GROUP BY g');
         SELECT pgtrickle.suspend_stream_table('held')",
    )
    .await;
    // A table that has not been filled is filled at once, whatever its schedule.
    until(
        &session,
        "SELECT is_populated FROM pgtrickle.pgt_status() WHERE name = 'later'",
    )
    .await;
    for id in 0..20 {
        run(&session, &format!("INSERT INTO t VALUES ({id}, 1)")).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for name in ["every", "cron", "whole"] {
        until(&session, &format!("SELECT sum(n) = 20 FROM {name}")).await;
    }
    for (name, at_least, at_most) in [("every", 3, 8), ("cron", 1, 5)] {
        let refreshes: i32 = value(
            &session,
            &format!(
                "SELECT count(*) FROM pgtrickle.get_refresh_history('{name}', 100)
                 WHERE action = 'DIFFERENTIAL'"
            ),
        )
        .await
        .parse()
        .expect("a number");
        assert!(
            (at_least..=at_most).contains(&refreshes),
            "{name}: {refreshes} refreshes"
        );
    }
    for name in ["yearly", "held"] {
        assert_eq!(
            value(&session, &format!("SELECT count(*) FROM {name}")).await,
            "0"
        );
    }
    run(&session, "SELECT pgtrickle.resume_stream_table('held')").await;
    until(&session, "SELECT sum(n) = 20 FROM held").await;
    // Another schedule holds from now on.
    run(
        &session,
        "SELECT pgtrickle.alter_stream_table('yearly', schedule => 'calculated')",
    )
    .await;
    until(&session, "SELECT sum(n) = 20 FROM yearly").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_scheduler_counts_an_overflow_and_misses_nothing() {
    let cluster =
        scheduled_cluster(&[("pg_trickle.invalidation_ring_capacity", "4")]).expect("a cluster");
    let session = session(&cluster).await;
    run(&session, "CREATE TABLE t (id int PRIMARY KEY)").await;
    until(&session, "SELECT pgtrickle.scheduler_state() = 'RUNNING'").await;
    let create: String = (0..12)
        .map(|i| {
            format!("SELECT pgtrickle.create_stream_table('s{i}', 'SELECT id, {i} AS i FROM t');")
        })
        .collect();
    run(
        &session,
        &format!("BEGIN; {create} COMMIT; INSERT INTO t VALUES (1)"),
    )
    .await;
    for i in 0..12 {
        until(&session, &format!("SELECT count(*) = 1 FROM s{i}")).await;
    }
    let overflows = "SELECT value > 0 FROM pgtrickle.metrics() WHERE name = 'invalidation_ring_overflows_total'";
    assert_eq!(value(&session, overflows).await, "t");
    // Dropped ones are forgotten, and the rest goes on.
    let drop: String = (0..6)
        .map(|i| format!("SELECT pgtrickle.drop_stream_table('s{i}');"))
        .collect();
    run(
        &session,
        &format!("BEGIN; {drop} COMMIT; INSERT INTO t VALUES (2)"),
    )
    .await;
    until(&session, "SELECT count(*) = 2 FROM s11").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_kept_short_and_its_sums_are_kept() {
    let cluster = scheduled_cluster(&[
        ("pg_trickle.history_rows", "5"),
        ("pg_trickle.min_refresh_interval_ms", "0"),
    ])
    .expect("a cluster");
    let session = session(&cluster).await;
    run(
        &session,
        "CREATE TABLE t (id int PRIMARY KEY);
         SELECT pgtrickle.create_stream_table('s', 'SELECT id FROM t')",
    )
    .await;
    for id in 0..30 {
        run(&session, &format!("INSERT INTO t VALUES ({id})")).await;
        until(&session, &format!("SELECT count(*) = {} FROM s", id + 1)).await;
    }
    until(
        &session,
        "SELECT count(*) = 5 FROM pgtrickle.pgt_refresh_history",
    )
    .await;
    assert_eq!(
        value(
            &session,
            "SELECT sum(value) FROM pgtrickle.metrics() WHERE name = 'rows_inserted_total'"
        )
        .await,
        "30"
    );
    // 31 refreshes, the fill included, each in one class of durations.
    assert_eq!(
        value(
            &session,
            "SELECT format('%s %s', sum(refreshes), bool_and(duration_ms <= refreshes * bound_ms))
             FROM pgtrickle.pgt_refresh_figures"
        )
        .await,
        "31 t"
    );
}

/// Processor time and sleeps of a process so far: clock ticks, and voluntary context switches.
fn usage(pid: &str) -> (u64, u64) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let after_name: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .collect();
    let ticks = after_name[11..13]
        .iter()
        .map(|n| n.parse::<u64>().unwrap_or(0))
        .sum();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let switches = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
        .and_then(|n| n.trim().parse().ok())
        .expect("a count");
    (ticks, switches)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_server_does_nothing() {
    let cluster = scheduled_cluster(&[]).expect("a cluster");
    let session = session(&cluster).await;
    run(
        &session,
        "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)",
    )
    .await;
    for i in 0..200 {
        run(
            &session,
            &format!("SELECT pgtrickle.create_stream_table('s{i}', 'SELECT id + {i} AS i FROM t')"),
        )
        .await;
    }
    run(&session, "INSERT INTO t VALUES (2)").await;
    for i in [0, 99, 199] {
        until(&session, &format!("SELECT count(*) = 2 FROM s{i}")).await;
    }
    let busy = "SELECT count(*) = 0 FROM pgtrickle.refresh_workers() WHERE state <> 'IDLE'";
    until(&session, busy).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let ours = "SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'pg_trickle %'";
    let pids: Vec<String> = session
        .rows(ours)
        .await
        .expect("processes")
        .into_iter()
        .filter_map(|row| row.into_iter().next().flatten())
        .collect();
    assert!(pids.len() >= 3, "{pids:?}");
    let before: Vec<_> = pids.iter().map(|pid| usage(pid)).collect();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after: Vec<_> = pids.iter().map(|pid| usage(pid)).collect();
    for (pid, (before, after)) in pids.iter().zip(before.iter().zip(&after)) {
        assert!(
            after.0 - before.0 <= 1 && after.1 - before.1 <= 3,
            "process {pid} was busy: {before:?} {after:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_source_tells_of_is_looked_at_from_time_to_time() {
    let cluster =
        scheduled_cluster(&[("pg_trickle.full_refresh_interval", "1s")]).expect("a cluster");
    let session = session(&cluster).await;
    run(
        &session,
        "CREATE TABLE t (id int PRIMARY KEY, at timestamptz);
         CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM t;
         SELECT pgtrickle.create_stream_table('recent',
             $$SELECT id FROM t WHERE at > now() - interval '2 seconds'$$,
             refresh_mode => 'DIFFERENTIAL');
         SELECT pgtrickle.create_stream_table('of_m', 'SELECT n FROM m',
             refresh_mode => 'DIFFERENTIAL');
         INSERT INTO t VALUES (1, now()), (2, now() + interval '1 day')",
    )
    .await;
    until(&session, "SELECT count(*) = 2 FROM recent").await;
    until(&session, "SELECT count(*) = 1 FROM recent").await;
    run(&session, "REFRESH MATERIALIZED VIEW m").await;
    until(&session, "SELECT n = 2 FROM of_m").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_table_follows_what_is_changed_without_a_worker() {
    let cluster =
        scheduled_cluster(&[("pg_trickle.full_refresh_interval", "1h")]).expect("a cluster");
    let session = session(&cluster).await;
    run(
        &session,
        "CREATE TABLE t (id int PRIMARY KEY);
         SELECT pgtrickle.create_stream_table('at_once', 'SELECT id FROM t', refresh_mode => 'IMMEDIATE');
         SELECT pgtrickle.create_stream_table('by_hand', 'SELECT id FROM t', schedule => '1h');
         SELECT pgtrickle.create_stream_table('over_one', 'SELECT count(*) AS n FROM at_once', refresh_mode => 'FULL');
         SELECT pgtrickle.create_stream_table('over_other', 'SELECT count(*) AS n FROM by_hand', refresh_mode => 'FULL')",
    )
    .await;
    for id in 1..4 {
        run(&session, &format!("INSERT INTO t VALUES ({id})")).await;
        until(&session, &format!("SELECT n = {id} FROM over_one")).await;
        run(&session, "SELECT pgtrickle.refresh_stream_table('by_hand')").await;
        until(&session, &format!("SELECT n = {id} FROM over_other")).await;
    }
    run(&session, "TRUNCATE t").await;
    until(&session, "SELECT n = 0 FROM over_one").await;
    // What changes nothing wakes nobody.
    let refreshes = "SELECT count(*) FROM pgtrickle.get_refresh_history('over_one')";
    let before = value(&session, refreshes).await;
    run(&session, "BEGIN; INSERT INTO t VALUES (9); ROLLBACK; DELETE FROM t; SELECT pgtrickle.refresh_stream_table('at_once')").await;
    run(&session, "INSERT INTO t VALUES (1)").await;
    until(&session, "SELECT n = 1 FROM over_one").await;
    let after: u32 = value(&session, refreshes).await.parse().expect("a number");
    assert_eq!(
        after.to_string(),
        (before.parse::<u32>().expect("a number") + 1).to_string()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_database_for_its_sessions_do_not_stop_workers() {
    let cluster = scheduled_cluster(&[]).expect("a cluster");
    let session = session(&cluster).await;
    run(
        &session,
        "ALTER DATABASE postgres SET default_transaction_read_only = on;
         ALTER DATABASE postgres SET default_transaction_isolation = serializable;
         ALTER DATABASE postgres SET default_transaction_deferrable = on;
         ALTER DATABASE postgres SET transaction_timeout = '1ms';
         ALTER DATABASE postgres SET statement_timeout = '1ms';
         ALTER DATABASE postgres SET lock_timeout = '1ms';
         ALTER DATABASE postgres SET idle_in_transaction_session_timeout = '1ms';
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type LIKE 'pg_trickle %'",
    )
    .await;
    run(
        &session,
        "CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM pg_sleep(0.1); RETURN $1; END';
         CREATE TABLE t (id int PRIMARY KEY);
         SELECT pgtrickle.create_stream_table('s', 'SELECT slow(id) AS id FROM t')",
    )
    .await;
    for id in 1..=3 {
        run(&session, &format!("INSERT INTO t VALUES ({id})")).await;
        until(&session, &format!("SELECT count(*) = {id} FROM s")).await;
    }
    let failures = "SELECT count(*) FROM pgtrickle.refresh_failures()";
    assert_eq!(value(&session, failures).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_change_what_a_query_means_wake_the_scheduler() {
    let cluster = scheduled_cluster(&[("max_prepared_transactions", "2")]).expect("a cluster");
    let session = session(&cluster).await;
    run(
        &session,
        "CREATE TABLE t (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) VIRTUAL);
         INSERT INTO t SELECT i, i FROM generate_series(1, 5) i;
         CREATE VIEW v AS SELECT id, a FROM t WHERE a < 4;
         CREATE VIEW w AS SELECT sum(a) AS s FROM v;
         CREATE TYPE mood AS ENUM ('good');
         CREATE TABLE m (id int PRIMARY KEY, mood mood);
         INSERT INTO m VALUES (1, 'good');
         SELECT pgtrickle.create_stream_table('over_view', 'SELECT s FROM w');
         SELECT pgtrickle.create_stream_table('generated', 'SELECT sum(twice) AS s FROM t');
         SELECT pgtrickle.create_stream_table('moods', 'SELECT id, mood::text AS mood FROM m')",
    )
    .await;
    let began = Instant::now();
    for (command, seen) in [
        (
            "CREATE OR REPLACE VIEW v AS SELECT id, a + 100 AS a FROM t WHERE a < 4",
            "SELECT s = 306 FROM over_view",
        ),
        (
            "ALTER TABLE t ALTER twice SET EXPRESSION AS (a * 3)",
            "SELECT s = 45 FROM generated",
        ),
        (
            "ALTER TYPE mood RENAME VALUE 'good' TO 'better'",
            "SELECT mood = 'better' FROM moods",
        ),
        (
            "BEGIN; SELECT pgtrickle.create_stream_table('prepared', 'SELECT sum(a) AS s FROM t');
             INSERT INTO t VALUES (9, 1); PREPARE TRANSACTION 'p'",
            "SELECT s = 16 FROM prepared",
        ),
    ] {
        run(&session, command).await;
        if command.contains("PREPARE") {
            run(&session, "COMMIT PREPARED 'p'").await;
        }
        until(&session, seen).await;
    }
    // The scheduler looks at everything once a minute.
    assert!(began.elapsed() < Duration::from_secs(50), "{began:?}");
}
