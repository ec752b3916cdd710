//! Writers, what they have committed for sure, and how a server has to look after whatever was done to it.

// Each test file uses some of them.
#![allow(dead_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use containers::{ContainerServer, Engine, Options};
use harness::client::Session;
use harness::insist::{run, until, value};
use harness::runtime::{connect, follows};

/// A table, a copy of it, and a stream table over the copy.
pub const TABLES: &str = "
CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, g int, v int);
INSERT INTO t (g, v) SELECT i % 100, i FROM generate_series(1, 10000) i;
SELECT pgtrickle.create_stream_table('copied', 'SELECT id, g, v FROM t');
SELECT pgtrickle.create_stream_table('counted', 'SELECT g, count(*) AS n, sum(v) AS s FROM copied GROUP BY g');
";

/// Rows of the table before anybody writes.
pub const ROWS: u64 = 10_000;

pub const STREAM_TABLES: [&str; 2] = ["copied", "counted"];

pub async fn start(engine: &Engine, options: &Options) -> ContainerServer {
    ContainerServer::start(engine, options)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

pub async fn session(server: &ContainerServer) -> Session {
    connect(server, "postgres")
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Writers that count what they have committed, until the server is gone or they are told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    writers: Vec<tokio::task::JoinHandle<u64>>,
}

impl Load {
    /// Begins, and waits until rows of it are there.
    pub async fn begin(server: &ContainerServer) -> Self {
        let watcher = session(server).await;
        let before = value(&watcher, "SELECT count(*) FROM t").await;
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = Vec::new();
        for _ in 0..2 {
            let (session, stop) = (session(server).await, Arc::clone(&stop));
            writers.push(tokio::spawn(async move {
                let mut committed = 0;
                let insert = "INSERT INTO t (g, v) SELECT i, i FROM generate_series(1, 20) i";
                while !stop.load(Ordering::Relaxed) && session.execute(insert).await.is_ok() {
                    committed += 20;
                }
                committed
            }));
        }
        let more = format!("SELECT count(*) > {before} + 200 FROM t");
        until(&watcher, &more).await;
        Self { stop, writers }
    }

    /// How many rows were committed for sure.
    pub async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let mut committed = 0;
        for writer in self.writers {
            committed += writer.await.unwrap_or(0);
        }
        committed
    }
}

/// All that was committed is there, stream tables follow by themselves, and no refresh is left over.
pub async fn is_well(server: &ContainerServer, at_least: u64, what: &str) {
    let session = session(server).await;
    let rows: u64 = value(&session, "SELECT count(*) FROM t")
        .await
        .parse()
        .unwrap_or(0);
    assert!(rows >= at_least, "{what}: {rows} of {at_least} rows");
    let group = format!("-{rows}");
    run(
        &session,
        &format!("INSERT INTO t (g, v) VALUES ({group}, 1)"),
    )
    .await;
    until(
        &session,
        &format!("SELECT count(*) > 0 FROM counted WHERE g = {group}"),
    )
    .await;
    for name in STREAM_TABLES {
        follows(&session, name)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
    }
    for (sql, wanted) in [
        ("SELECT state FROM pgtrickle.drain_status()", "RUNNING"),
        ("SELECT count(*) FROM pgtrickle.refresh_failures()", "0"),
        (
            "SELECT count(*) FROM pgtrickle.pgt_refresh_history WHERE status NOT IN ('COMPLETED', 'FAILED')",
            "0",
        ),
    ] {
        assert_eq!(value(&session, sql).await, wanted, "{what}: {sql}");
    }
}
