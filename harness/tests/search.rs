//! The generator against a stand-in for the extension: quiet when it is right, loud and brief when
//! it is wrong.

use harness::cluster::{Cluster, ClusterOptions};
use harness::generator::{FindingKind, Search};
use harness::scenario::World;

const FAKE: &str = include_str!("fake_engine.sql");

const SEARCH: Search = Search {
    first_seed: 1,
    shrink_runs: 60,
    max_findings: 1,
    write: true,
};

#[tokio::test(flavor = "multi_thread")]
async fn recomputation_is_never_found_wrong() {
    let cluster = Cluster::start(&ClusterOptions::new()).expect("a private cluster starts");
    let world = World::new(&cluster, FAKE).await.expect("the fake is there");
    let report = SEARCH
        .run(&world, &[], |cases| cases < 30)
        .await
        .expect("the server is there");
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert!(report.judged > 100, "{} judgements", report.judged);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_that_forgets_is_found_and_made_small() {
    let cluster = Cluster::start(&ClusterOptions::new()).expect("a private cluster starts");
    let lazy = format!("{FAKE} INSERT INTO fake.lazy VALUES ('st');");
    let world = World::new(&cluster, &lazy)
        .await
        .expect("the fake is there");
    let report = SEARCH
        .run(&world, &[], |cases| cases < 50)
        .await
        .expect("the server is there");
    let (_, finding, folder) = report.findings.first().expect("a finding");
    assert_eq!(finding.kind, FindingKind::Wrong);
    let folder = folder.as_ref().expect("a report");
    let replay = std::fs::read_to_string(folder.join("replay.sql")).expect("a script");
    assert!(replay.contains("create_stream_table('st'"), "{replay}");
    std::fs::remove_dir_all(folder).expect("removable");
}
