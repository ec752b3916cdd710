//! Stream tables that read the same source are refreshed together, and the source's changes are read once.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::client::Session;
use harness::insist::{exact, run, until, value};
use harness::runtime::{connect, scheduled_cluster};

/// How many stream tables there are.
const COUNT: usize = 24;

/// Different columns of one table, in different shapes.
fn query(index: usize) -> String {
    match index % 4 {
        0 => format!("SELECT k, sum(v) AS s FROM src WHERE v > {index} GROUP BY k"),
        1 => format!("SELECT id, note FROM src WHERE k = {index}"),
        2 => "SELECT k, count(*) AS n FROM src GROUP BY k".to_owned(),
        _ => format!(
            "SELECT id, k, v + {index} AS w FROM src WHERE id % 7 = {}",
            index % 7
        ),
    }
}

fn names(indexes: impl Iterator<Item = usize>) -> Vec<String> {
    indexes.map(|index| format!("s{index}")).collect()
}

async fn create(session: &Session) {
    run(
        session,
        "CREATE TABLE src (id int PRIMARY KEY, k int NOT NULL, v int NOT NULL, note text);
         INSERT INTO src SELECT i, i % 24, i, 'note ' || i FROM generate_series(1, 500) i",
    )
    .await;
    for index in 0..COUNT {
        run(
            session,
            &format!(
                "SELECT pgtrickle.create_stream_table('s{index}', '{}')",
                query(index)
            ),
        )
        .await;
    }
}

async fn counters(session: &Session) -> BTreeMap<String, i64> {
    let rows = session
        .rows("SELECT name, value::text FROM pgtrickle.runtime_counters()")
        .await
        .expect("counters");
    let pairs = rows.into_iter().filter_map(|row| {
        let mut row = row.into_iter().flatten();
        Some((row.next()?, row.next()?.parse().ok()?))
    });
    pairs.collect()
}

/// What a counter has risen by.
fn risen(before: &BTreeMap<String, i64>, after: &BTreeMap<String, i64>, name: &str) -> i64 {
    after[name] - before[name]
}

async fn all_exact(session: &Session, but: &[usize]) {
    let names = names((0..COUNT).filter(|index| !but.contains(index)));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    exact(session, &names).await;
}

