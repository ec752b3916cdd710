//! Seeded bugs of what nodes of a cluster of Citus do together: the harness must report each of them.
//!
//! Needs an extension built with its feature `canary`, as `canary.rs` says. Without Citus the test is reported as skipped,
//! with the reason, which fails where `PGT_REQUIRE_CITUS` is set.

use std::env;
use std::path::{Path, PathBuf};

use harness::citus::tables::{GROUPED, LOCAL, create, filled, move_shard};
use harness::citus::{Citus, is_missing};
use harness::client::Session;
use harness::cluster::ExtensionDir;
use harness::insist::{run, until};
use harness::oracle::Question;
use pgtrickle_dvm::canary;

/// Kept by nodes, and in two steps.
const OURS: [(&str, &str); 2] = [LOCAL[2], GROUPED[0]];

/// Where the build with the bugs is.
fn install_dir() -> PathBuf {
    env::var_os("PGT_CANARY_INSTALL_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/pg_trickle-install-canary"),
        PathBuf::from,
    )
}

/// Switches a bug on, or none, on every node.
async fn switch(citus: &Citus, bug: &str) {
    for node in std::iter::once(citus.coordinator()).chain(citus.workers()) {
        let session = Session::connect(node, "postgres").await.unwrap();
        let set = format!("ALTER SYSTEM SET pg_trickle.canary = '{bug}'");
        run(&session, &set).await;
        run(&session, "SELECT pg_reload_conf()").await;
        let is_set = format!("SELECT current_setting('pg_trickle.canary') = '{bug}'");
        until(&session, &is_set).await;
    }
}

/// Refreshes; tells what is wrong afterwards, with each stream table for itself.
async fn objections(session: &Session, options: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (name, query) in OURS {
        let refresh = format!("SELECT pgtrickle.refresh_stream_table('{name}'{options})");
        match session.execute(&refresh).await {
            Err(error) => found.push(format!("{name} {}", error.sqlstate)),
            Ok(()) => {
                let verdict = Question::query(name, query).ask(session).await.unwrap();
                if !verdict.is_exact() {
                    found.push(format!("{name} wrong"));
                }
            }
        }
    }
    found
}

/// Inserts in all shards, twice, and once more before a shard moves; tells all that was wrong.
async fn story(citus: &Citus, session: &Session, turn: usize) -> Vec<String> {
    let insert = |step: usize| {
        let first = 10_000 * (10 * turn + step + 1);
        format!(
            "INSERT INTO d SELECT i, i % 5, i FROM generate_series({first}, {first} + 60) i;
             INSERT INTO e SELECT i, i FROM generate_series({first}, {first} + 60) i"
        )
    };
    let mut found = Vec::new();
    for step in 0..2 {
        run(session, &insert(step)).await;
        found.extend(objections(session, "").await);
    }
    run(session, &insert(2)).await;
    let (from, to) = (turn % 2, (turn + 1) % 2);
    run(session, &move_shard(citus, from, to, "block_writes")).await;
    found.extend(objections(session, "").await);
    found.dedup();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn every_seeded_bug_of_a_cluster_is_reported() {
    if is_missing("every_seeded_bug_of_a_cluster_is_reported") {
        return;
    }
    let extension = ExtensionDir::at(&install_dir()).expect("the build with the bugs is there");
    let citus = Citus::of(&extension, &[]).await.unwrap();
    let session = filled(&citus).await;
    for (name, query) in OURS {
        create(&session, name, query).await;
    }
    let nothing: [String; 0] = [];
    assert_eq!(objections(&session, "").await, nothing);
    assert_eq!(story(&citus, &session, 0).await, nothing);

    let mut turn = 1;
    for bug in canary::IN_CLUSTER {
        switch(&citus, bug.name()).await;
        let found = story(&citus, &session, turn).await;
        println!("{bug}: {}", found.join(", "));
        switch(&citus, "").await;
        // Changes are only taken where there are two steps.
        let must = match *bug {
            canary::CHANGE_TAKEN_TWICE => &OURS[1..],
            _ => &OURS[..],
        };
        for (name, _) in must {
            let is_told = found.iter().any(|told| told.starts_with(name));
            assert!(is_told, "{bug} of {name} is missed: {found:?}");
        }
        assert_eq!(
            objections(&session, ", force_full => true").await,
            nothing,
            "after {bug}"
        );
        turn += 1;
        assert_eq!(story(&citus, &session, turn).await, nothing, "after {bug}");
        turn += 1;
    }
}
