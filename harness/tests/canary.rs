//! Seeded bugs: the harness must report each of them as wrong, or it proves nothing.
//!
//! Needs an extension built with its feature `canary`, laid out in `PGT_CANARY_INSTALL_DIR` or
//! `target/pg_trickle-install-canary`. The setting `pg_trickle.canary` of that build switches one
//! bug on. `PGT_CANARY=name,name` tries only those.

use std::env;
use std::path::{Path, PathBuf};

use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::generator::{FindingKind, Search};
use harness::scenario::{Cadence, Mode, Replayer, Scenario, Variant, World, Writer, load_all};
use pgtrickle_dvm::canary;

/// Made-up cases per bug.
const CASES: u64 = 400;

/// Where the build with the bugs is.
fn install_dir() -> PathBuf {
    env::var_os("PGT_CANARY_INSTALL_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/pg_trickle-install-canary"),
        PathBuf::from,
    )
}

/// The first scenario in which the oracle objects.
async fn caught_by_scenario(
    world: &World<'_>,
    scenarios: &[Scenario],
    settings: &[(&str, &str)],
) -> Option<String> {
    let variant = Variant {
        mode: Mode::Differential,
        cadence: Cadence::EachStep,
        writer: Writer::Native,
    };
    for scenario in scenarios {
        let result = Replayer::replay_with(world, scenario, variant, settings).await;
        if let Err(failure) = result
            && failure.by_oracle
        {
            return Some(format!("{}, {}", failure.scenario, failure.step));
        }
    }
    None
}

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

#[tokio::test(flavor = "multi_thread")]
async fn every_seeded_bug_is_reported_as_wrong() {
    let extension = ExtensionDir::at(&install_dir()).expect("the build with the bugs is there");
    let cluster = Cluster::start(&ClusterOptions::new().extension(extension))
        .expect("a private cluster starts");
    let world = World::with_extension(&cluster)
        .await
        .expect("the extension can be created");
    let mut scenarios = load_all(&Scenario::folder()).expect("readable scenarios");
    scenarios.retain(|scenario| scenario.modes.contains(&Mode::Differential));

    // The build itself is right while no bug is switched on.
    assert_eq!(caught_by_scenario(&world, &scenarios, &[]).await, None);

    let mut missed = Vec::new();
    let only = env::var("PGT_CANARY").ok();
    for bug in canary::NAMES {
        if only
            .as_ref()
            .is_some_and(|only| !only.split(',').any(|name| name == bug))
        {
            continue;
        }
        let settings = [("pg_trickle.canary", bug)];
        let scenario = caught_by_scenario(&world, &scenarios, &settings).await;
        let case = caught_by_generator(&world, &settings).await;
        println!("{bug}: scenarios {scenario:?}, generator {case:?}");
        if scenario.is_none() || case.is_none() {
            missed.push(bug);
        }
    }
    assert!(missed.is_empty(), "missed by one of the two: {missed:?}");
}
