//! Stream tables that are dropped while other sessions use them: these hear that there is no such table, or that they
//! were in each other's way, and nothing that would be a bug.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use harness::client::{Session, SqlError};
use harness::cluster::Cluster;
use harness::insist::{exact, run};
use harness::runtime::{connect, scheduled_cluster};

/// What a session may hear: no such table or object, one that is there again, a deadlock, an older snapshot, what is
/// still in use or needed.
const ALLOWED: [&str; 7] = [
    "42P01", "42704", "42P07", "40P01", "40001", "55006", "2BP01",
];

const QUERY: &str = "SELECT k, count(*) AS n, max(v) AS last FROM src GROUP BY k";

async fn session(cluster: &Cluster) -> Session {
    connect(cluster, "postgres").await.expect("a session")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_dropped_since_the_session_looked_does_not_exist() {
    let cluster = scheduled_cluster(&[("pg_trickle.enabled", "off")]).expect("a cluster");
    let (own, other) = (session(&cluster).await, session(&cluster).await);
    run(&own, "CREATE TABLE src (k int, v int)").await;
    for call in [
        "refresh_stream_table('s')",
        "explain_st('s')",
        "alter_stream_table('s', schedule => '1s')",
        "suspend_stream_table('s')",
        "drop_stream_table('s')",
    ] {
        let create = format!("SELECT pgtrickle.create_stream_table('s', '{QUERY}')");
        run(&own, &create).await;
        run(&own, "SELECT 's'::regclass; BEGIN; SELECT 1").await;
        run(&other, "DROP TABLE s").await;
        let heard = own.execute(&format!("SELECT pgtrickle.{call}")).await;
        let error = heard.expect_err(call);
        assert_eq!(error.sqlstate, "42P01", "{call}: {error}");
        assert_eq!(error.message, "stream table \"s\" does not exist");
        run(&own, "ROLLBACK").await;
    }
}

/// Does these, one after the other, until the time is up; how often each SQLSTATE was heard.
async fn repeat(
    session: &Session,
    until: Instant,
    statements: &[String],
) -> BTreeMap<String, (u32, SqlError)> {
    let mut heard: BTreeMap<String, (u32, SqlError)> = BTreeMap::new();
    while Instant::now() < until {
        for sql in statements {
            if let Err(error) = session.execute(sql).await {
                let entry = heard.entry(error.sqlstate.clone());
                entry.or_insert((0, error)).0 += 1;
            }
        }
    }
    heard
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_around_one_that_drops_and_creates_hear_of_no_bug() {
    let cluster = scheduled_cluster(&[]).expect("a cluster");
    let first = session(&cluster).await;
    run(
        &first,
        "CREATE TABLE src (id int PRIMARY KEY, k int, v int);
         INSERT INTO src SELECT i, i % 5, i FROM generate_series(1, 50) i;
         CREATE TABLE beside (id int PRIMARY KEY);
         SELECT pgtrickle.create_stream_table('stays', 'SELECT k, count(*) AS n FROM src GROUP BY k')",
    )
    .await;
    let create = |name: &str, query: &str, mode: &str| {
        format!(
            "SELECT pgtrickle.create_stream_table('{name}', '{query}', refresh_mode => '{mode}')"
        )
    };
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let above = "SELECT n, count(*) AS groups FROM s GROUP BY n";
    let scripts: Vec<Vec<String>> = vec![
        vec![
            create("s", QUERY, "AUTO"),
            create("above", above, "AUTO"),
            "SELECT pgtrickle.drop_stream_table('s', true)".to_owned(),
            create("s", QUERY, "IMMEDIATE"),
            "DROP TABLE s CASCADE".to_owned(),
        ],
        texts(&[
            "SELECT pgtrickle.refresh_stream_table('s')",
            "SELECT pgtrickle.refresh_stream_table('above', force_full => true)",
            "BEGIN; SELECT pgtrickle.refresh_stream_table('stays'); SELECT pgtrickle.refresh_stream_table('s'); COMMIT",
            "ROLLBACK",
        ]),
        texts(&[
            "SELECT count(*) FROM pgtrickle.explain_st('s')",
            "SELECT count(*) FROM pgtrickle.pgt_status()",
            "SELECT count(*) FROM pgtrickle.health_check()",
            "SELECT count(*) FROM pgtrickle.metrics()",
            "SELECT count(*) FROM pgtrickle.change_buffer_sizes()",
            "SELECT pgtrickle.get_refresh_history('s', 1)",
        ]),
        texts(&[
            "SELECT pgtrickle.alter_stream_table('s', schedule => '1s')",
            "SELECT pgtrickle.alter_stream_table('above', refresh_mode => 'FULL')",
            "SELECT pgtrickle.suspend_stream_table('s')",
            "SELECT pgtrickle.resume_stream_table('s')",
            "SELECT pgtrickle.drop_stream_table('above')",
        ]),
        texts(&[
            "UPDATE src SET v = v + 1 WHERE id % 7 = 0",
            "INSERT INTO src SELECT i, i % 3, i FROM generate_series(100, 103) i ON CONFLICT DO NOTHING",
            "DELETE FROM src WHERE id > 99",
        ]),
    ];
    let until = Instant::now() + Duration::from_secs(12);
    let mut running = Vec::new();
    for statements in scripts {
        let session = session(&cluster).await;
        running.push(tokio::spawn(async move {
            repeat(&session, until, &statements).await
        }));
    }
    let mut wrong = Vec::new();
    for (script, heard) in running.into_iter().enumerate() {
        let heard = heard.await.expect("it ran to its end");
        let counts: Vec<_> = heard
            .iter()
            .map(|(state, (n, _))| format!("{state}: {n}"))
            .collect();
        println!("script {script} heard {}", counts.join(", "));
        wrong.extend(heard.values().filter_map(|(_, error)| {
            let is_allowed = ALLOWED.contains(&error.sqlstate.as_str());
            (!is_allowed).then(|| error.to_string())
        }));
    }
    let log = cluster.log();
    let told = log
        .lines()
        .filter(|line| line.contains("bug in pg_trickle"));
    wrong.extend(told.map(str::to_owned));
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    exact(&first, &["stays"]).await;
}
