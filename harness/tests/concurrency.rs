//! Refreshes among concurrent writers, judged in their own snapshot.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use harness::client::Session;
use harness::cluster::{Cluster, ClusterOptions, ExtensionDir};
use harness::oracle;
use harness::scenario::{World, orphans};
use harness::workload::{self, Counters, STREAM_TABLES};

/// How many refreshes each capture writer has to get through.
const JUDGED: u64 = 700;

#[tokio::test(flavor = "multi_thread")]
async fn refreshes_are_exact_in_their_own_snapshot_while_others_write() {
    let extension = ExtensionDir::installed().expect("the extension is installed");
    let options = ClusterOptions::new()
        .extension(extension)
        .setting("deadlock_timeout", "50ms");
    let cluster = Cluster::start(&options).expect("a private cluster starts");
    let world = World::with_extension(&cluster)
        .await
        .expect("the extension can be created");
    let mark = cluster.log_mark();
    let mut total = 0;
    for writer in ["native", "sql"] {
        let settings = [("pg_trickle.cdc_trigger_mode", writer)];
        let database = world.database("busy", &settings).await.expect("a database");
        let session = Session::connect(&cluster, &database)
            .await
            .expect("a session");
        workload::set_up(&session).await.expect("stream tables");
        let counters = Arc::new(Counters::default());
        let deadline = Duration::from_secs(120);
        let result = workload::run(&cluster, &database, &counters, JUDGED, deadline).await;
        println!("{writer}: {counters:?}");
        if let Err(complaint) = result {
            panic!("{writer}: {complaint:#?}\n{}", cluster.log_tail(20));
        }
        for (name, _) in STREAM_TABLES {
            workload::refresh(&session, name).await.expect("a refresh");
            let verdict = oracle::check(&session, name).await.expect("a verdict");
            assert!(verdict.is_exact(), "{name} at the end is {verdict}");
            let drop = format!("SELECT pgtrickle.drop_stream_table('{name}')");
            session.execute(&drop).await.expect("dropped");
        }
        assert_eq!(
            orphans(&session).await.expect("a list"),
            Vec::<String>::new()
        );
        assert!(
            counters.prepared.load(Ordering::Relaxed) > 0,
            "{counters:?}"
        );
        assert!(counters.plain.load(Ordering::Relaxed) > 20, "{counters:?}");
        total += counters.judged.load(Ordering::Relaxed);
    }
    assert!(total >= 1000, "only {total} refreshes were judged");
    assert_eq!(cluster.crashes_since(mark), Vec::<String>::new());
}
