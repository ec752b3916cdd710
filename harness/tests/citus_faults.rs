//! Nodes of a cluster of Citus that die at chosen moments, come, and go. The oracle judges after each.
//!
//! Without Citus the tests are reported as skipped, with the reason, which fails where `PGT_REQUIRE_CITUS` is set.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harness::backend::Backend;
use harness::citus::tables::{GROUPED, LOCAL, OF_ROWS, begin, create, refreshed, right};
use harness::citus::{Citus, is_missing};
use harness::client::{Session, SqlError};
use harness::cluster::{Cluster, StopMode};
use harness::insist::{run, until, value};
use harness::runtime::{GATE, connect};
use tokio::task::JoinHandle;

/// Stream tables that nodes keep, and in two steps, of groups and of tables.
const OURS: [(&str, &str); 4] = [LOCAL[2], GROUPED[0], GROUPED[1], OF_ROWS[0]];

/// A change that reaches every shard, another one for each step.
fn change(step: usize) -> String {
    let first = 10_000 * (step + 1);
    format!(
        "INSERT INTO d SELECT i, i % 5, i, 'text ' || i FROM generate_series({first}, {first} + 60) i;
         UPDATE d SET v = v + 1 WHERE g = {}; DELETE FROM e WHERE w % 13 = {step};
         INSERT INTO e SELECT i, i FROM generate_series({first}, {first} + 60) i; UPDATE x SET id = id + 1 WHERE k % 7 = {step}",
        step % 5
    )
}

async fn all_are_right(session: &Session) {
    for (name, query) in OURS {
        refreshed(session, name).await;
        right(session, name, query).await;
        assert_eq!(refreshed(session, name).await, "NO_DATA", "{name}");
    }
}

async fn ready(session: &Session) {
    for (name, query) in OURS {
        create(session, name, query).await;
        refreshed(session, name).await;
    }
}

/// Runs a statement in a session of its own.
async fn begun(server: &dyn Backend, sql: String) -> JoinHandle<Result<(), SqlError>> {
    let session = connect(server, "postgres").await.unwrap();
    tokio::spawn(async move { session.execute(&sql).await })
}

fn refresh_of(name: &str) -> String {
    format!("SELECT pgtrickle.refresh_stream_table('{name}')")
}

/// How many processes of a node wait for locks.
const WAITING: &str = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'";

async fn crash(node: &Cluster) {
    node.restart(StopMode::Immediate).unwrap();
}

