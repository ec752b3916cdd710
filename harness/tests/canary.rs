//! Seeded bugs: the harness must report each of them as wrong, or it proves nothing.
//!
//! Needs an extension built with its feature `canary`, laid out in `PGT_CANARY_INSTALL_DIR` or
//! `target/pg_trickle-install-canary`. The setting `pg_trickle.canary` of that build switches one
//! bug on. `PGT_CANARY=name,name` tries only those. With `PGT_CANARY_SECONDS`, bugs whose turn comes later are reported as
//! skipped.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use harness::client::Session;
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::generator::{FindingKind, Search};
use harness::permutation::Actor;
use harness::scenario::{Cadence, Mode, Replayer, Scenario, Variant, World, Writer, load_all};
use pgtrickle_dvm::canary::{self, Bug};

/// Made-up cases per bug, at most: the generator writes many kinds of queries, and a bug shows in few of them.
const CASES: u64 = 800;

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

/// Where scenarios are replayed, with a bug or without.
const VARIANT: Variant = Variant {
    mode: Mode::Differential,
    cadence: Cadence::EachStep,
    writer: Writer::Native,
};

/// The first scenario in which the oracle objects, or anything else where `by_any`. The scenario that showed the bug last
/// time comes first. Panics if that scenario is not right without the bug either.
async fn caught_by_scenario(world: &World<'_>, scenarios: &[Scenario], bug: Bug) -> Option<String> {
    let by_any = BY_EXPECTATION.contains(&bug.name());
    let settings = [("pg_trickle.canary", bug.name())];
    let known = SHOWN_BY.iter().find(|(name, _)| *name == bug.name());
    let (first, rest): (Vec<_>, Vec<_>) = scenarios
        .iter()
        .partition(|scenario| known.is_some_and(|(_, known)| scenario.name == *known));
    for scenario in first.into_iter().chain(rest) {
        let Err(failure) = Replayer::replay_with(world, scenario, VARIANT, &settings).await else {
            continue;
        };
        if by_any || failure.by_oracle {
            let control = Replayer::replay(world, scenario, VARIANT).await;
            assert!(control.is_ok(), "without {bug}: {control:?}");
            return Some(format!("{}, {}", failure.scenario, failure.step));
        }
    }
    None
}

/// A scenario that shows the bug: only the order of trying rests on it.
const SHOWN_BY: [(&str, &str); 15] = [
    ("scale_forgotten", "expressions"),
    ("padding_stays", "aggregates_unordered"),
    ("bound_stands_still", "time_filter"),
    ("condition_stays", "time_condition"),
    ("empty_group_forgotten", "inheritance_keys"),
    ("unknown_is_false", "join_by_shared_conditions"),
    ("first_rows_stay", "first_rows_refused"),
    ("left_partition_stays", "aggregates_undeclared"),
    ("ties_cut_off", "first_rows"),
    ("reach_cut_short", "windows_neighbours"),
    ("carry_forgotten", "grouping_sets"),
    ("rederivation_forgotten", "recursive"),
    ("clock_word_read", "text_of_time_by_clock"),
    ("policy_forgotten", "row_security_columns"),
    ("last_by_value_cut_off", "limit_by_negative_value"),
];

/// Bugs that one of the two has to find: in so few cases the generator may not meet the query that shows them.
const BY_ONE: [&str; 5] = [
    "carry_forgotten",
    "clock_word_read",
    "condition_stays",
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
    scenarios.retain(|scenario| {
        scenario.modes.contains(&VARIANT.mode) && scenario.cadences.contains(&VARIANT.cadence)
    });
    let only = env::var("PGT_CANARY").ok();
    let bugs: Vec<Bug> = canary::ALL
        .iter()
        .copied()
        .filter(|bug| {
            only.as_ref()
                .is_none_or(|only| only.split(',').any(|name| name == bug.name()))
        })
        .collect();
    let end = env::var("PGT_CANARY_SECONDS").ok().map(|seconds| {
        Instant::now() + Duration::from_secs(seconds.parse().expect("a number of seconds"))
    });
    let tried = Mutex::new(bugs.into_iter());
    // Two servers, so that roles of the same scenario do not meet.
    let (mut some, others) = tokio::join!(
        try_all(&scenarios, &tried, end),
        try_all(&scenarios, &tried, end)
    );
    some.extend(others);
    let names = |wanted| {
        let of_kind = some.iter().filter(|(_, outcome)| *outcome == wanted);
        of_kind.map(|(bug, _)| bug.name()).collect::<Vec<_>>()
    };
    let untried = names(Outcome::Untried);
    if !untried.is_empty() {
        let untried = untried.join(", ");
        println!("skipped: every_seeded_bug_is_reported_as_wrong: no time is left for {untried}");
    }
    assert_eq!(names(Outcome::Missed), [""; 0]);
}

/// What became of a bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// By those of the two that have to report it.
    Reported,
    Missed,
    /// The time that is given ended before its turn.
    Untried,
}

/// Takes one bug after the other, and tries it on a server of its own.
async fn try_all(
    scenarios: &[Scenario],
    bugs: &Mutex<impl Iterator<Item = Bug>>,
    end: Option<Instant>,
) -> Vec<(Bug, Outcome)> {
    let cluster = seeded();
    let world = World::with_extension(&cluster)
        .await
        .expect("the extension can be created");
    let mut outcomes = Vec::new();
    loop {
        let next = bugs.lock().expect("nobody panics with it").next();
        let Some(bug) = next else {
            return outcomes;
        };
        let outcome = match end.is_some_and(|end| Instant::now() >= end) {
            true => Outcome::Untried,
            false => attempt(&world, scenarios, bug).await,
        };
        outcomes.push((bug, outcome));
    }
}

/// Whether scenarios and the generator report a bug.
async fn attempt(world: &World<'_>, scenarios: &[Scenario], bug: Bug) -> Outcome {
    let started = Instant::now();
    let scenario = caught_by_scenario(world, scenarios, bug).await;
    let replayed = started.elapsed();
    let by_one = BY_ONE.contains(&bug.name());
    let case = match by_one && scenario.is_some() {
        true => None,
        false => caught_by_generator(world, &[("pg_trickle.canary", bug.name())]).await,
    };
    println!(
        "{bug}: scenarios {scenario:?} in {replayed:.1?}, generator {case:?} in {:.1?}",
        started.elapsed() - replayed
    );
    let is_reported = match by_one {
        true => scenario.is_some() || case.is_some(),
        false => scenario.is_some() && case.is_some(),
    };
    match is_reported {
        true => Outcome::Reported,
        false => Outcome::Missed,
    }
}
