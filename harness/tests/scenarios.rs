//! Every scenario of the project, in every variant.
//!
//! `PGT_SCENARIO=part-of-a-name` replays only some.

use std::env;

use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::scenario::{Scenario, World, load_all, replay_all};

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_is_exact_in_every_variant() {
    let extension = ExtensionDir::installed().expect("the extension is installed");
    let cluster = Cluster::start(&ClusterOptions::new().extension(extension))
        .expect("a private cluster starts");
    let world = World::with_extension(&cluster)
        .await
        .expect("the extension can be created");
    let mut scenarios = load_all(&Scenario::folder()).expect("readable scenarios");
    if let Ok(part) = env::var("PGT_SCENARIO") {
        scenarios.retain(|scenario| scenario.name.contains(&part));
    }
    let mark = cluster.log_mark();
    let (replays, failures) = replay_all(&world, &scenarios).await;
    for failure in &failures {
        println!("{failure}\n");
    }
    let crashes = cluster.crashes_since(mark);
    for crash in &crashes {
        println!("{crash}");
    }
    println!("{} scenarios, {replays} replays", scenarios.len());
    assert!(
        failures.is_empty() && crashes.is_empty(),
        "{} of {replays} replays failed, {} crashes",
        failures.len(),
        crashes.len()
    );
}
