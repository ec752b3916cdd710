//! `cargo bench -p benches --bench immediate`: what IMMEDIATE stream tables cost the writers.
//! `PGT_BENCH_ROWS`, `PGT_BENCH_REPEAT` and `PGT_BENCH_SECONDS` make it smaller.

use anyhow::Result;
use benches::settings::Settings;
use benches::{immediate, server};
use std::time::Duration;

fn main() -> Result<()> {
    // `cargo test --benches` passes this; there is nothing quick to test here.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let settings = Settings::from_env();
    let seconds = std::env::var("PGT_BENCH_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(10);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let cluster = server::start()?;
        let session = server::database(&cluster, "immediate").await?;
        immediate::prepare(&session, settings.rows).await?;
        let statements =
            immediate::statements(&session, settings.rows, 10 * settings.repeat).await?;
        let duration = Duration::from_secs(seconds);
        let throughput =
            immediate::throughput(&cluster, "immediate", settings.rows, duration).await?;
        println!(
            "\n{}",
            immediate::markdown(settings.rows, &statements, throughput)
        );
        Ok(())
    })
}
