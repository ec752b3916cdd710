//! When refreshes fail, are stopped, or must not be allowed too much.

use std::time::Duration;

use harness::client::Session;
use harness::cluster::Cluster;
use harness::insist::{exact, run, until, value};
use harness::runtime::{GATE, connect, scheduled_cluster, wait_for_gate};

async fn session(cluster: &Cluster) -> Session {
    connect(cluster, "postgres").await.expect("a session")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_table_is_suspended_and_stops_only_its_readers() {
    let cluster =
        scheduled_cluster(&[("pg_trickle.max_consecutive_errors", "2")]).expect("a cluster");
    let session = session(&cluster).await;
    run(
        &session,
        "CREATE TABLE t (id int PRIMARY KEY, d int);
         INSERT INTO t VALUES (1, 1);
         SELECT pgtrickle.create_stream_table('broken', 'SELECT id, 10 / d AS q FROM t');
         SELECT pgtrickle.create_stream_table('reader', 'SELECT sum(q) AS s FROM broken');
         SELECT pgtrickle.create_stream_table('sound', 'SELECT count(*) AS n FROM t');
         INSERT INTO t VALUES (2, 0)",
    )
    .await;
    let status = |name: &str, column: &str| {
        format!("SELECT {column} FROM pgtrickle.pgt_status() WHERE name = '{name}'")
    };
    until(&session, "SELECT n = 2 FROM sound").await;
    until(&session, &status("broken", "status = 'SUSPENDED'")).await;
    assert_eq!(
        value(&session, &status("broken", "consecutive_errors")).await,
        "2"
    );
    assert_eq!(
        value(&session, &status("broken", "last_error")).await,
        "22012 division_by_zero: division by zero"
    );
    assert_eq!(
        value(&session, &status("reader", "scheduling")).await,
        "WAITING"
    );
    assert_eq!(
        value(&session, &status("reader", "waiting_for")).await,
        "{broken}"
    );
    assert_eq!(
        value(
            &session,
            "SELECT string_agg(DISTINCT error, '|') FROM pgtrickle.get_refresh_history('broken')
             WHERE status = 'FAILED'"
        )
        .await,
        "22012 division_by_zero"
    );
    assert_eq!(
        value(
            &session,
            "SELECT severity FROM pgtrickle.health_check() WHERE check_name = 'suspended'"
        )
        .await,
        "ERROR"
    );
    // Others are shown that it fails, but no message, which may show data.
    run(
        &session,
        "CREATE ROLE other; GRANT USAGE ON SCHEMA pgtrickle TO other; GRANT SELECT ON broken TO other; SET ROLE other",
    )
    .await;
    assert_eq!(
        value(&session, &status("broken", "last_error")).await,
        "22012 division_by_zero"
    );
    run(&session, "RESET ROLE").await;

    run(
        &session,
        "UPDATE t SET d = 5 WHERE id = 2; SELECT pgtrickle.resume_stream_table('broken')",
    )
    .await;
    until(&session, "SELECT s = 12 FROM reader").await;
    until(&session, &status("broken", "consecutive_errors IS NULL")).await;
    exact(&session, &["broken", "reader", "sound"]).await;
    // A failure that goes away by itself is made up for without help.
    run(&session, "INSERT INTO t VALUES (3, 0)").await;
    until(&session, &status("broken", "consecutive_errors > 0")).await;
    run(&session, "DELETE FROM t WHERE id = 3").await;
    run(&session, "SELECT pgtrickle.resume_stream_table('broken')").await;
    until(&session, &status("broken", "scheduling = 'SCHEDULED'")).await;
    exact(&session, &["broken", "reader", "sound"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fuse_stops_too_many_changes_until_somebody_decides() {
    let cluster = scheduled_cluster(&[("pg_trickle.fuse_ceiling", "100")]).expect("a cluster");
    let session = session(&cluster).await;
    run(
        &session,
        "CREATE TABLE t (id int PRIMARY KEY);
         SELECT pgtrickle.create_stream_table('s', 'SELECT id FROM t');
         INSERT INTO t SELECT generate_series(1, 100)",
    )
    .await;
    until(&session, "SELECT count(*) = 100 FROM s").await;
    run(&session, "INSERT INTO t SELECT generate_series(101, 300)").await;
    let status =
        "SELECT status = 'SUSPENDED' AND last_error LIKE '53400%' FROM pgtrickle.pgt_status()";
    until(&session, status).await;
    assert_eq!(value(&session, "SELECT count(*) FROM s").await, "100");
    run(&session, "SELECT pgtrickle.resume_stream_table('s')").await;
    until(&session, "SELECT count(*) = 300 FROM s").await;
    // The decision was for these changes, not for the next ones.
    run(&session, "DELETE FROM t WHERE id > 150").await;
    until(&session, status).await;
    run(&session, "SELECT pgtrickle.refresh_stream_table('s')").await;
    assert_eq!(value(&session, "SELECT count(*) FROM s").await, "150");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_waits_for_what_runs_and_stays() {
    let cluster = scheduled_cluster(&[]).expect("a cluster");
    let session = session(&cluster).await;
    run(
        &session,
        &format!(
            "{GATE};
             CREATE TABLE t (id int PRIMARY KEY);
             SELECT pgtrickle.create_stream_table('s', 'SELECT id FROM t');
             CREATE TRIGGER gate BEFORE INSERT ON s FOR EACH ROW EXECUTE FUNCTION gate();
             SELECT pg_advisory_lock(42);
             INSERT INTO t VALUES (1)"
        ),
    )
    .await;
    wait_for_gate(&session).await.expect("a refresh runs");
    let timeouts =
        "SELECT value FROM pgtrickle.runtime_counters() WHERE name = 'drain_timeouts_total'";
    assert_eq!(value(&session, timeouts).await, "0");
    assert_eq!(value(&session, "SELECT pgtrickle.drain(0)").await, "f");
    assert_eq!(value(&session, timeouts).await, "1");
    assert_eq!(value(&session, "SELECT pgtrickle.is_drained()").await, "f");
    assert_eq!(
        value(
            &session,
            "SELECT format('%s %s %s', state, requested_by, in_flight) FROM pgtrickle.drain_status()"
        )
        .await,
        "DRAINING postgres 1"
    );
    let other = Session::connect(&cluster, "postgres")
        .await
        .expect("a session");
    // Cancelled, the drain goes on.
    let waiting = tokio::spawn(async move {
        let result = other.scalar("SELECT pgtrickle.drain(60)").await;
        (other, result)
    });
    until(
        &session,
        "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pgtrickle.drain(60)%' AND state = 'active'",
    )
    .await;
    run(
        &session,
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pgtrickle.drain(60)%'",
    )
    .await;
    let (other, result) = waiting.await.expect("the task ends");
    assert_eq!(result.expect_err("cancelled").sqlstate, "57014");
    assert_eq!(
        value(&session, "SELECT state FROM pgtrickle.drain_status()").await,
        "DRAINING"
    );

    let waiting = tokio::spawn(async move { other.scalar("SELECT pgtrickle.drain(60)").await });
    run(&session, "SELECT pg_advisory_unlock(42)").await;
    assert_eq!(waiting.await.expect("the task ends").expect("drained"), "t");
    assert_eq!(value(&session, "SELECT count(*) FROM s").await, "1");

    // Nothing begins, changes are captured, refreshes by hand are possible and counted.
    run(&session, "INSERT INTO t VALUES (2)").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(value(&session, "SELECT count(*) FROM s").await, "1");
    let other = Session::connect(&cluster, "postgres")
        .await
        .expect("a session");
    run(&other, "BEGIN; SELECT pgtrickle.refresh_stream_table('s')").await;
    assert_eq!(value(&session, "SELECT pgtrickle.is_drained()").await, "f");
    assert_eq!(
        value(&other, "SELECT pgtrickle.drain(0)").await,
        "t",
        "one's own is not waited for"
    );
    run(&other, "ROLLBACK").await;
    assert_eq!(value(&session, "SELECT pgtrickle.is_drained()").await, "t");
    assert_eq!(
        value(&session, "SELECT scheduling FROM pgtrickle.pgt_status()").await,
        "DRAINED"
    );
    assert_eq!(value(&session, "SELECT pgtrickle.resume()").await, "t");
    until(&session, "SELECT count(*) = 2 FROM s").await;
    assert_eq!(value(&session, "SELECT pgtrickle.resume()").await, "f");
    run(
        &session,
        "CREATE ROLE other; GRANT USAGE ON SCHEMA pgtrickle TO other; SET ROLE other",
    )
    .await;
    for call in ["drain()", "resume()"] {
        let refused = session.execute(&format!("SELECT pgtrickle.{call}")).await;
        assert_eq!(refused.expect_err("refused").sqlstate, "42501", "{call}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_cancelled_where_changes_of_both_sides_meet_leaves_no_transaction_behind() {
    let cluster = scheduled_cluster(&[]).expect("a cluster");
    let session = session(&cluster).await;
    run(
        &session,
        &format!(
            "{GATE};
             CREATE TABLE l (id int PRIMARY KEY, d int);
             CREATE TABLE r (id int PRIMARY KEY, v int);
             INSERT INTO l VALUES (1, 1); INSERT INTO r VALUES (1, 1);
             SELECT pgtrickle.create_stream_table('s', 'SELECT l.id, r.v / l.d AS q FROM l JOIN r USING (id)');
             CREATE TRIGGER gate BEFORE INSERT ON s FOR EACH ROW EXECUTE FUNCTION gate();
             SELECT pg_advisory_lock(42);
             BEGIN; INSERT INTO l VALUES (2, 1); INSERT INTO r VALUES (2, 1); COMMIT"
        ),
    )
    .await;
    let cancel = "SELECT pg_cancel_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND NOT granted";
    wait_for_gate(&session).await.expect("a refresh runs");
    run(&session, cancel).await;
    until(
        &session,
        "SELECT count(*) = 1 FROM pgtrickle.refresh_failures() WHERE condition LIKE '57014%'",
    )
    .await;
    run(&session, "SELECT pgtrickle.suspend_stream_table('s')").await;
    until(
        &session,
        "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_trickle worker' AND xact_start IS NOT NULL",
    )
    .await;
    // By hand: whoever catches the error goes on, and whoever does not has lost only the statement.
    let by_hand = [
        "DO $$ BEGIN PERFORM pgtrickle.refresh_stream_table('s');
               EXCEPTION WHEN query_canceled THEN INSERT INTO l VALUES (3, 1); INSERT INTO r VALUES (3, 1); END $$",
        "SELECT pgtrickle.refresh_stream_table('s')",
    ];
    for (statement, cancelled) in by_hand.into_iter().zip([false, true]) {
        let other = Session::connect(&cluster, "postgres")
            .await
            .expect("a session");
        let waiting = tokio::spawn(async move {
            let outcome = other.execute(statement).await;
            (other, outcome)
        });
        until(
            &session,
            "SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 42 AND NOT granted",
        )
        .await;
        run(&session, cancel).await;
        let (other, outcome) = waiting.await.expect("the task ends");
        assert_eq!(outcome.is_err(), cancelled, "{outcome:?}");
        assert_eq!(value(&other, "SELECT count(*) FROM r").await, "3");
    }
    run(
        &session,
        "SELECT pg_advisory_unlock(42); SELECT pgtrickle.resume_stream_table('s')",
    )
    .await;
    until(&session, "SELECT count(*) = 3 FROM s").await;
    exact(&session, &["s"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_refreshes_as_the_owner() {
    let cluster = scheduled_cluster(&[]).expect("a cluster");
    let session = session(&cluster).await;
    run(
        &session,
        "CREATE ROLE mallory; CREATE SCHEMA m AUTHORIZATION mallory;
         GRANT USAGE ON SCHEMA pgtrickle TO mallory;
         CREATE TABLE secret (x int); INSERT INTO secret VALUES (1);
         SET ROLE mallory; SET search_path = m;
         CREATE TABLE who (what text);
         CREATE TABLE t (id int PRIMARY KEY);
         SELECT pgtrickle.create_stream_table('m.s', 'SELECT id FROM m.t');
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             INSERT INTO m.who VALUES (current_user || ' ' || current_setting('search_path'));
             BEGIN
                 RESET ROLE; RESET SESSION AUTHORIZATION;
             EXCEPTION WHEN OTHERS THEN INSERT INTO m.who VALUES ('refused');
             END;
             BEGIN
                 DELETE FROM public.secret;
             EXCEPTION WHEN OTHERS THEN INSERT INTO m.who VALUES (current_user || ' ' || SQLSTATE);
             END;
             RETURN NEW;
         END $$;
         CREATE TRIGGER now BEFORE INSERT ON m.s FOR EACH ROW EXECUTE FUNCTION note();
         INSERT INTO m.t VALUES (1);
         RESET ROLE",
    )
    .await;
    until(&session, "SELECT count(*) = 1 FROM m.s").await;
    assert_eq!(
        value(&session, "SELECT count(*) FROM public.secret").await,
        "1"
    );
    assert_only_the_owner(&session).await;
    // What is put off to the end of the transaction fires before the owner's rights are given back.
    run(
        &session,
        "TRUNCATE m.who; DROP TRIGGER now ON m.s;
         CREATE CONSTRAINT TRIGGER at_the_end AFTER INSERT ON m.s DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION m.note();
         INSERT INTO m.t VALUES (2)",
    )
    .await;
    until(&session, "SELECT count(*) = 2 FROM m.s").await;
    assert_eq!(
        value(&session, "SELECT count(*) FROM public.secret").await,
        "1"
    );
    assert_only_the_owner(&session).await;
}

/// What the trigger noted, it noted as the owner, who could become none of the server's own roles.
async fn assert_only_the_owner(session: &Session) {
    let who = value(
        session,
        "SELECT string_agg(DISTINCT what, ', ' ORDER BY what) FROM m.who",
    )
    .await;
    assert!(
        who.contains("mallory 42501") && who.contains("refused") && !who.contains("postgres"),
        "{who}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_never_loses_a_deadlock_with_a_worker_that_waits() {
    let cluster = scheduled_cluster(&[("deadlock_timeout", "300ms")]).expect("a cluster");
    let writer = session(&cluster).await;
    let session = session(&cluster).await;
    run(
        &session,
        "CREATE TABLE t (id int PRIMARY KEY);
         SELECT pgtrickle.create_stream_table('below', 'SELECT id FROM t');
         SELECT pgtrickle.create_stream_table('above', 'SELECT id FROM below')",
    )
    .await;
    run(&session, "BEGIN; LOCK TABLE above IN ACCESS EXCLUSIVE MODE").await;
    run(&writer, "INSERT INTO t VALUES (1)").await;
    let waits = "SELECT count(*) > 0 FROM pg_stat_activity
                 WHERE backend_type = 'pg_trickle worker' AND wait_event_type = 'Lock'
                   AND state = 'active' AND query = 'refresh of below, above'";
    until(&writer, waits).await;
    // Longer than the worker needs to find out that there is no deadlock yet.
    tokio::time::sleep(Duration::from_millis(600)).await;
    run(
        &session,
        "SELECT pgtrickle.refresh_stream_table('below'); DROP TABLE above; COMMIT",
    )
    .await;
    until(&session, "SELECT count(*) = 1 FROM below").await;
    // A lock that is held for long is no failure.
    run(&session, "BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE; INSERT INTO t VALUES (2); SELECT pg_sleep(1); COMMIT").await;
    until(&session, "SELECT count(*) = 2 FROM below").await;
    assert_eq!(
        value(
            &session,
            "SELECT count(*) FROM pgtrickle.pgt_refresh_history WHERE status = 'FAILED'"
        )
        .await,
        "0"
    );
}
