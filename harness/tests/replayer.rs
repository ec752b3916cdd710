//! The replayer against a stand-in for the extension: it must see what is wrong, and only that.

use harness::cluster::{Cluster, ClusterOptions};
use harness::scenario::{Mode, Replayer, Scenario, Variant, World};

const FAKE: &str = include_str!("fake_engine.sql");

/// Replays in every variant that has refreshes, which is all that the stand-in knows; the distinct
/// complaints.
async fn complaints(world: &World<'_>, text: &str) -> Vec<String> {
    complaints_of(world, text, |mode| mode != Mode::Immediate).await
}

async fn complaints_of(
    world: &World<'_>,
    text: &str,
    is_wanted: impl Fn(Mode) -> bool,
) -> Vec<String> {
    let scenario: Scenario = toml::from_str(text).expect("a scenario");
    let mut all = Vec::new();
    let variants = Variant::of(&scenario);
    for variant in variants.into_iter().filter(|v| is_wanted(v.mode)) {
        if let Err(failure) = Replayer::replay(world, &scenario, variant).await {
            let complaint = format!("{}: {}", failure.step, failure.what);
            if !all.contains(&complaint) {
                all.push(complaint);
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn the_replayer_reports_what_is_wrong_and_nothing_else() {
    let cluster = Cluster::start(&ClusterOptions::new()).expect("a private cluster starts");
    let world = World::new(&cluster, FAKE).await.expect("the fake is there");
    let good = r#"
        title = "good"
        setup = "CREATE TABLE t (a int PRIMARY KEY, b numeric)"
        [[stream_table]]
        name = "st"
        query = "SELECT a, b FROM t WHERE a > 0"
        [[step]]
        name = "insert"
        sql = "INSERT INTO t VALUES (1, 1.0), (-1, 2)"
        expect.st = { rows = 1, action = "DIFFERENTIAL", inserted = 1 }
        query = [{ sql = "SELECT a, NULL, b FROM st", returns = "1||1.0" }]
        [[step]]
        name = "duplicate"
        sql = "INSERT INTO t VALUES (1, 1.0)"
        error = "23505"
        error_text = "duplicate key"
        [[step]]
        name = "another session"
        run = [{ session = "b", sql = "BEGIN; INSERT INTO t VALUES (2, 2)" },
               { session = "c", sql = "INSERT INTO t VALUES (3, 2)" }]
        expect.st = { rows = 2 }
        [[step]]
        name = "commit"
        run = [{ session = "b", sql = "COMMIT" }]
        expect.st = { rows = 3 }
        [[step]]
        name = "rename"
        sql = "ALTER TABLE st RENAME TO st2"
        renamed = { st = "st2" }
    "#;
    assert_eq!(complaints(&world, good).await, Vec::<String>::new());

    let text = |change: &str| {
        format!(
            "title = 'x'\nsetup = 'CREATE TABLE t (a numeric)'\n\
             [[stream_table]]\nname = 'st'\nquery = 'SELECT a FROM t'\n[[step]]\n{change}"
        )
    };
    let lazy = "INSERT INTO t VALUES (1.0); INSERT INTO fake.lazy VALUES ('st')";
    for (change, complaint) in [
        (
            format!("name = 's'\nsql = \"{lazy}\""),
            "s: st is wrong: the query has 1 rows, the stream table 0; 1 missing, 0 surplus\
             \n  missing (1.0)\na fake",
        ),
        (
            "name = 's'\nsql = 'SELECT 1/0'\nerror = '23505'".into(),
            "s: expected 23505, got 22012: division by zero\nin: SELECT 1/0",
        ),
        (
            "name = 's'\nsql = 'SELECT 1'\nerror = '23505'".into(),
            "s: succeeded, expected 23505",
        ),
        ("name = 's'\ncadences = 1".into(), ""),
        (
            "name = 's'\nexpect.st = { rows = 7 }".into(),
            "s: st has 0 rows, expected 7",
        ),
        (
            "name = 's'\nsql = 'INSERT INTO t VALUES (1)'\nexpect.st = { action = 'FULL' }".into(),
            "s: refresh of st has action DIFFERENTIAL, expected FULL",
        ),
        (
            "name = 's'\nquery = [{ sql = 'SELECT 1', returns = '2' }]".into(),
            "s: SELECT 1 returns\n1\nand not\n2",
        ),
        (
            "name = 's'\nsql = 'ALTER TABLE st RENAME TO messy'\nrenamed = { st = 'messy' }".into(),
            "drop of all stream tables: left behind: v pgtrickle_state.view_0",
        ),
    ] {
        if complaint.is_empty() {
            assert!(toml::from_str::<Scenario>(&text(&change)).is_err());
        } else {
            assert_eq!(complaints(&world, &text(&change)).await, [complaint]);
        }
    }
    let change = text("name = 's'\nsql = 'INSERT INTO t VALUES (1)'").replace("'st'", "'idle'");
    assert_eq!(
        complaints_of(&world, &change, |mode| mode == Mode::Immediate).await,
        [
            "s: idle is wrong: the query has 1 rows, the stream table 0; 1 missing, 0 surplus\
             \n  missing (1)\na fake"
        ]
    );
}
