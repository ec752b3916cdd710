//! A bounded number of made-up cases on a cluster of Citus, their tables distributed by chance.
//!
//! `PGT_FUZZ_CASES` says how many, `PGT_FUZZ_SEED` where to begin, `PGT_FUZZ_SHRINK` how many runs make a finding smaller.
//! Without Citus the test is reported as skipped, with the reason, which fails where `PGT_REQUIRE_CITUS` is set.

use std::time::{Duration, Instant};

use harness::citus::{Citus, is_missing};
use harness::generator::{number, search_on_nodes};

#[tokio::test(flavor = "multi_thread")]
async fn made_up_stream_tables_over_spread_tables_are_exact() {
    if is_missing("made_up_stream_tables_over_spread_tables_are_exact") {
        return;
    }
    let citus = Citus::start().await.unwrap();
    let session = harness::runtime::connect(&citus, "postgres").await.unwrap();
    for setting in [
        "ALTER SYSTEM SET citus.enable_repartition_joins = on",
        "SELECT pg_reload_conf()",
    ] {
        session.execute(setting).await.unwrap();
    }
    let cases = number("PGT_FUZZ_CASES").unwrap_or(25);
    let end = Instant::now() + Duration::from_secs(cases.max(25) * 10);
    let first = number("PGT_FUZZ_SEED").unwrap_or(1);
    let report = search_on_nodes(&citus, first, |done| done < cases && Instant::now() < end)
        .await
        .expect("the coordinator is there");
    for (seed, finding) in &report.findings {
        println!("seed {seed}: {finding}\n");
    }
    println!(
        "{} of {cases} cases ({} void), {} judgements, kept as {:?}",
        report.cases, report.void, report.judged, report.kept
    );
    assert!(report.findings.is_empty(), "see above");
    assert!(report.void * 10 < report.cases * 8, "too many void cases");
    assert!(report.judged > 0, "nothing was judged");
}
