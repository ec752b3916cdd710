//! The sessions in which a coordinator of Citus asks its nodes: how long they are kept, and what ends them.
//!
//! Without Citus the tests are reported as skipped, with the reason, which fails where `PGT_REQUIRE_CITUS` is set.

use harness::citus::tables::{CHANGES, GROUPED, LOCAL, begin, create, refreshed, right};
use harness::citus::{Citus, is_missing};
use harness::client::Session;
use harness::cluster::StopMode;
use harness::insist::{run, until, value};
use harness::runtime::connect;

/// Sessions from other nodes in which functions run, and processes that only look like it have gone.
const PROCESSES: &str =
    "SELECT coalesce(string_agg(pid::text, ' ' ORDER BY pid), '') FROM pg_stat_activity
    WHERE application_name LIKE 'citus_run_command%' AND backend_type = 'client backend'";

async fn on_workers(citus: &Citus) -> Vec<Session> {
    let mut sessions = Vec::new();
    for worker in citus.workers() {
        sessions.push(Session::connect(worker, "postgres").await.unwrap());
    }
    sessions
}

async fn processes(workers: &[Session]) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for worker in workers {
        let found = value(worker, PROCESSES).await;
        all.push(found.split_whitespace().map(str::to_owned).collect());
    }
    all
}

/// A cluster on which only the refreshes of the test ask nodes.
async fn quiet() -> (Citus, Session) {
    let (citus, session) = begin().await;
    run(&session, "ALTER SYSTEM SET pg_trickle.enabled = off").await;
    run(&session, "SELECT pg_reload_conf()").await;
    until(
        &session,
        "SELECT current_setting('pg_trickle.enabled') = 'off'",
    )
    .await;
    (citus, session)
}

