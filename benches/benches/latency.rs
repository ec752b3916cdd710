//! `cargo bench -p benches --bench latency`: how long commits take to show, under open-loop load.
//! `PGT_BENCH_ROWS` and `PGT_BENCH_SECONDS` make it smaller.

use anyhow::Result;
use benches::settings::is_trial;
use benches::{latency, server};
use harness::latency::Load;
use std::time::Duration;

fn main() -> Result<()> {
    if is_trial() {
        return Ok(());
    }
    let number = |name: &str, default: u64| {
        let text = std::env::var(name).ok();
        text.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    server::block_on(async {
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
