//! Many databases, databases that come and go, and servers that are promoted.

use std::time::{Duration, Instant};

use harness::client::Session;
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir, StopMode};
use harness::insist::{run, until};
use harness::runtime::{GATE, connect, follows, scheduled_cluster, wait_for_gate};

async fn set_up(session: &Session) {
    run(
        session,
        "CREATE TABLE t (id int PRIMARY KEY);
         SELECT pgtrickle.create_stream_table('s', 'SELECT count(*) AS n FROM t')",
    )
    .await;
}

/// How often a scheduler looks around although nobody wakes it.
const UPKEEP: Duration = Duration::from_secs(10);

const CHANGE: &str = "INSERT INTO t SELECT coalesce(max(id), 0) + 1 FROM t";

/// A change in this database reaches its stream table by itself.
async fn is_alive(cluster: &Cluster, database: &str) {
    let session = Session::connect(cluster, database)
        .await
        .expect("a session");
    run(&session, CHANGE).await;
    must_follow(cluster, database, &session).await;
}

async fn must_follow(cluster: &Cluster, database: &str, session: &Session) {
    if let Err(complaint) = follows(session, "s").await {
        panic!("{database}: {complaint}\n{}", cluster.log_tail(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_come_and_go_and_change_their_names() {
    let cluster = scheduled_cluster(&[("pg_trickle.max_refresh_workers", "2")]).expect("a cluster");
    let admin = connect(&cluster, "postgres").await.expect("a session");
    // More databases than workers: they make room for each other.
    for name in ["one", "two", "three", "four", "five"] {
        run(&admin, &format!("CREATE DATABASE {name}")).await;
        set_up(&connect(&cluster, name).await.expect("a session")).await;
    }
    for _ in 0..2 {
        for name in ["one", "two", "three", "four", "five"] {
            is_alive(&cluster, name).await;
        }
    }
    let workers = admin
        .scalar("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_trickle worker'")
        .await
        .expect("a count");
    assert!(["1", "2"].contains(&workers.as_str()), "{workers} workers");

    // Schedulers give way to what needs a database free of sessions, and come back.
    run(&admin, "ALTER DATABASE one RENAME TO uno").await;
    is_alive(&cluster, "uno").await;
    run(&admin, "CREATE DATABASE copy TEMPLATE two").await;
    is_alive(&cluster, "two").await;
    let copy = Session::connect(&cluster, "copy").await.expect("a session");
    run(&copy, "SELECT pgtrickle.restore_stream_tables()").await;
    drop(copy);
    is_alive(&cluster, "copy").await;
    run(&admin, "DROP DATABASE three").await;
    run(&admin, "CREATE DATABASE three").await;
    set_up(&connect(&cluster, "three").await.expect("a session")).await;
    is_alive(&cluster, "three").await;

    // Without the extension there is no scheduler, also where one was about to read its catalog; with it there is one again.
    let four = Session::connect(&cluster, "four").await.expect("a session");
    let mark = cluster.log_mark();
    run(
        &four,
        "BEGIN; DROP EXTENSION pg_trickle CASCADE; DROP TABLE IF EXISTS s, t",
    )
    .await;
    run(
        &admin,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE backend_type = 'pg_trickle scheduler' AND datname = 'four'",
    )
    .await;
    until(
        &admin,
        "SELECT count(*) > 0 FROM pg_stat_activity
         WHERE backend_type = 'pg_trickle scheduler' AND datname = 'four' AND wait_event_type = 'Lock'",
    )
    .await;
    run(&four, "COMMIT").await;
    until(
        &admin,
        "SELECT count(*) = 0 FROM pg_stat_activity
         WHERE backend_type = 'pg_trickle scheduler' AND datname = 'four'",
    )
    .await;
    let log = cluster.log_since(mark);
    assert!(!log.contains("pg_trickle: scheduler:"), "{log}");
    run(&four, "CREATE EXTENSION pg_trickle").await;
    set_up(&four).await;
    is_alive(&cluster, "four").await;

    cluster.restart(StopMode::Fast).expect("restarted");
    for name in ["uno", "two", "three", "four", "five", "copy"] {
        is_alive(&cluster, name).await;
    }
    // A refused statement on a database leaves its scheduler where it was.
    let admin = Session::connect(&cluster, "postgres")
        .await
        .expect("a session");
    let _busy = Session::connect(&cluster, "five").await.expect("a session");
    let refused = admin.execute("ALTER DATABASE five RENAME TO cinque").await;
    assert_eq!(refused.expect_err("in use").sqlstate, "55006");
    is_alive(&cluster, "five").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_waits_for_a_worker_gets_one_that_becomes_idle() {
    let cluster = scheduled_cluster(&[("pg_trickle.max_refresh_workers", "1")]).expect("a cluster");
    let admin = connect(&cluster, "postgres").await.expect("a session");
    for name in ["waits", "works"] {
        run(&admin, &format!("CREATE DATABASE {name}")).await;
        set_up(&connect(&cluster, name).await.expect("a session")).await;
        is_alive(&cluster, name).await;
    }
    let session = async |name| Session::connect(&cluster, name).await.expect("a session");
    let (waits, works) = (session("waits").await, session("works").await);
    let gate = "CREATE TRIGGER gate BEFORE UPDATE ON s FOR EACH ROW EXECUTE FUNCTION gate()";
    run(
        &works,
        &format!("{GATE}; {gate}; SELECT pg_advisory_lock(42)"),
    )
    .await;
    // The only worker is busy when the other database asks for it, and does not end afterwards.
    run(&works, CHANGE).await;
    wait_for_gate(&works).await.expect("a refresh at the gate");
    run(&waits, CHANGE).await;
    until(
        &admin,
        "SELECT count(*) = 0 FROM pg_stat_activity
         WHERE backend_type = 'pg_trickle scheduler' AND datname = 'waits' AND state = 'active'",
    )
    .await;
    let freed = Instant::now();
    run(&works, "SELECT pg_advisory_unlock(42)").await;
    must_follow(&cluster, "works", &works).await;
    must_follow(&cluster, "waits", &waits).await;
    assert!(freed.elapsed() < UPKEEP, "found by upkeep only");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_says_so_and_goes_on_when_there_is_room() {
    let options = ClusterOptions::new()
        .extension(ExtensionDir::installed().expect("installed"))
        .setting("shared_preload_libraries", "pg_trickle")
        .setting("max_worker_processes", "3")
        .setting("max_logical_replication_workers", "0");
    let cluster = Cluster::start(&options).expect("a cluster");
    let session = connect(&cluster, "postgres").await.expect("a session");
    set_up(&session).await;
    is_alive(&cluster, "postgres").await;
    // Launcher, scheduler and worker fill the server: another database finds no room.
    run(&session, "CREATE DATABASE other").await;
    let other = connect(&cluster, "other").await.expect("a session");
    set_up(&other).await;
    run(&other, "INSERT INTO t VALUES (1)").await;
    until(
        &session,
        "SELECT value > 0 FROM pgtrickle.runtime_counters() WHERE name = 'worker_start_failures_total'",
    )
    .await;
    assert!(cluster.log().contains("raise max_worker_processes"));
    let health = other
        .scalar("SELECT severity FROM pgtrickle.health_check() WHERE check_name = 'scheduler'")
        .await
        .expect("a health check");
    assert_eq!(health, "WARNING");
    is_alive(&cluster, "postgres").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_preload_says_so() {
    let options = ClusterOptions::new().extension(ExtensionDir::installed().expect("installed"));
    let cluster = Cluster::start(&options).expect("a cluster");
    let session = connect(&cluster, "postgres").await.expect("a session");
    set_up(&session).await;
    run(&session, "INSERT INTO t VALUES (1)").await;
    let scalar = async |sql: &str| session.scalar(sql).await.expect("a value");
    assert_eq!(
        scalar("SELECT scheduling FROM pgtrickle.pgt_status()").await,
        "NOT_PRELOADED"
    );
    let detail =
        scalar("SELECT detail FROM pgtrickle.health_check() WHERE check_name = 'scheduler'").await;
    assert!(detail.contains("shared_preload_libraries"), "{detail}");
    assert_eq!(scalar("SELECT pgtrickle.is_drained()").await, "f");
    let refused = session.execute("SELECT pgtrickle.drain(0)").await;
    assert_eq!(refused.expect_err("refused").sqlstate, "55000");
    run(&session, "SELECT pgtrickle.refresh_stream_table('s')").await;
    assert_eq!(scalar("SELECT n FROM s").await, "1");
    assert_ne!(
        scalar("SELECT count(*) FROM pgtrickle.metrics()").await,
        "0"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_brings_the_library_is_followed() {
    let options = ClusterOptions::new().extension(ExtensionDir::installed().expect("installed"));
    let cluster = Cluster::start(&options).expect("a cluster");
    let session = connect(&cluster, "postgres").await.expect("a session");
    for mode in ["DIFFERENTIAL", "IMMEDIATE"] {
        for capture in ["native", "sql"] {
            let set_up = format!(
                "DROP TABLE IF EXISTS p CASCADE; SET pg_trickle.cdc_trigger_mode = '{capture}';
                 CREATE TABLE p (k int PRIMARY KEY, v int) PARTITION BY RANGE (k);
                 CREATE TABLE part PARTITION OF p DEFAULT;
                 INSERT INTO p VALUES (1, 1), (2, 2);
                 SELECT pgtrickle.create_stream_table('merged', 'SELECT k, v FROM p', refresh_mode => '{mode}');"
            );
            run(&session, &set_up).await;
            // Its first statement loads the library when it has begun.
            let writer = connect(&cluster, "postgres").await.expect("a session");
            run(
                &writer,
                "MERGE INTO p USING (VALUES (0), (1), (2)) s (k) ON p.k = s.k
                 WHEN MATCHED THEN UPDATE SET v = 5 WHEN NOT MATCHED THEN INSERT VALUES (s.k, 0)",
            )
            .await;
            run(&session, "SELECT pgtrickle.refresh_stream_table('merged')").await;
            let shown = session
                .scalar("SELECT string_agg(k || ':' || v, ' ' ORDER BY k) FROM merged")
                .await;
            assert_eq!(shown.expect("its rows"), "0:0 1:5 2:5", "{mode}, {capture}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_refreshes_nothing_until_it_is_promoted() {
    let primary = scheduled_cluster(&[("wal_level", "replica"), ("max_wal_senders", "4")])
        .expect("a cluster");
    let session = connect(&primary, "postgres").await.expect("a session");
    set_up(&session).await;
    is_alive(&primary, "postgres").await;

    let standby = primary.standby().expect("a standby");
    let replica = Session::connect(&standby, "postgres")
        .await
        .expect("a session");
    run(&session, "INSERT INTO t VALUES (1000)").await;
    until(&replica, "SELECT n = 2 FROM s").await;
    let scalar = async |sql: &str| replica.scalar(sql).await.expect("a value");
    assert_eq!(
        scalar("SELECT pgtrickle.scheduler_state()").await,
        "STANDBY"
    );
    assert_eq!(
        scalar("SELECT severity FROM pgtrickle.health_check() WHERE check_name = 'scheduler'")
            .await,
        "OK"
    );
    assert_eq!(
        scalar("SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'pg_trickle%'").await,
        "0"
    );
    // What the primary had captured and not refreshed is for the standby to do.
    until(&session, "SELECT pgtrickle.drain(30)").await;
    run(&session, "INSERT INTO t VALUES (1001)").await;
    until(&replica, "SELECT count(*) = 3 FROM t").await;
    primary.stop(StopMode::Immediate).expect("stopped");
    until(&replica, "SELECT pg_promote()").await;
    until(&replica, "SELECT n = 3 FROM s").await;
    is_alive(&standby, "postgres").await;
    assert_eq!(
        standby.crashes_since(harness::cluster::LogMark::default()),
        Vec::<String>::new()
    );
}
