//! `cargo bench -p benches --bench latency`: how long commits take to show, under open-loop load.
//! `PGT_BENCH_ROWS` and `PGT_BENCH_SECONDS` make it smaller.

use anyhow::Result;
use benches::{latency, server};
use harness::latency::Load;
use std::time::Duration;

fn main() -> Result<()> {
    // `cargo test --benches` passes this; there is nothing quick to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let number = |name: &str, default: u64| {
        let text = std::env::var(name).ok();
        text.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let cluster = server::start_scheduled()?;
        let session = server::database(&cluster, "latency").await?;
        let load = Load {
            rate_per_s: 0,
            duration: Duration::from_secs(number("PGT_BENCH_SECONDS", 20)),
            writers: 4,
        };
        latency::prepare(&session, number("PGT_BENCH_ROWS", 1_000_000)).await?;
        let lines = latency::run(&cluster, &session, load).await?;
        println!("\n{}", latency::markdown(&lines));
        Ok(())
    })
}
