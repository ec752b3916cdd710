//! What `explain_st` prints is what a refresh runs: the server's own record of nested statements against it.

use std::collections::BTreeSet;

use harness::client::Session;
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::insist::{exact, run, value};
use harness::runtime::connect;

/// Stream tables of every kind of node, by name and query.
const STREAM_TABLES: [(&str, &str); 10] = [
    (
        "added_up",
        "SELECT k, count(*) AS n, sum(v) AS total FROM t GROUP BY k",
    ),
    ("joined", "SELECT t.id, t.v, u.w FROM t JOIN u ON u.k = t.k"),
    (
        "left_joined",
        "SELECT t.id, t.v, u.w FROM t LEFT JOIN u ON u.k = t.k AND u.w > 0",
    ),
    ("different", "SELECT DISTINCT k, v FROM t"),
    (
        "numbered",
        "SELECT id, k, row_number() OVER (PARTITION BY k ORDER BY v, id) AS nth FROM t",
    ),
    (
        "first",
        "SELECT DISTINCT ON (k) k, id, v FROM t ORDER BY k, v DESC, id",
    ),
    (
        "of_groups",
        "SELECT g.k, g.total, u.w FROM (SELECT k, sum(v) AS total FROM t GROUP BY k) g JOIN u ON u.k = g.k",
    ),
    (
        "without_match",
        "SELECT u.k FROM u WHERE NOT EXISTS (SELECT FROM t WHERE t.k = u.k AND t.v > 90)",
    ),
    (
        "running",
        "SELECT id, v, sum(v) OVER (ORDER BY id) AS total FROM t",
    ),
    (
        "reached",
        "WITH RECURSIVE r AS (SELECT id, k FROM t WHERE k = 4 UNION SELECT t.id, t.k FROM r JOIN t ON t.k = r.k + 1) SELECT id, k FROM r",
    ),
];

/// The statements over deltas that the server ran since the mark, as it was given them.
fn ran(log: &str) -> BTreeSet<String> {
    let marked = log.match_indices("\"Query Text\": ");
    marked
        .map(|(at, mark)| {
            let text = log[at + mark.len()..].lines().next().unwrap_or_default();
            let text = text.trim_end().trim_end_matches(',');
            serde_json::from_str::<String>(text).expect("a JSON string")
        })
        .filter(|sql| sql.contains("__pgt_"))
        .collect()
}

async fn explained(session: &Session, table: &str) -> Vec<(String, String)> {
    let sql = format!(
        "SELECT item, detail FROM pgtrickle.explain_st('{table}') WHERE section = 'statement'"
    );
    let rows = session.rows(&sql).await.expect("an explanation");
    rows.into_iter()
        .map(|row| {
            let mut fields = row.into_iter().map(Option::unwrap_or_default);
            let mut next = || fields.next().unwrap_or_default();
            (next(), next())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_runs_the_statements_that_are_explained() {
    let options = ClusterOptions::new()
        .extension(ExtensionDir::installed().unwrap())
        .setting("session_preload_libraries", "auto_explain")
        .setting("auto_explain.log_min_duration", "-1")
        .setting("auto_explain.log_nested_statements", "on")
        .setting("auto_explain.log_format", "json");
    let cluster = Cluster::start(&options).unwrap();
    let session = connect(&cluster, "postgres").await.expect("a session");
    run(
        &session,
        "CREATE TABLE t (id int PRIMARY KEY, k int NOT NULL, v int NOT NULL);
         CREATE TABLE u (k int PRIMARY KEY, w int NOT NULL);
         INSERT INTO t SELECT i, i % 7, i FROM generate_series(1, 100) i;
         INSERT INTO u SELECT i, i FROM generate_series(0, 9) i",
    )
    .await;
    for (name, query) in STREAM_TABLES {
        let create = format!(
            "SELECT pgtrickle.create_stream_table('{name}', $q${query}$q$, refresh_mode => 'DIFFERENTIAL')"
        );
        run(&session, &create).await;
    }
    run(
        &session,
        "UPDATE t SET v = v + 1 WHERE id = 3; DELETE FROM t WHERE id = 4; INSERT INTO t VALUES (101, 8, 95)",
    )
    .await;
    for (name, _) in STREAM_TABLES {
        let mark = cluster.log_mark();
        run(&session, "SET auto_explain.log_min_duration = 0").await;
        let refresh = format!("SELECT action FROM pgtrickle.refresh_stream_table('{name}')");
        assert_eq!(value(&session, &refresh).await, "DIFFERENTIAL", "{name}");
        run(&session, "SET auto_explain.log_min_duration = -1").await;
        let ran = ran(&cluster.log_since(mark));
        assert!(!ran.is_empty(), "{name}: the server recorded no statement");
        let explained = explained(&session, name).await;
        for sql in &ran {
            let is_explained = explained.iter().any(|(_, text)| text == sql);
            assert!(is_explained, "{name} ran what is not explained:\n{sql}");
        }
        let deltas = explained
            .iter()
            .filter(|(item, _)| item.starts_with("delta") && item.ends_with("public.t changed"));
        for (item, text) in deltas {
            assert!(ran.contains(text), "{name} did not run {item}:\n{text}");
        }
    }
    exact(&session, &STREAM_TABLES.map(|(name, _)| name)).await;
}
