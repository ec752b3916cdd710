//! Seeded bugs: the harness must report each of them as wrong, or it proves nothing.
//!
//! Needs an extension built with its feature `canary`, laid out in `PGT_CANARY_INSTALL_DIR` or
//! `target/pg_trickle-install-canary`. The setting `pg_trickle.canary` of that build switches one
//! bug on. `PGT_CANARY=name,name` tries only those.

use std::env;
use std::path::{Path, PathBuf};

use harness::client::Session;
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::generator::{FindingKind, Search};
use harness::permutation::Actor;
use harness::scenario::{Cadence, Mode, Replayer, Scenario, Variant, World, Writer, load_all};
use pgtrickle_dvm::canary::{self, Bug};

/// Made-up cases per bug, at most: the generator writes many kinds of queries, and a bug shows in few of them.
const CASES: u64 = 400;

/// Where the build with the bugs is.
fn install_dir() -> PathBuf {
    env::var_os("PGT_CANARY_INSTALL_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/pg_trickle-install-canary"),
        PathBuf::from,
    )
}

/// Bugs that a scenario notices by what it expects: what the clock decides is right for the oracle that asks at once, and
/// the stream tables of other roles are asked for by hand.
const BY_EXPECTATION: [&str; 2] = ["clock_word_read", "policy_forgotten"];

/// The first scenario in which the oracle objects, or anything else where `by_any`.
async fn caught_by_scenario(
    world: &World<'_>,
    scenarios: impl IntoIterator<Item = &Scenario>,
    settings: &[(&str, &str)],
    by_any: bool,
) -> Option<String> {
    let variant = Variant {
        mode: Mode::Differential,
        cadence: Cadence::EachStep,
        writer: Writer::Native,
    };
    for scenario in scenarios {
        let result = Replayer::replay_with(world, scenario, variant, settings).await;
        if let Err(failure) = result
            && (by_any || failure.by_oracle)
        {
            return Some(format!("{}, {}", failure.scenario, failure.step));
        }
    }
    None
}

/// Bugs that one of the two has to find: in so few cases the generator may not meet the query that shows them.
const BY_ONE: [&str; 4] = [
    "carry_forgotten",
    "clock_word_read",
    "policy_forgotten",
    "last_by_value_cut_off",
];

/// The first made-up case in which the oracle objects.
async fn caught_by_generator(world: &World<'_>, settings: &[(&str, &str)]) -> Option<String> {
    let mut first_seed = 1;
    while first_seed <= CASES {
        let search = Search {
            first_seed,
            shrink_runs: 0,
            max_findings: 1,
            write: false,
        };
        let left = CASES + 1 - first_seed;
        let report = search
            .run(world, settings, |done| done < left)
            .await
            .expect("the server is there");
        let (seed, finding, _) = report.findings.first()?;
        if [FindingKind::Wrong, FindingKind::PartsDiffer].contains(&finding.kind) {
            return Some(format!("case {seed}"));
        }
        first_seed = seed + 1;
    }
    None
}

/// Whether a second writer of a group comes through right, who began while the first had not committed.
async fn survives_two_writers(
    world: &World<'_>,
    cluster: &Cluster,
    settings: &[(&str, &str)],
) -> bool {
    let database = world
        .database("two_writers", settings)
        .await
        .expect("a database");
    let witness = Session::connect(cluster, &database)
        .await
        .expect("a session");
    witness
        .execute(
            "CREATE TABLE t (id int PRIMARY KEY, g int);
             SELECT pgtrickle.create_stream_table('sizes',
                 'SELECT g, count(*) AS n FROM t GROUP BY g', refresh_mode => 'IMMEDIATE')",
        )
        .await
        .expect("a stream table");
    let mut first = Actor::new(cluster, &database).await;
    first.prepare(vec![
        "BEGIN; INSERT INTO t VALUES (1, 1)".to_owned(),
        "COMMIT".to_owned(),
    ]);
    let mut second = Actor::new(cluster, &database).await;
    second.prepare(vec!["INSERT INTO t VALUES (2, 1)".to_owned()]);
    let mut actors = [first, second];
    let mut failed = false;
    for turn in [0, 1, 0] {
        actors[turn].due = 1;
        failed |= actors[turn].advance(&witness).await.is_some();
    }
    while actors[1].running.is_some() {
        failed |= actors[1].advance(&witness).await.is_some();
    }
    let n = witness.scalar("SELECT n FROM sizes WHERE g = 1").await;
    !failed && n.is_ok_and(|n| n == "2")
}

/// A server with the build that contains the bugs.
fn seeded() -> Cluster {
    let extension = ExtensionDir::at(&install_dir()).expect("the build with the bugs is there");
    Cluster::start(&ClusterOptions::new().extension(extension)).expect("a private cluster starts")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_seeded_bug_of_two_writers_is_reported() {
    let cluster = seeded();
    let world = World::with_extension(&cluster)
        .await
        .expect("the extension can be created");
    assert!(survives_two_writers(&world, &cluster, &[]).await);
    for bug in canary::IN_CONCURRENCY {
        let settings = [("pg_trickle.canary", bug.name())];
        assert!(
            !survives_two_writers(&world, &cluster, &settings).await,
            "{bug}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_seeded_bug_is_reported_as_wrong() {
    let mut scenarios = load_all(&Scenario::folder()).expect("readable scenarios");
    scenarios.retain(|scenario| scenario.modes.contains(&Mode::Differential));
    let only = env::var("PGT_CANARY").ok();
    let bugs: Vec<Bug> = canary::ALL
        .iter()
        .copied()
        .filter(|bug| {
            only.as_ref()
                .is_none_or(|only| only.split(',').any(|name| name == bug.name()))
        })
        .collect();
    // Two servers, so that roles of the same scenario do not meet.
    let (some, others) = bugs.split_at(bugs.len() / 2);
    let (mut missed, more) =
        tokio::join!(missed(&scenarios, 0, some), missed(&scenarios, 1, others));
    missed.extend(more);
    assert!(missed.is_empty(), "missed by one of the two: {missed:?}");
}

/// The bugs that scenarios or the generator do not report, tried on a server of its own. Every other scenario, beginning
/// with `first`, shows that the build itself is right while no bug is switched on.
async fn missed(scenarios: &[Scenario], first: usize, bugs: &[Bug]) -> Vec<&'static str> {
    let cluster = seeded();
    let world = World::with_extension(&cluster)
        .await
        .expect("the extension can be created");
    let half = scenarios.iter().skip(first).step_by(2);
    assert_eq!(caught_by_scenario(&world, half, &[], false).await, None);
    let mut missed = Vec::new();
    for bug in bugs {
        let settings = [("pg_trickle.canary", bug.name())];
        let by_any = BY_EXPECTATION.contains(&bug.name());
        let scenario = caught_by_scenario(&world, scenarios, &settings, by_any).await;
        let by_one = BY_ONE.contains(&bug.name());
        let case = match by_one && scenario.is_some() {
            true => None,
            false => caught_by_generator(&world, &settings).await,
        };
        println!("{bug}: scenarios {scenario:?}, generator {case:?}");
        let is_missed = match by_one {
            true => scenario.is_none() && case.is_none(),
            false => scenario.is_none() || case.is_none(),
        };
        if is_missed {
            missed.push(bug.name());
        }
    }
    missed
}
