//! `cargo bench -p benches --bench immediate`: what IMMEDIATE stream tables cost the writers.
//! `PGT_BENCH_ROWS`, `PGT_BENCH_REPEAT` and `PGT_BENCH_SECONDS` make it smaller.

use anyhow::Result;
use benches::settings::{Settings, is_trial, seconds};
use benches::{gate, immediate, server};

fn main() -> Result<()> {
    if is_trial() {
        return Ok(());
    }
    let settings = Settings::from_env();
    server::block_on(async {
        let cluster = server::start()?;
        let session = server::database(&cluster, "immediate").await?;
        immediate::prepare(&session, settings.rows).await?;
        let statements =
            immediate::statements(&session, settings.rows, 10 * settings.repeat).await?;
        let bulks = immediate::bulks(&session).await?;
        let throughput =
            immediate::throughput(&cluster, "immediate", settings.rows, seconds()).await?;
        println!(
            "\n{}",
            immediate::markdown(settings.rows, &statements, &bulks, throughput)
        );
        gate::settle(&immediate::ratios(&bulks), settings.gate)
    })
}