/// Whether the scheduler hands out work. What is due meanwhile becomes one round.
async fn schedule(session: &Session, on: bool) {
    let value = if on { "on" } else { "off" };
    run(
        session,
        &format!("ALTER SYSTEM SET pg_trickle.enabled = {value}"),
    )
    .await;
    run(session, "SELECT pg_reload_conf()").await;
    let shown = format!("SELECT current_setting('pg_trickle.enabled') = '{value}'");
    until(session, &shown).await;
    if on {
        return;
    }
    // The scheduler has read it as well, and hands out nothing more.
    until(
        session,
        "SELECT count(*) = 0 FROM pgtrickle.refresh_workers() WHERE state = 'BUSY'",
    )
    .await;
    tokio::time::sleep(Duration::from_millis(300)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_reads_one_source_is_refreshed_together_and_its_changes_are_read_once() {
    let cluster = scheduled_cluster(&[("pg_trickle.max_refresh_workers", "1")]).expect("a cluster");
    let session = connect(&cluster, "postgres").await.expect("a session");
    create(&session).await;
    let mut most_shared = 0.0;
    // A machine that is busy makes refreshes long, and groups short.
    for round in 0..20 {
        let before = counters(&session).await;
        run(
            &session,
            "UPDATE src SET v = v + 1, note = note || '!' WHERE id <= 100",
        )
        .await;
        all_exact(&session, &[]).await;
        let after = counters(&session).await;
        let read = risen(&before, &after, "source_deltas_read_total");
        let shared = risen(&before, &after, "source_deltas_shared_total");
        println!("round {round}: {read} read, {shared} shared");
        assert!(
            read + shared >= COUNT as i64,
            "{read} read, {shared} shared"
        );
        most_shared = f64::max(most_shared, shared as f64 / (read + shared) as f64);
    }
    assert!(most_shared > 0.7, "{most_shared}");
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_fail_are_suspended_locked_or_ahead_do_not_change_what_the_others_get() {
    let cluster = scheduled_cluster(&[("pg_trickle.max_refresh_workers", "1")]).expect("a cluster");
    let session = connect(&cluster, "postgres").await.expect("a session");
    create(&session).await;
    run(
        &session,
        "SELECT pgtrickle.create_stream_table('bad', 'SELECT id, 10 / v AS q FROM src')",
    )
    .await;
    run(&session, "SELECT pgtrickle.suspend_stream_table('s7')").await;
    all_exact(&session, &[]).await;

    schedule(&session, false).await;
    run(
        &session,
        "UPDATE src SET v = v + 1, note = note || '!' WHERE id <= 50",
    )
    .await;
    // Some are ahead of the others, and not all alike.
    for index in 0..5 {
        run(
            &session,
            &format!("SELECT pgtrickle.refresh_stream_table('s{index}')"),
        )
        .await;
    }
    run(&session, "DELETE FROM src WHERE id BETWEEN 40 AND 60").await;
    run(&session, "SELECT pgtrickle.refresh_stream_table('s5')").await;
    run(
        &session,
        "INSERT INTO src SELECT i, i % 24, 0, 'new' FROM generate_series(600, 640) i",
    )
    .await;
    let locker = connect(&cluster, "postgres").await.expect("a session");
    run(&locker, "BEGIN; LOCK TABLE s9 IN ACCESS EXCLUSIVE MODE").await;
    schedule(&session, true).await;
    all_exact(&session, &[7, 9]).await;
    until(
        &session,
        "SELECT consecutive_errors > 0 FROM pgtrickle.pgt_status() WHERE name = 'bad'",
    )
    .await;
    run(&locker, "COMMIT").await;
    all_exact(&session, &[7]).await;
    drop(locker);

    schedule(&session, false).await;
    run(&session, "UPDATE src SET k = (k + 1) % 24, v = 5").await;
    run(&session, "SELECT pgtrickle.refresh_stream_table('s8')").await;
    run(&session, "TRUNCATE src").await;
    run(&session, "SELECT pgtrickle.refresh_stream_table('s10')").await;
    run(
        &session,
        "INSERT INTO src SELECT i, i % 24, i, 'again' FROM generate_series(1, 90) i",
    )
    .await;
    run(&session, "SELECT pgtrickle.resume_stream_table('s7')").await;
    schedule(&session, true).await;
    all_exact(&session, &[]).await;
    exact(&session, &["bad"]).await;
    let status = "SELECT count(*) FROM pgtrickle.pgt_status() WHERE consecutive_errors > 0";
    assert_eq!(value(&session, status).await, "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_refresh_of_the_group_writes_to_a_source_reaches_the_members_after_it() {
    let cluster = scheduled_cluster(&[("pg_trickle.max_refresh_workers", "1")]).expect("a cluster");
    let session = connect(&cluster, "postgres").await.expect("a session");
    run(
        &session,
        "CREATE TABLE src (id int PRIMARY KEY, v int);
         CREATE TABLE log (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v int);
         INSERT INTO src SELECT i, i FROM generate_series(1, 20) i;
         CREATE FUNCTION take_down() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO public.log (v) VALUES (NEW.v); RETURN NULL; END $$",
    )
    .await;
    for index in 0..6 {
        run(
            &session,
            &format!(
                "SELECT pgtrickle.create_stream_table('s{index}',
                     'SELECT s.id, s.v, (SELECT count(*) FROM log l WHERE l.v = s.v) AS n FROM src s')"
            ),
        )
        .await;
    }
    run(
        &session,
        "CREATE TRIGGER t AFTER INSERT OR UPDATE OF v ON s2 FOR EACH ROW EXECUTE FUNCTION take_down()",
    )
    .await;
    let names = names(0..6);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for round in 0..5 {
        run(
            &session,
            &format!("UPDATE src SET v = v + 1 WHERE id % 5 = {round}"),
        )
        .await;
        exact(&session, &names).await;
    }
    assert_ne!(value(&session, "SELECT count(*) FROM log").await, "0");
}
