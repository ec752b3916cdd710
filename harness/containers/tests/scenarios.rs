//! Every scenario of the project in a container: the same files as on an embedded server.
//!
//! `PGT_SCENARIO=part-of-a-name` replays only some.

use containers::{ContainerServer, Options, engine_for};
use harness::cluster::crash_lines;
use harness::scenario::{Scenario, World, load_all, replay_all};

#[tokio::test(flavor = "multi_thread")]
async fn every_scenario_is_exact_in_a_container() {
    let Some(engine) = engine_for("every_scenario_is_exact_in_a_container").await else {
        return;
    };
    // Scenarios say when something is refreshed; a scheduler would be ahead of them.
    let options = Options::default()
        .setting("shared_preload_libraries", "")
        .setting("fsync", "off")
        .setting("max_connections", "60");
    let server = ContainerServer::start(&engine, &options)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let world = World::with_extension(&server)
        .await
        .expect("the extension can be created");
    let mut scenarios = load_all(&Scenario::folder()).expect("readable scenarios");
    if let Ok(part) = std::env::var("PGT_SCENARIO") {
        scenarios.retain(|scenario| scenario.name.contains(&part));
    }
    let (replays, failures) = replay_all(&world, &scenarios).await;
    for failure in &failures {
        println!("{failure}\n");
    }
    let log = server.log().await.unwrap_or_else(|error| panic!("{error}"));
    let crashes = crash_lines(&log);
    println!("{} scenarios, {replays} replays", scenarios.len());
    assert!(!scenarios.is_empty());
    assert!(
        failures.is_empty() && crashes.is_empty(),
        "{} of {replays} replays failed; crashes: {crashes:?}",
        failures.len()
    );
}
