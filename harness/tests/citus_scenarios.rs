//! Scenarios on a coordinator of Citus and two workers: those that say how their sources are spread.
//!
//! `PGT_SCENARIO=part-of-a-name` replays only some. Without Citus the test is reported as skipped, with the reason, which fails
//! where `PGT_REQUIRE_CITUS` is set.

use std::env;

use harness::citus::scenarios::replay;
use harness::citus::{Citus, is_missing};
use harness::runtime::connect;
use harness::scenario::{Scenario, load_all};

#[tokio::test(flavor = "multi_thread")]
async fn scenarios_are_exact_on_citus() {
    if is_missing("scenarios_are_exact_on_citus") {
        return;
    }
    let mut scenarios = load_all(&Scenario::folder()).expect("readable scenarios");
    scenarios.retain(|scenario| scenario.citus.is_some());
    assert!(!scenarios.is_empty());
    if let Ok(part) = env::var("PGT_SCENARIO") {
        scenarios.retain(|scenario| scenario.name.contains(&part));
    }
    let settings = [("max_prepared_transactions", "100")];
    let citus = Citus::with(&settings).await.expect("a cluster starts");
    connect(&citus, "postgres").await.expect("a session");
    let mut failures = Vec::new();
    for scenario in &scenarios {
        let result = replay(&citus, scenario).await;
        println!(
            "{}: {}",
            scenario.name,
            result.as_ref().err().map_or("right", |_| "WRONG")
        );
        if let Err(failure) = result {
            println!("{failure}\n");
            failures.push(failure);
        }
    }
    let all = scenarios.len();
    assert!(
        failures.is_empty(),
        "{} of {all} scenarios failed",
        failures.len()
    );
}