#[tokio::test(flavor = "multi_thread")]
async fn refreshes_share_a_session_on_each_node_until_it_ends() {
    if is_missing("refreshes_share_a_session_on_each_node_until_it_ends") {
        return;
    }
    let (citus, session) = quiet().await;
    let ours = [LOCAL[2], GROUPED[0], GROUPED[1]];
    for (name, query) in ours {
        create(&session, name, query).await;
        refreshed(&session, name).await;
    }
    let workers = on_workers(&citus).await;
    let first = processes(&workers).await;
    assert!(first.iter().all(|of_node| of_node.len() == 1), "{first:?}");
    for changes in CHANGES {
        run(&session, changes).await;
        for (name, query) in ours {
            refreshed(&session, name).await;
            right(&session, name, query).await;
        }
    }
    value(&session, "SELECT count(*) FROM pgtrickle.node_status()").await;
    assert_eq!(processes(&workers).await, first);

    // The node ends it.
    let more = "INSERT INTO d SELECT i, i % 5, i, 'more' FROM generate_series(7000, 7100) i; INSERT INTO e SELECT i, i FROM generate_series(7000, 7100) i";
    run(&session, more).await;
    let end = format!(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid = {}",
        first[0][0]
    );
    run(&workers[0], &end).await;
    for (name, query) in ours {
        assert_eq!(refreshed(&session, name).await, "DIFFERENTIAL", "{name}");
        right(&session, name, query).await;
    }
    let second = processes(&workers).await;
    assert_ne!(second[0], first[0]);
    assert_eq!(second[1], first[1]);

    // The node itself ends.
    citus.workers()[1].restart(StopMode::Fast).unwrap();
    run(&session, "ROLLBACK").await;
    let workers = on_workers(&citus).await;
    for (name, query) in ours {
        assert_eq!(refreshed(&session, name).await, "NO_DATA", "{name}");
        right(&session, name, query).await;
    }
    assert_eq!(processes(&workers).await[1].len(), 1);

    // The way to nodes is another one.
    let before = processes(&workers).await;
    run(
        &session,
        "ALTER SYSTEM SET citus.node_conninfo = 'sslmode=prefer connect_timeout=9'",
    )
    .await;
    run(&session, "SELECT pg_reload_conf()").await;
    until(
        &session,
        "SELECT current_setting('citus.node_conninfo') ~ 'timeout=9'",
    )
    .await;
    refreshed(&session, ours[0].0).await;
    for worker in &workers {
        let one =
            format!("SELECT count(*) = 1 FROM ({PROCESSES}) AS p(all_of) WHERE all_of !~ ' '");
        until(worker, &one).await;
    }
    let after = processes(&workers).await;
    assert!(
        after.iter().zip(&before).all(|(new, old)| new != old),
        "{before:?} {after:?}"
    );

    // The session that has asked ends.
    drop(session);
    for worker in &workers {
        until(worker, &format!("SELECT ({PROCESSES}) = ''")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_share_no_session_and_nothing_stays_in_it() {
    if is_missing("owners_share_no_session_and_nothing_stays_in_it") {
        return;
    }
    let (citus, session) = quiet().await;
    for statement in [
        "CREATE ROLE other LOGIN; GRANT ALL ON SCHEMA public TO other",
        "GRANT ALL ON d, e, r TO other",
        "CREATE FUNCTION leaves(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
            BEGIN PERFORM pg_advisory_lock_shared(77); PERFORM set_config('citus.log_remote_commands', 'on', false); RETURN x; END $$",
    ] {
        run(&session, statement).await;
    }
    let (name, query) = (
        "left_over",
        "SELECT id, leaves(g) AS g FROM d WHERE leaves(g) >= 0",
    );
    create(&session, name, query).await;
    refreshed(&session, name).await;
    let (other, of_other) = LOCAL[2];
    run(&session, "SET ROLE other").await;
    create(&session, other, of_other).await;
    run(&session, "RESET ROLE").await;
    refreshed(&session, other).await;
    let workers = on_workers(&citus).await;
    let found = processes(&workers).await;
    assert!(found.iter().all(|of_node| of_node.len() == 2), "{found:?}");

    // The node is asked once more, and runs no function.
    // Sessions of Citus itself, which filled the table, may hold some, too.
    let locked = "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND objid = 77 AND application_name LIKE 'citus_run_command%'";
    let mut held = 0;
    for worker in &workers {
        held += value(worker, locked).await.parse::<i32>().unwrap();
    }
    assert!(held > 0, "nothing was left");
    assert_eq!(refreshed(&session, name).await, "NO_DATA");
    for worker in &workers {
        assert_eq!(value(worker, locked).await, "0");
    }
    assert_eq!(processes(&workers).await, found);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_is_cancelled_ends_on_its_nodes() {
    if is_missing("a_refresh_that_is_cancelled_ends_on_its_nodes") {
        return;
    }
    let (citus, session) = quiet().await;
    let (name, query) = LOCAL[2];
    create(&session, name, query).await;
    refreshed(&session, name).await;
    run(&session, CHANGES[0]).await;
    let workers = on_workers(&citus).await;
    let holder = Session::connect(&citus.workers()[0], "postgres")
        .await
        .unwrap();
    run(&holder, "SET citus.override_table_visibility = off; SET citus.enable_manual_changes_to_shards = on; BEGIN").await;
    let shards =
        "SELECT string_agg(format('LOCK %I IN ACCESS EXCLUSIVE MODE', relname), '; ') FROM pg_class
         WHERE relname ~ '^[dex]_[0-9]+$' AND relkind = 'r'";
    let lock = value(&holder, shards).await;
    run(&holder, &lock).await;
    let refresh = connect(&citus, "postgres").await.unwrap();
    run(&refresh, "SET statement_timeout = '3s'").await;
    let error = refresh
        .execute(&format!("SELECT pgtrickle.refresh_stream_table('{name}')"))
        .await
        .unwrap_err();
    assert_eq!(error.sqlstate, "57014", "{error}");
    // The one that waits for the lock notices that its client has gone.
    let waiting = "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name LIKE 'citus_run_command%' AND wait_event_type = 'Lock'";
    until(&workers[0], waiting).await;
    run(&holder, "ROLLBACK").await;
    run(&refresh, "RESET statement_timeout").await;
    refreshed(&refresh, name).await;
    right(&refresh, name, query).await;
}
