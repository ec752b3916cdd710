//! A bounded number of made-up cases; `cargo xtask fuzz` runs on.
//!
//! `PGT_FUZZ_CASES` says how many, `PGT_FUZZ_SEED` where to begin.

use std::env;
use std::time::{Duration, Instant};

use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::generator::Search;
use harness::scenario::World;

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn made_up_stream_tables_are_exact() {
    let extension = ExtensionDir::installed().expect("the extension is installed");
    let cluster = Cluster::start(&ClusterOptions::new().extension(extension))
        .expect("a private cluster starts");
    let world = World::with_extension(&cluster)
        .await
        .expect("the extension can be created");
    let cases = number("PGT_FUZZ_CASES").unwrap_or(400);
    // However slow the machine, the suite stays usable; fewer cases are said so below.
    let end = Instant::now() + Duration::from_secs(cases.max(400) * 3 / 5);
    let search = Search {
        first_seed: number("PGT_FUZZ_SEED").unwrap_or(1),
        shrink_runs: 150,
        max_findings: 3,
        write: true,
    };
    let report = search
        .run(&world, &[], |done| done < cases && Instant::now() < end)
        .await
        .expect("the server is there");
    for (seed, finding, folder) in &report.findings {
        println!("seed {seed}: {finding}\n{}\n{folder:?}\n", finding.explain);
    }
    println!(
        "{} of {cases} cases ({} void), {} judgements, {} refreshes changed rows",
        report.cases, report.void, report.judged, report.applied
    );
    assert!(report.findings.is_empty(), "see target/fuzz");
    assert!(
        u64::from(report.void) * 4 < report.cases,
        "too many void cases"
    );
}
