//! `cargo bench -p benches --bench immediate`: what IMMEDIATE stream tables cost the writers.
//! `PGT_BENCH_ROWS`, `PGT_BENCH_REPEAT` and `PGT_BENCH_SECONDS` make it smaller.

use anyhow::Result;
use benches::settings::{Settings, is_trial};
use benches::{immediate, server};
use std::time::Duration;

fn main() -> Result<()> {
    if is_trial() {
        return Ok(());
    }
    let settings = Settings::from_env();
    let seconds = std::env::var("PGT_BENCH_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(10);
    server::block_on(async {
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