/// Waits until every connection of a session to nodes that have died is found dead.
async fn reconnected(citus: &Citus) -> Session {
    let session = connect(citus, "postgres").await.unwrap();
    until(
        &session,
        "SELECT bool_and(result) FROM citus_check_cluster_node_health()",
    )
    .await;
    session
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_within_a_refresh_loses_nothing() {
    if is_missing("a_node_that_dies_within_a_refresh_loses_nothing") {
        return;
    }
    let (citus, mut session) = begin().await;
    ready(&session).await;
    let worker = &citus.workers()[1];
    for (step, (name, _)) in OURS.into_iter().enumerate() {
        run(&session, &change(step)).await;
        // The worker waits for a writer in the middle of its part.
        let holder = Session::connect(worker, "postgres").await.unwrap();
        run(&holder, "SET citus.override_table_visibility = off; SET citus.enable_manual_changes_to_shards = on; BEGIN").await;
        let shards = "SELECT string_agg(format('LOCK %I IN ACCESS EXCLUSIVE MODE', relname), '; ') FROM pg_class
             WHERE relname ~ '^[dex]_[0-9]+$' AND relkind = 'r'";
        let lock = value(&holder, shards).await;
        run(&holder, &lock).await;
        let refresh = begun(&citus, refresh_of(name)).await;
        let watch = Session::connect(worker, "postgres").await.unwrap();
        until(&watch, WAITING).await;
        crash(worker).await;
        let error = refresh.await.unwrap().unwrap_err();
        assert_eq!(error.sqlstate, "08006", "{name}: {error}");
        session = reconnected(&citus).await;
        all_are_right(&session).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_has_committed_and_the_coordinator_not_is_taken_once() {
    if is_missing("what_a_node_has_committed_and_the_coordinator_not_is_taken_once") {
        return;
    }
    let (citus, session) = begin().await;
    ready(&session).await;
    // The coordinator waits in the middle of its part, when nodes have done theirs.
    run(&session, GATE).await;
    let mut session = session;
    let in_two_steps = [GROUPED[0].0, GROUPED[1].0, OF_ROWS[0].0];
    let mut step = 0;
    for name in in_two_steps {
        for kills in ["worker", "coordinator", "both"] {
            run(&session, &format!("CREATE TRIGGER gate AFTER INSERT OR UPDATE OR DELETE ON {name} FOR EACH STATEMENT EXECUTE FUNCTION gate()")).await;
            run(&session, &change(step)).await;
            let holder = connect(&citus, "postgres").await.unwrap();
            run(&holder, "SELECT pg_advisory_lock(42)").await;
            let refresh = begun(&citus, refresh_of(name)).await;
            until(&session, WAITING).await;
            if kills != "coordinator" {
                crash(&citus.workers()[0]).await;
            }
            if kills != "worker" {
                crash(citus.coordinator()).await;
            } else {
                run(&holder, "SELECT pg_advisory_unlock(42)").await;
            }
            let outcome = refresh.await.unwrap();
            assert_eq!(
                outcome.is_ok(),
                kills == "worker",
                "{name}, {kills}: {outcome:?}"
            );
            session = reconnected(&citus).await;
            run(&session, "SET citus.enable_repartition_joins = on").await;
            run(&session, &format!("DROP TRIGGER gate ON {name}")).await;
            all_are_right(&session).await;
            step += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_that_a_crash_cuts_are_taken_as_they_end() {
    if is_missing("writes_that_a_crash_cuts_are_taken_as_they_end") {
        return;
    }
    let (citus, session) = begin().await;
    ready(&session).await;
    let worker = &citus.workers()[0];

    // In the middle of a transaction over all nodes: it fails as a whole.
    let writer = connect(&citus, "postgres").await.unwrap();
    run(&writer, &format!("BEGIN; {}", change(0))).await;
    crash(worker).await;
    writer.execute("COMMIT").await.unwrap_err();
    let session = {
        drop(session);
        reconnected(&citus).await
    };
    all_are_right(&session).await;

    // Between prepare and commit: the coordinator commits only when a standby has answered, which there is not.
    let hold = |name: &str| {
        citus
            .coordinator()
            .configure("synchronous_standby_names", name)
            .unwrap();
        citus.coordinator().reload().unwrap();
    };
    for (step, dies) in ["worker", "coordinator"].into_iter().enumerate() {
        hold("nobody");
        until(
            &session,
            "SELECT current_setting('synchronous_standby_names') <> ''",
        )
        .await;
        let write = begun(
            &citus,
            format!(
                "SET synchronous_commit = on; BEGIN; {}; COMMIT",
                change(step + 1)
            ),
        )
        .await;
        let there = Session::connect(&citus.workers()[1], "postgres")
            .await
            .unwrap();
        until(&there, "SELECT count(*) > 0 FROM pg_prepared_xacts").await;
        until(
            &session,
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
        )
        .await;
        // Nothing of it shows yet; what was there before, stays.
        run(&session, "SET synchronous_commit = local").await;
        for (name, _) in OURS {
            run(&session, &refresh_of(name)).await;
        }
        hold("");
        match dies {
            "worker" => crash(worker).await,
            _ => crash(citus.coordinator()).await,
        }
        // Whether it is told of its commit or not.
        let _ = write.await.unwrap();
        let session = reconnected(&citus).await;
        run(&session, "SELECT recover_prepared_transactions()").await;
        let open = "SELECT count(*) FROM pg_prepared_xacts";
        assert_eq!(value(&there, open).await, "0", "{dies}");
        all_are_right(&session).await;
    }
}

/// Writers that go on through anything, each in its own session, until they are told to stop.
struct Writers {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<u32>>,
}

impl Writers {
    async fn begin(citus: &Citus) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for number in 0..3 {
            let session = connect(citus, "postgres").await.unwrap();
            let stop = Arc::clone(&stop);
            tasks.push(tokio::spawn(async move {
                let (mut done, mut at) = (0, 0);
                while !stop.load(Ordering::Relaxed) {
                    at += 1;
                    let id = 100_000 * (number + 1) + at;
                    let write = match at % 4 {
                        0 => format!("UPDATE d SET v = v + 1, g = (g + 1) % 5 WHERE id % 40 = {}", at % 40),
                        1 => format!("DELETE FROM e WHERE id % 90 = {}", at % 90),
                        2 => format!("INSERT INTO e SELECT {id}, i FROM generate_series(1, 5) i"),
                        _ => format!("INSERT INTO d VALUES ({id}, {id} % 5, 1, 'x'); UPDATE r SET name = name || '.' WHERE g = {number}"),
                    };
                    done += u32::from(session.execute(&write).await.is_ok());
                    tokio::time::sleep(Duration::from_millis(15)).await;
                }
                done
            }));
        }
        Writers { stop, tasks }
    }

    /// How many writes there were.
    async fn end(self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        let mut done = 0;
        for task in self.tasks {
            done += task.await.unwrap();
        }
        done
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_come_and_go_under_writers() {
    if is_missing("nodes_come_and_go_under_writers") {
        return;
    }
    let (mut citus, session) = begin().await;
    ready(&session).await;
    let writers = Writers::begin(&citus).await;
    citus.add_worker(&[]).await.unwrap();
    let last = &citus.workers()[2];
    let (host, port) = (last.socket_dir().display().to_string(), last.port());
    let rebalance =
        "SELECT rebalance_table_shards(shard_transfer_mode => 'force_logical')".to_owned();
    let drain = format!("SELECT citus_drain_node('{host}', {port}, 'force_logical')");
    let remove = format!("SELECT citus_remove_node('{host}', {port})");
    let has_shards = format!(
        "SELECT count(*) FROM citus_shards WHERE nodeport = {port} AND table_name = 'd'::regclass"
    );
    for (statement, shards) in [(rebalance, "1"), (drain, "0"), (remove, "0")] {
        run(&session, &statement).await;
        assert!(
            value(&session, &has_shards).await.as_str() >= shards,
            "{statement}"
        );
        for (name, _) in OURS {
            // A statement of Citus that is still at work may hold it up for a moment.
            let refreshed = session.execute(&refresh_of(name)).await;
            if let Err(error) = refreshed {
                assert!(
                    ["08006", "55000", "40P01"].contains(&error.sqlstate.as_str()),
                    "{error}"
                );
            }
        }
    }
    let done = writers.end().await;
    assert!(done > 20, "{done} writes");
    all_are_right(&session).await;
    run(&session, &change(3)).await;
    all_are_right(&session).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_come_and_go_and_tables_are_emptied() {
    if is_missing("columns_come_and_go_and_tables_are_emptied") {
        return;
    }
    let (_citus, session) = begin().await;
    ready(&session).await;
    for (step, statement) in [
        "ALTER TABLE e ADD COLUMN more int DEFAULT 7",
        "ALTER TABLE d ADD COLUMN more int DEFAULT 7, ADD COLUMN gone_later text",
        "ALTER TABLE d DROP COLUMN gone_later",
        "TRUNCATE e",
        "TRUNCATE d, x",
        "TRUNCATE r",
    ]
    .into_iter()
    .enumerate()
    {
        run(&session, statement).await;
        all_are_right(&session).await;
        run(&session, &change_by_name(step)).await;
        all_are_right(&session).await;
    }
}

/// The same as [`change`] where there are more columns.
fn change_by_name(step: usize) -> String {
    change(step)
        .replace("INTO d SELECT", "INTO d (id, g, v, t) SELECT")
        .replace("INTO e SELECT", "INTO e (id, w) SELECT")
}
